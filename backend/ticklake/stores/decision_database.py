"""The SQLite file of a local index: opened when needed, thrown away when damaged. It never holds the only copy.

Connections are pooled, one user at a time each, so that threads do not wait for one another. A connection is dropped
when the file under its name is another one by now (somebody deleted the index) or when the process was forked since.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ticklake.base.errors import DiskError
from ticklake.files.local import LocalFiles

_BUSY_S: Final = 30.0  # a writer holds the database for microseconds; this is for a machine that sleeps
_SIDE_FILES: Final = ("", "-wal", "-shm", "-journal")


class DamagedIndexError(DiskError):
    """The database is no longer one. Discard it and build it again; nothing is lost."""


class IndexDatabase:
    """A database that may be deleted at any time."""

    def __init__(self, path: Path, *, version: int, schema: str) -> None:
        """Remember where; nothing is opened yet.

        Args:
            path: the database file.
            version: of the schema, from 1. A file of another version is thrown away.
            schema: SQL that makes the tables.
        """
        self._path = path
        self._version = version
        self._schema = schema
        self._idle: list[_Connection] = []
        self._inherited: list[_Connection] = []  # of the parent process: closing them here would break its locks

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """A connection in autocommit mode, for one user until the block ends.

        Raises:
            DamagedIndexError: discard the database and build it again.
            DiskError: it cannot be opened or used.
        """
        connection = self._take()
        try:
            yield connection.handle
        except sqlite3.DatabaseError as error:
            if connection.handle.in_transaction:
                connection.handle.rollback()
            raise self._sorted(error) from error
        except BaseException:
            if connection.handle.in_transaction:
                connection.handle.rollback()
            raise
        finally:
            self._idle.append(connection)

    def discard(self) -> None:
        """Delete the database. Call under the lock of the collection."""
        self.close()
        for suffix in _SIDE_FILES:
            Path(f"{self._path}{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        """Close all idle connections. The next use opens one again."""
        while self._idle:
            connection = self._idle.pop()
            if connection.process == os.getpid():
                connection.handle.close()
            else:
                self._inherited.append(connection)

    def _take(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.process != os.getpid():
                self._inherited.append(connection)
            elif connection.file == _file_of(self._path):
                return connection
            else:
                connection.handle.close()
        return self._open()

    def _open(self) -> _Connection:
        LocalFiles().make_folder(str(self._path.absolute().parent))
        try:
            handle = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(handle)
            except BaseException:
                handle.close()
                raise
        except sqlite3.DatabaseError as error:
            raise self._sorted(error) from error
        return _Connection(handle, os.getpid(), _file_of(self._path))

    def _sorted(self, error: sqlite3.DatabaseError) -> DiskError:
        """Damage of the file (of exactly the base class, or a table gone), or any other failure (of a subclass)."""
        if type(error) is sqlite3.DatabaseError or str(error).startswith("no such"):
            return DamagedIndexError(f"{self._path}: {error}; delete it, it is rebuilt from the documents")
        return DiskError(f"{self._path}: {error}; check the disk, or set index_path to a folder on a local disk")

    def _prepare(self, handle: sqlite3.Connection) -> None:
        # WAL: readers do not wait for a writer. NORMAL: a power cut may take the last commits, never the whole file.
        handle.execute("PRAGMA journal_mode = WAL")
        handle.execute("PRAGMA synchronous = NORMAL")
        if _version_of(handle) == self._version:
            return
        handle.execute("BEGIN IMMEDIATE")
        if _version_of(handle) != self._version:  # nobody was faster
            for kind, name in handle.execute(
                "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'"
            ).fetchall():
                handle.execute(f'DROP {kind} "{name}"')
            for statement in self._schema.split(";"):
                handle.execute(statement)
            handle.execute(f"PRAGMA user_version = {self._version:d}")
        handle.execute("COMMIT")


class _Connection:
    """A connection, and where and by whom it was opened."""

    __slots__ = ("file", "handle", "process")

    def __init__(self, handle: sqlite3.Connection, process: int, file: tuple[int, int] | None) -> None:
        self.handle = handle
        self.process = process
        self.file = file


def _version_of(handle: sqlite3.Connection) -> int:
    return int(handle.execute("PRAGMA user_version").fetchone()[0])


def _file_of(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
