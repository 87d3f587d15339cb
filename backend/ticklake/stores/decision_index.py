"""Where the documents of a decision folder are, and which one answers a question. Local, and may be deleted.

The documents are the truth. The index knows that it is behind them in three ways: a writer marks it unclean before it
touches a document and clean with its last statement, so a writer that was killed leaves it unclean; it keeps the
modification time of the folders, which every file that comes, goes or is replaced changes; and it keeps the start of
the machine, because a power cut may take its last commits. When it is behind it compares names, times, sizes and
inodes of all files with its own and reads what differs. A file edited in place, with its name and inode kept, is
noticed when it is read; `refresh(Check.EVERY_FILE)` finds it before. A bucket has no times of folders: there a listing,
which names the state of every document, takes their place, so each machine has an index of its own. So has a user who
may only read the documents; writers are then not kept away by the lock, and what they change meanwhile is seen later.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from ticklake.files.atomic import locked
from ticklake.files.names import safe_name
from ticklake.files.place import Place
from ticklake.files.side_by_side import run_for
from ticklake.stores.decision_database import DamagedIndexError, IndexDatabase
from ticklake.stores.decision_files import SUFFIX
from ticklake.stores.decision_filter import DecisionFilter
from ticklake.stores.decision_rows import SCHEMA, SCHEMA_VERSION, Shelf, Stamp, resolve_duplicates

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_T = TypeVar("_T")


class Check(Enum):
    """How closely the index is compared with the files."""

    FOLDERS = "folders"
    EVERY_FILE = "every file"


class DecisionIndex:
    """The index of one folder. Safe for threads and processes; writers hold its lock."""

    def __init__(self, folder: Place, path: Path, shelves: tuple[Shelf, ...]) -> None:
        """Remember where; nothing is opened yet.

        Args:
            folder: what is locked: that of the documents, when it may be written to.
            path: the database, on a local disk.
            shelves: the folders that are indexed.
        """
        self._folder = folder
        self._database = IndexDatabase(path, version=SCHEMA_VERSION, schema=SCHEMA)
        self._shelves = shelves
        self._is_damage_checked = False  # another program may have lacked what is needed to read a file

    # -- questions ----------------------------------------

    def refresh(self, check: Check = Check.FOLDERS) -> None:
        """Make the index say what the files say. Waits for a writer only when it seems to be behind.

        Raises:
            DiskError: the index cannot be kept there; set `index_path`.
        """
        if not self._is_damage_checked:
            self._is_damage_checked = True
            check = Check.EVERY_FILE if self.unreadable() else check
        if check is Check.FOLDERS and self.ask(self._is_fresh):
            return
        with self.lock(check):
            pass

    def ask(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """The answer of the index as it is. A damaged one is thrown away and rebuilt first."""
        try:
            with self._database.use() as database:
                return question(database)
        except DamagedIndexError:
            with self._locked():
                return self._healed(question)

    def names_of(self, decision_id: str) -> list[str]:
        """The files that hold a decision, the valid one first: several when folders were merged by hand.

        Without one, the damaged files that have its id in their name: to be refused, not taken for nothing.
        """
        query = "SELECT name FROM decisions WHERE decision_id = ? ORDER BY shadowed, name"
        names = self.ask(lambda database: [name for (name,) in database.execute(query, (decision_id,))])
        return names or self._damaged_names_of(decision_id)

    def select(self, wanted: DecisionFilter, *, limit: int | None, oldest_first: bool = False) -> list[str]:
        """The files of wanted decisions, newest decision first."""
        condition, parameters = wanted.condition()
        order = "decision_ns, name" if oldest_first else "decision_ns DESC, name DESC"
        query = f"SELECT name FROM decisions WHERE {condition} ORDER BY {order} LIMIT ?"  # noqa: S608 - our own words
        bound = [*parameters, -1 if limit is None else limit]
        return self.ask(lambda database: [name for (name,) in database.execute(query, bound)])

    def count(self, wanted: DecisionFilter) -> int:
        """How many decisions are wanted."""
        condition, parameters = wanted.condition()
        query = f"SELECT count(*) FROM decisions WHERE {condition}"  # noqa: S608 - our own words
        return self.ask(lambda database: int(database.execute(query, parameters).fetchone()[0]))

    def older_than(self, cutoff_ns: int) -> list[str]:
        """The files of decisions made before that time. Nothing is decided after it was written down."""
        query = (
            "SELECT d.name FROM decisions AS d JOIN files AS f ON f.shelf = 'decisions' AND f.name = d.name "
            "WHERE min(d.decision_ns, f.mtime_ns) < ? ORDER BY d.name"
        )
        return self.ask(lambda database: [name for (name,) in database.execute(query, (cutoff_ns,))])

    def ids_of(self, names: list[str]) -> set[str]:
        """The decisions in files."""
        query = "SELECT decision_id FROM decisions WHERE name = ?"
        return self.ask(lambda db: {row[0] for name in names for row in db.execute(query, (name,))})

    def link_names_of(self, decision_ids: set[str]) -> list[str]:
        """The files of the facts that follow from decisions."""
        query = "SELECT name FROM links WHERE decision_id = ?"
        return self.ask(lambda db: [row[0] for each in sorted(decision_ids) for row in db.execute(query, (each,))])

    def unreadable(self) -> dict[str, str]:
        """Files that hold no document of theirs, and why."""
        query = "SELECT shelf, name, error FROM files WHERE error IS NOT NULL ORDER BY shelf, name"
        folders = {shelf.name: shelf.folder for shelf in self._shelves}
        return self.ask(lambda db: {str(folders[shelf] / name): error for shelf, name, error in db.execute(query)})

    # -- changes ----------------------------------------

    @contextmanager
    def lock(self, check: Check = Check.FOLDERS) -> Iterator[None]:
        """Nobody else writes while the block runs, and the index says what the files say."""
        with self._locked():
            if check is Check.EVERY_FILE or not self._healed(self._is_fresh):
                self._healed(self._reconcile)
            yield

    @contextmanager
    def changing(self) -> Iterator[IndexChange]:
        """Change documents in the block, and say there which rows follow. Hold the lock.

        When the block fails, the index stays unclean and the next user reads the files again.
        """
        with self._database.use() as database:
            database.execute("UPDATE facts SET value = '0' WHERE key = 'clean'")
            change = IndexChange()
            yield change
            database.execute("BEGIN IMMEDIATE")
            for step in change.steps:
                step(database)
            self._set_clean(database, [(shelf, shelf.stamp()) for shelf in self._shelves])
            database.execute("COMMIT")

    def discard(self) -> None:
        """Throw the index away. The next question rebuilds it."""
        with self._locked():
            self._database.discard()

    def close(self) -> None:
        """Give files back. The index may be used again afterwards."""
        self._database.close()

    # -- keeping up ----------------------------------------

    def _damaged_names_of(self, decision_id: str) -> list[str]:
        query = "SELECT name FROM files WHERE shelf = 'decisions' AND error IS NOT NULL AND substr(name, 11) = ?"
        ending = f"_{safe_name(decision_id)}{SUFFIX}"  # after the date, which has ten characters
        return self.ask(lambda database: [name for (name,) in database.execute(query, (ending,))])

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self._folder / "decisions")

    def _healed(self, question: Callable[[sqlite3.Connection], _T]) -> _T:
        """Ask under the lock, where a damaged database can be replaced."""
        try:
            with self._database.use() as database:
                return question(database)
        except DamagedIndexError:
            self._database.discard()
            with self._database.use() as database:
                self._reconcile(database)
                return question(database)

    def _is_fresh(self, database: sqlite3.Connection) -> bool:
        facts = dict(database.execute("SELECT key, value FROM facts"))
        return (
            facts.get("clean") == "1"
            and facts.get("boot") == _boot()
            and all(facts.get(shelf.name) == shelf.stamp() for shelf in self._shelves)
        )

    def _reconcile(self, database: sqlite3.Connection) -> None:
        stamps = [(shelf, shelf.stamp()) for shelf in self._shelves]  # before the look: what comes later is seen later
        database.execute("BEGIN IMMEDIATE")
        for shelf in self._shelves:
            known = {
                name: Stamp(mtime_ns, size, inode)
                for name, mtime_ns, size, inode in database.execute(
                    "SELECT name, mtime_ns, bytes, inode FROM files WHERE shelf = ? AND error IS NULL", (shelf.name,)
                )
            }
            query = "SELECT name FROM files WHERE shelf = ? AND error IS NOT NULL"
            damaged = {name for (name,) in database.execute(query, (shelf.name,))}  # read again each time
            found = shelf.scan()
            for name in (known.keys() | damaged) - found.keys():
                shelf.drop(database, name)
            changed = sorted(name for name, stamp in found.items() if known.get(name) != stamp)
            for name, content in zip(changed, run_for(shelf.folder)(shelf.read, changed), strict=True):
                shelf.keep(database, name, found[name], content)
        resolve_duplicates(database)
        self._set_clean(database, stamps)
        database.execute("COMMIT")

    def _set_clean(self, database: sqlite3.Connection, stamps: list[tuple[Shelf, str]]) -> None:
        facts = [("clean", "1"), ("boot", _boot()), *((shelf.name, stamp) for shelf, stamp in stamps)]
        database.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts)


class IndexChange:
    """The rows that follow a change of documents."""

    def __init__(self) -> None:
        self.steps: list[Callable[[sqlite3.Connection], None]] = []

    def load(self, shelf: Shelf, name: str) -> None:
        """The file is new or changed."""
        self.steps.append(lambda database: shelf.load(database, name, shelf.stamp_of(name)))

    def drop(self, shelf: Shelf, name: str) -> None:
        """The file is gone."""
        self.steps.append(lambda database: shelf.drop(database, name))


def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return os.uname().nodename  # a system without it: power cuts are then found by the folders' times alone
