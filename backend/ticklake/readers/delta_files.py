"""PURE: what a Delta log says about the files of one table, and what changes when the books do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa

from ticklake.base.errors import CorruptError
from ticklake.lake.ledger import LedgerEntry, LedgerFile
from ticklake.readers.quarantine import NAME as QUARANTINE
from ticklake.readers.relation import Relation
from ticklake.schema.partition import EMPTY_TOKEN, parse_folder

_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TableFile:
    """One file that the ledger booked for the table.

    Attributes:
        path: relative to the data root, as in the ledger.
        below: relative to the table's folder.
        values: of the partition columns, as a Delta log writes them: text, or None for null.
        rows: in the file.
        bytes: of the file.
        committed_ms: when it came into the lake, UTC ms.
    """

    path: str
    below: str
    values: Mapping[str, str | None]
    rows: int
    bytes: int
    committed_ms: int


@dataclass(frozen=True, slots=True)
class Addition:
    """A file for the log.

    Attributes:
        file: the facts of the ledger.
        statistics: JSON text; see `statistics`.
    """

    file: TableFile
    statistics: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one commit of the log does.

    Attributes:
        add: address -> file that the log does not have yet.
        remove: address -> file that retention took.
        strange: addresses in the log that are none of the table's files.
    """

    add: Mapping[str, TableFile]
    remove: Mapping[str, TableFile]
    strange: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the log says already what the books say."""
        return not self.add and not self.remove


def files_of_table(relation: Relation, entries: Iterable[LedgerEntry]) -> Iterator[TableFile]:
    """Every file that was ever committed for a table, in order of the ledger.

    Raises:
        CorruptError: a path in the ledger does not lie in the table's partition folders.
    """
    for entry in entries:
        for file in entry.files:
            if _is_of(relation, file):
                yield _table_file(relation, file, entry.committed_ns // _NS_PER_MS)


def plan_change(booked: Mapping[str, TableFile], gone: Collection[str], logged: Collection[str]) -> Change:
    """What brings the log in line with the books.

    Args:
        booked: address -> file, for everything that was ever committed.
        gone: paths that retention took. They never come back, so no file is added twice.
        logged: addresses that the log has now.
    """
    return Change(
        add={
            address: file for address, file in booked.items() if address not in logged and file.path not in gone
        },
        remove={address: booked[address] for address in logged if address in booked and booked[address].path in gone},
        strange=tuple(sorted(address for address in logged if address not in booked)),
    )  # fmt: skip


def statistics_columns(relation: Relation) -> tuple[str, ...]:
    """Columns whose ranges the log carries: the event time and the stream sequence, both int64 and so exact."""
    names = dict.fromkeys((*relation.event_time, relation.order[0]))
    return tuple(name for name in names if pa.types.is_int64(relation.file_schema.field(name).type))


def statistics(rows: int, ranges: Mapping[str, tuple[object, object]]) -> str:
    """The JSON text of one file's statistics: its rows, and the ranges that are known."""
    document: dict[str, object] = {"numRecords": rows}
    if ranges:
        document["minValues"] = {name: low for name, (low, _) in ranges.items()}
        document["maxValues"] = {name: high for name, (_, high) in ranges.items()}
    return msgspec.json.encode(document).decode()


def _is_of(relation: Relation, file: LedgerFile) -> bool:
    """Rejected rows are booked under the table they were meant for; their folder tells them apart."""
    in_folder = file.path.startswith(f"{relation.folder}/")
    return in_folder and (relation.name == QUARANTINE or file.table == relation.name)


def _table_file(relation: Relation, file: LedgerFile, committed_ms: int) -> TableFile:
    below = file.path[len(relation.folder) + 1 :]
    parts = parse_folder(below.rpartition("/")[0])
    if tuple(parts) != relation.keys:
        raise CorruptError(
            f"{file.path}: the ledger books it for {relation.name}, which is partitioned by "
            f"{', '.join(relation.keys)}; run `ticklake verify`"
        )
    values = {key: _value(relation, key, value) for key, value in parts.items()}
    return TableFile(file.path, below, values, file.rows, file.bytes, committed_ms)


def _value(relation: Relation, key: str, value: str | None) -> str | None:
    """A partition value in a Delta log. Delta reads an empty text as null, so it stays the word that the folder has."""
    if value is None:
        return None
    if pa.types.is_integer(relation.partition_schema.field(key).type):
        return str(int(value))
    return value or EMPTY_TOKEN
