"""How much of everything: the full run, and the quick one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Scale:
    """Sizes of a run.

    Attributes:
        folder: for lakes and logs; on the disk that is to be measured.
        rounds: of every comparison.
        json_messages: for the comparison with the counting subscriber.
        arrow_rows: for the batches.
        replay_messages: in the log.
        live_s: of publishing 10,000 events/s.
        memory_s: at full speed, in one round.
        lake_files: for the reader.
        decisions: in the store of decisions.
        bars: of one series.
        datasets: in the registry.
        silver: rows of a session that features are built of; 1 is a full day.
    """

    folder: Path
    rounds: int = 5
    json_messages: int = 2_000_000
    arrow_rows: int = 2_000_000
    replay_messages: int = 1_000_000
    live_s: float = 15.0
    memory_s: float = 60.0
    lake_files: int = 200
    decisions: int = 100_000
    bars: int = 1_000_000
    datasets: int = 10_000
    silver: float = 1.0

    def with_rounds(self, rounds: int) -> Scale:
        """The same with another number of rounds."""
        return replace(self, rounds=rounds)


def quick(folder: Path) -> Scale:
    """Shows that everything runs, and roughly where it stands."""
    return replace(
        Scale(folder),
        rounds=2,
        json_messages=200_000,
        arrow_rows=500_000,
        replay_messages=100_000,
        live_s=8.0,
        memory_s=30.0,
        decisions=10_000,
        bars=200_000,
        datasets=2_000,
        silver=0.1,
    )
