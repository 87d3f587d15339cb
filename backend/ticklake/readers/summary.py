"""How much a table holds, partition by partition, from names and footers alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from ticklake.files.place import Place
from ticklake.files.side_by_side import run_for
from ticklake.readers.footer import read_footer
from ticklake.readers.listing import DataFile, check_ends, list_files
from ticklake.readers.relation import Relation


@dataclass(frozen=True, slots=True)
class Holding:
    """What one folder, or one table, holds.

    Attributes:
        name: table name, or partition folder (`symbol=ES/date=2024-12-16/hour=14`).
        files: data files.
        rows: in them.
        bytes: of them.
        first_ns: earliest event time, UTC ns; None when the footers do not say.
        last_ns: latest event time.
    """

    name: str
    files: int
    rows: int
    bytes: int
    first_ns: int | None
    last_ns: int | None


def partitions(root: Place, relation: Relation) -> list[Holding]:
    """One holding per partition folder, in order of their paths.

    Raises:
        CorruptError: a file has no readable footer; the text names it.
    """
    files = list_files(root / relation.folder, relation.keys)
    check_ends(files)
    run = run_for(root)
    holdings = run(partial(_holding, relation), files)
    return [total(folder, parts) for folder, parts in groupby(holdings, key=lambda part: part.name)]


def total(name: str, parts: Iterable[Holding]) -> Holding:
    """The sum of several holdings."""
    parts = list(parts)
    first = [part.first_ns for part in parts if part.first_ns is not None]
    last = [part.last_ns for part in parts if part.last_ns is not None]
    return Holding(
        name=name,
        files=sum(part.files for part in parts),
        rows=sum(part.rows for part in parts),
        bytes=sum(part.bytes for part in parts),
        first_ns=min(first, default=None),
        last_ns=max(last, default=None),
    )


def _holding(relation: Relation, file: DataFile) -> Holding:
    footer = read_footer(file.source, ranges_of=relation.event_time)
    bounds = [footer.ranges[name] for name in relation.event_time if name in footer.ranges]
    low, high = bounds[0] if bounds else (None, None)
    first_ns = low if isinstance(low, int) else None
    last_ns = high if isinstance(high, int) else None
    return Holding(file.folder, 1, footer.rows, file.size_bytes, first_ns, last_ns)
