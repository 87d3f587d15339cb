"""One Delta log, through the `deltalake` package: what it has, and one more commit, or none when somebody was faster.

Two counters travel with each commit as application transactions: files ever added, files ever removed. They make two
exports at once conflict, which plain appends would not, and they tell when somebody else changed the list of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from ticklake.base.errors import CorruptError, UnavailableError
from ticklake.readers.delta_files import Addition, TableFile
from ticklake.readers.relation import Relation

ADDED: Final = "ticklake.files.added"
REMOVED: Final = "ticklake.files.removed"

_KEEP_ALL: Final = "interval 36500 days"
"""VACUUM deletes what is older than this and not in the log: nothing, so it cannot take files just linked."""

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")


class DeltaLog:
    """The log as it was when it was opened.

    Attributes:
        addresses: of the files it has: paths below the table's root, or absolute URIs; not percent-encoded.
        version: of the newest commit.
    """

    def __init__(self, uri: str, table: DeltaTable) -> None:
        self._uri = uri
        self._table = table
        self.version = table.version()
        paths = pa.table(table.get_add_actions())["path"].to_pylist()
        self.addresses = frozenset(unquote(path) for path in paths)

    @classmethod
    def open(cls, uri: str, storage_options: Mapping[str, str]) -> DeltaLog | None:
        """The log at `uri`; None when there is none.

        Raises:
            CorruptError: it cannot be read.
            UnavailableError: the store does not answer.
        """
        with _sorted_errors(uri):
            try:
                return cls(uri, DeltaTable(uri, storage_options=dict(storage_options)))
            except TableNotFoundError:
                return None

    @classmethod
    def create(cls, uri: str, relation: Relation, storage_options: Mapping[str, str]) -> DeltaLog:
        """A new log without files; the other one when somebody else makes it at the same time. Raises as `open`."""
        with _sorted_errors(uri):
            try:
                DeltaTable.create(
                    uri,
                    delta_schema(relation),
                    partition_by=list(relation.keys),
                    name=relation.name,
                    description="Written by `ticklake export delta`; read it, do not write to it.",
                    configuration={"delta.deletedFileRetentionDuration": _KEEP_ALL},
                    storage_options=dict(storage_options),
                )
            except DeltaError:
                if not DeltaTable.is_deltatable(uri, storage_options=dict(storage_options)):
                    raise
        log = cls.open(uri, storage_options)
        if log is None:
            raise CorruptError(f"{uri}: the Delta log vanished while it was made; export again")
        return log

    def has_columns_of(self, relation: Relation) -> bool:
        """Whether it was made for these columns, types and partitions."""
        keys = self._table.metadata().partition_columns
        return self._table.schema() == delta_schema(relation) and tuple(keys) == relation.keys

    @property
    def is_ours_alone(self) -> bool:
        """Whether the files it has are what our own commits added and removed."""
        return len(self.addresses) == self._counter(ADDED) - self._counter(REMOVED)

    def commit(
        self, relation: Relation, add: Mapping[str, Addition], remove: Mapping[str, TableFile], *, now_ms: int
    ) -> bool:  # fmt: skip
        """One version more, `version + 1`, whole or not at all.

        Args:
            relation: the table.
            add: address -> file.
            remove: address -> file.
            now_ms: UTC ms, stamped on what is removed.

        Returns:
            False when somebody else committed first and so nothing of ours was: open again, decide again.

        Raises:
            CorruptError: the log cannot be read.
            UnavailableError: the store does not answer.
        """
        actions: list[AddAction | RemoveAction] = [
            RemoveAction(address, True, now_ms, file.bytes, dict(file.values)) for address, file in remove.items()
        ]
        for address, new in add.items():
            file = new.file
            actions.append(AddAction(address, file.bytes, dict(file.values), file.committed_ms, True, new.statistics))
        counters = [
            Transaction(ADDED, self._counter(ADDED) + len(add)),
            Transaction(REMOVED, self._counter(REMOVED) + len(remove)),
        ]
        properties = CommitProperties(max_commit_retries=0, app_transactions=counters)
        with _sorted_errors(self._uri):
            try:
                self._table.create_write_transaction(
                    actions, "append", delta_schema(relation), list(relation.keys), commit_properties=properties
                )
            except CommitFailedError:
                return False
        return True

    def _counter(self, name: str) -> int:
        return self._table.transaction_version(name) or 0


def delta_schema(relation: Relation) -> Schema:
    """Columns of the files, then the partition columns; times stay int64 ns."""
    return Schema.from_arrow(relation.schema)


@contextmanager
def _sorted_errors(uri: str) -> Iterator[None]:
    try:
        yield
    except DeltaError as error:
        raise CorruptError(
            f"{uri}: the Delta log cannot be used ({_first_line(error)}); it holds no data: remove it and export again"
        ) from error
    except OSError as error:
        raise UnavailableError(f"{uri}: {_first_line(error)}; check the place and its access, then again") from error


def _first_line(error: Exception) -> str:
    """What deltalake says, without colours and the trace of its own code."""
    lines = [line.strip(" ↳") for line in _COLOUR.sub("", str(error)).splitlines()]
    return " ".join(line for line in lines[:2] if line) or type(error).__name__
