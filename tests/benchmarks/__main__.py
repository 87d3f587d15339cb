"""`python -m tests.benchmarks`: measure, print one table.

Every comparison runs both sides in turns, each in a fresh process, and gives the median of the rounds' ratios.
The exit code says whether it ran, not how fast it was.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tests.benchmarks import (
    arrow,
    gold_swap,
    jetstream,
    live,
    memory,
    reader,
    records_bars,
    records_decisions,
    records_registry,
    replay,
    s3,
    silver_figures,
)
from tests.benchmarks.figures import Figure
from tests.benchmarks.machine import machine_facts
from tests.benchmarks.scale import Scale, quick

BENCHMARKS: dict[str, Callable[[Scale], Iterator[Figure]]] = {
    "jetstream": jetstream.measure,
    "arrow": arrow.measure,
    "replay": replay.measure,
    "live": live.measure,
    "memory": memory.measure,
    "reader": reader.measure,
    "decisions": records_decisions.measure,
    "bars": records_bars.measure,
    "registry": records_registry.measure,
    "s3": s3.measure,
    "silver": silver_figures.measure,
    "gold": gold_swap.measure,
}


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and few: shows that it runs")
    parser.add_argument("--only", nargs="+", choices=sorted(BENCHMARKS), default=list(BENCHMARKS))
    parser.add_argument("--rounds", type=int, help="of every comparison")
    parser.add_argument("--folder", type=Path, help="on the disk to measure; default: the system's temporary folder")
    wish = parser.parse_args()
    begin_s = time.monotonic()
    facts = machine_facts()
    console = Console()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="ticklake-bench-", dir=wish.folder) as folder:
        for name in wish.only:
            scale = _scale(Path(folder) / name, is_quick=wish.quick, rounds=wish.rounds)
            scale.folder.mkdir()
            for figure in BENCHMARKS[name](scale):
                figures.append(figure)
                console.print(f"[dim]{figure.what}: {figure.ours}, {figure.ratio} (target {figure.target})[/]")
    console.print(table_of(figures))
    for figure in figures:
        if figure.note:
            console.print(f"[dim]{figure.what}: {figure.note}[/]")
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    console.print(f"[dim]{time.monotonic() - begin_s:.0f} s; before: {told}[/]")


def _scale(folder: Path, *, is_quick: bool, rounds: int | None) -> Scale:
    scale = quick(folder) if is_quick else Scale(folder)
    return scale if rounds is None else scale.with_rounds(rounds)


def table_of(figures: list[Figure]) -> Table:
    """What, ours, reference, ratio, target, met, and of how many rounds each figure is the median."""
    table = Table(title="ticklake benchmarks")
    for heading in ("what", "ours", "reference", "ratio", "target", "met", "rounds"):
        table.add_column(heading, overflow="fold")
    for figure in figures:
        met = "" if figure.met is None else "yes" if figure.met else "NO"
        rounds = str(len(figure.rounds) or 1)
        table.add_row(figure.what, figure.ours, figure.reference, figure.ratio, figure.target, met, rounds)
    return table


if __name__ == "__main__":
    main()
