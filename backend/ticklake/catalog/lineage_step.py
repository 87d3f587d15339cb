"""One step of a lineage, and the sequences behind lake files. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ticklake.base.words import count
from ticklake.lake.ledger import LedgerEntry

Places = Mapping[str, tuple[LedgerEntry, int]]
"""Path of a lake file -> the ledger entry that committed it, and its rows."""

_NONE: Final = 1 << 63  # above every sequence


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One step back from what was asked.

    Attributes:
        depth: 0 is what was asked; its sources have 1, theirs 2.
        kind: `dataset`, `version`, `run`, `artifact`, `date`, `table`, `file`, `stream`.
        name: dataset name, version, run id, date, path, or `stream:writer`.
        detail: what is known: status and commit of a run, hash of a file, sequences of a stream.
    """

    depth: int
    kind: str
    name: str
    detail: str


def places_of(ledger: Iterable[LedgerEntry]) -> dict[str, tuple[LedgerEntry, int]]:
    """Every committed file, by its path."""
    return {file.path: (entry, file.rows) for entry in ledger for file in entry.files}


def stream_steps(paths: Iterable[str], places: Places, depth: int) -> Iterator[LineageStep]:
    """The sequences whose rows are in some lake files: one step per stream, writer and life of the stream."""
    spans: dict[tuple[str, str, int], tuple[int, int, int]] = {}
    for path in paths:
        if path not in places:
            continue
        entry, rows = places[path]
        key = (entry.stream, entry.writer, entry.incarnation)
        first, last, total = spans.get(key, (_NONE, 0, 0))
        spans[key] = (
            first if entry.first_seq is None else min(first, entry.first_seq),
            last if entry.last_seq is None else max(last, entry.last_seq),
            total + rows,
        )
    for (stream, writer, life), (first, last, rows) in sorted(spans.items()):
        span = "without sequences" if first == _NONE else f"sequences {first} to {last} of life {life}"
        yield LineageStep(depth, "stream", f"{stream}:{writer}", f"{span}, {count(rows, 'row')}")


def covers(outer: str, path: str) -> bool:
    """Whether a path is the file itself or lies below the folder."""
    return path == outer or path.startswith(f"{outer}/")
