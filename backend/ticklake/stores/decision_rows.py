"""The tables of the decision index, and how a document becomes a row of one.

A shelf is a folder of documents of one kind. Loading one that cannot be read leaves a row that says so: it is named
once in the log, and again by `DecisionStore.unreadable`.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ticklake.files.errors import UnreadableError
from ticklake.files.object_path import ObjectPath, ObjectStat
from ticklake.files.place import Place
from ticklake.stores.decision_record import Summary

SCHEMA_VERSION: Final = 1
SCHEMA: Final = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE files (
    shelf TEXT NOT NULL, name TEXT NOT NULL, mtime_ns INTEGER NOT NULL, bytes INTEGER NOT NULL, inode INTEGER NOT NULL,
    error TEXT, PRIMARY KEY (shelf, name)
) WITHOUT ROWID;
CREATE TABLE decisions (
    name TEXT PRIMARY KEY, decision_id TEXT NOT NULL, decision_ns INTEGER NOT NULL, pair TEXT, action TEXT, status TEXT,
    strategy TEXT, provider TEXT, revision INTEGER NOT NULL, shadowed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX decisions_by_id ON decisions (decision_id);
CREATE INDEX decisions_by_time ON decisions (decision_ns, name);
CREATE INDEX decisions_by_pair ON decisions (pair, decision_ns, name);
CREATE INDEX decisions_by_strategy ON decisions (strategy, decision_ns, name);
CREATE INDEX decisions_by_status ON decisions (status, decision_ns, name);
CREATE TABLE links (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, link_id TEXT NOT NULL, decision_id TEXT NOT NULL, order_id TEXT,
    at_ns INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE INDEX links_by_decision ON links (decision_id, kind);
CREATE INDEX links_by_order ON links (order_id, kind);
"""

_log = structlog.get_logger()

Content = tuple[tuple[Any, ...] | None, str | None]
"""The row of a document, or the reason why there is none."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a file from another without reading it."""

    mtime_ns: int
    size_bytes: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result | ObjectStat) -> Stamp:
        """From what the file system, or the store, says."""
        return cls(status.st_mtime_ns, status.st_size, status.st_ino & 0x7FFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True, slots=True)
class Shelf:
    """A folder of documents of one kind.

    Attributes:
        name: for the index.
        folder: where; need not exist.
        table: of the index.
        is_ours: whether a file name belongs to a document.
        row_of: reads a file and gives its row, the name first. Raises FileNotFoundError and UnreadableError.
        is_locked: whether writers wait for us, so that none changes the folder in the tick of its clock of our look.
    """

    name: str
    folder: Place
    table: str
    is_ours: Callable[[str], bool]
    row_of: Callable[[str], tuple[Any, ...]]
    is_locked: bool = True

    def stamp(self) -> str:
        """What changes when a file of the folder comes, goes or is replaced."""
        if isinstance(self.folder, ObjectPath) or not self.is_locked:
            return hashlib.sha256(repr(sorted(self.scan().items())).encode()).hexdigest()
        try:
            status = os.stat(self.folder)
        except FileNotFoundError:
            return "missing"
        return f"{status.st_dev}:{status.st_ino}:{status.st_mtime_ns}"

    def stamp_of(self, name: str) -> Stamp:
        """The state of one file. Raises FileNotFoundError."""
        return Stamp.of((self.folder / name).stat())

    def scan(self) -> dict[str, Stamp]:
        """All documents of the folder, and their states."""
        if isinstance(self.folder, ObjectPath):
            return {path.name: Stamp.of(path.stat()) for path in self.folder.glob("*") if self.is_ours(path.name)}
        found = {}
        try:
            entries = os.scandir(self.folder)
        except FileNotFoundError:
            return {}
        with entries:
            for entry in entries:
                if self.is_ours(entry.name):
                    try:
                        found[entry.name] = Stamp.of(entry.stat())
                    except FileNotFoundError:
                        continue  # gone between the two looks
        return found

    def read(self, name: str) -> Content | None:
        """What a file holds; None when it is gone."""
        try:
            return self.row_of(name), None
        except FileNotFoundError:
            return None
        except UnreadableError as error:
            _log.warning("decisions.file_unreadable", path=str(self.folder / name), reason=str(error))
            return None, str(error)

    def load(self, database: sqlite3.Connection, name: str, stamp: Stamp) -> None:
        """Read a file and give it the row of its content."""
        self.keep(database, name, stamp, self.read(name))

    def keep(self, database: sqlite3.Connection, name: str, stamp: Stamp, content: Content | None) -> None:
        """Give a file the row of its content, or none and the reason."""
        self.drop(database, name)
        if content is None:
            return
        row, reason = content
        if row is not None:
            marks = ", ".join("?" * len(row))
            database.execute(f"INSERT INTO {self.table} VALUES ({marks})", row)  # noqa: S608 - our own words
        database.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)",
            (self.name, name, stamp.mtime_ns, stamp.size_bytes, stamp.inode, reason),
        )

    def drop(self, database: sqlite3.Connection, name: str) -> None:
        """Forget a file."""
        database.execute(f"DELETE FROM {self.table} WHERE name = ?", (name,))  # noqa: S608 - our own words
        database.execute("DELETE FROM files WHERE shelf = ? AND name = ?", (self.name, name))


def decision_row(name: str, summary: Summary) -> tuple[Any, ...]:
    """The row of a decision."""
    return (
        name,
        summary.decision_id,
        summary.decision_ns,
        summary.pair,
        summary.action,
        summary.status,
        summary.strategy,
        summary.provider,
        summary.revision,
        0,
    )


def resolve_duplicates(database: sqlite3.Connection) -> None:
    """Of several files with one id, let the highest revision count, then the later decision, then the later name."""
    database.execute("UPDATE decisions SET shadowed = 0 WHERE shadowed = 1")
    ids = database.execute("SELECT decision_id FROM decisions GROUP BY decision_id HAVING count(*) > 1").fetchall()
    for (decision_id,) in ids:
        names = [
            name
            for (name,) in database.execute(
                "SELECT name FROM decisions WHERE decision_id = ? ORDER BY revision DESC, decision_ns DESC, name DESC",
                (decision_id,),
            )
        ]
        _log.warning("decisions.id_twice", decision_id=decision_id, used=names[0], ignored=names[1:])
        database.executemany("UPDATE decisions SET shadowed = 1 WHERE name = ?", [(name,) for name in names[1:]])
