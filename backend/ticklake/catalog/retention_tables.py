"""Retention of what the lake committed: bronze, gold and quarantine, or any folder below them.

Only files that the ledger names are looked at, so what is not committed can never go. A file whose log segment or
staging folder is still there stays too: a restart would publish it again. What goes is entered in the books first
(`lake.retired`): `ticklake verify` counts its rows as retired, and the next run finishes what a crash interrupted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Final

from ticklake.base.clock import Clock
from ticklake.catalog.books import read_books
from ticklake.catalog.retention_rules import Candidate
from ticklake.files.atomic import locked
from ticklake.files.bucket_files import files_of
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.trees import walk_files
from ticklake.lake.layout import staging_name
from ticklake.lake.ledger import LedgerEntry, LedgerFile
from ticklake.lake.retired import (
    RETIRED_FOLDER,
    RetiredFile,
    decide_retirement,
    finish_retirement,
    read_retirements,
)

TIERS: Final = ("bronze", "gold", "quarantine")
_PARTITION_TIME: Final = re.compile(r"/date=(\d{4}-\d\d-\d\d)(?:/hour=(\d\d))?/", re.ASCII)
_FOREIGN_SETTLED_NS: Final = 86_400_000_000_000  # a writer elsewhere takes seconds between ledger and end of commit


class TableShelf:
    """The committed files below one folder of the lake. Their age counts from the end of their partition."""

    def __init__(self, root: Place, kind: str, *, state_dir: Place | None, clock: Clock) -> None:
        """Look at a lake.

        Args:
            root: the data root.
            kind: a tier, or a folder below one: `bronze`, `bronze/futures/trades`, `quarantine/table=raw`.
            state_dir: the state folder of the writer, if it is on this machine.
            clock: stamps the decision.
        """
        self.kind = kind
        self._root = root
        self._state_dir = state_dir
        self._clock = clock
        self._files = files_of(root)

    def candidates(self) -> list[Candidate]:
        """Every committed file below the folder that was not retired yet."""
        return [
            Candidate(path, file.bytes, _partition_end_ns(path) or entry.committed_ns)
            for path, (entry, file) in self._committed.items()
        ]

    def held(self) -> Mapping[str, str]:
        """Files whose commit may not be over, and those that are not there as committed: a loss is no retirement."""
        segments = {(entry.writer, entry.segment): entry for entry, _ in self._committed.values()}
        unsettled = {key: self._why_unsettled(entry) for key, entry in segments.items()}
        found = {}
        for path, (entry, file) in self._committed.items():
            reason = unsettled[entry.writer, entry.segment] or self._why_changed(file)
            if reason is not None:
                found[path] = reason
        return found

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """Enter the files in the books as retired, then unlink them; gives path -> why it is still there.

        Raises:
            DiskError: stop; what was decided is finished by the next run.
        """
        if not items:
            return {}
        with locked(self._root / RETIRED_FOLDER):
            known = self._retired()
            wanted = [(item.path, reason) for item, reason in items if item.path not in known]
            if not wanted:
                return {}
            retired = [_retired(self._committed[path][1], reason) for path, reason in wanted]
            decision = decide_retirement(self._files, str(self._root), retired, decided_ns=self._clock.wall_ns())
            return finish_retirement(self._files, str(self._root), decision)

    @cached_property
    def _committed(self) -> dict[str, tuple[LedgerEntry, LedgerFile]]:
        retired = self._retired()
        return {
            file.path: (entry, file)
            for entry in read_books(self._root)
            for file in entry.files
            if file.path.startswith(f"{self.kind}/") and file.path not in retired
        }

    def _retired(self) -> set[str]:
        return {file.path for found in read_retirements(self._files, str(self._root)) for file in found.files}

    def _why_unsettled(self, entry: LedgerEntry) -> str | None:
        segment = staging_name(entry.segment)
        places = [self._root / "_staging" / entry.lane / segment]
        if self._state_dir is not None:
            places += [
                self._state_dir / "wal" / entry.lane / f"{segment}.wal",
                self._state_dir / "staging" / entry.lane / segment,
            ]
        if self._identity == entry.writer.partition("-")[0]:
            left = next((place for place in places if place.exists()), None)
            return f"segment {entry.segment} of {entry.lane} is not done: {left} is still there" if left else None
        if self._clock.wall_ns() - entry.committed_ns < _FOREIGN_SETTLED_NS:
            return f"committed within a day by {entry.writer}, whose state folder was not looked at; name it (--state)"
        return None

    def _why_changed(self, file: LedgerFile) -> str | None:
        try:
            size_bytes = self._size_of(file.path)
        except (FileNotFoundError, KeyError):
            return "in the ledger, but not on disk; run `ticklake verify`"
        return None if size_bytes == file.bytes else "not as long as it was written; run `ticklake verify`"

    def _size_of(self, path: str) -> int:
        """Raises FileNotFoundError or KeyError when it is not there."""
        return (
            self._listed[path] if isinstance(self._root, ObjectPath) else self._files.size_bytes(f"{self._root}/{path}")
        )

    @cached_property
    def _listed(self) -> dict[str, int]:
        """Path -> bytes of what lies below the folder in a bucket: one listing instead of a question for each file."""
        return {file.path: file.bytes for file in walk_files(self._root, self.kind)}

    @cached_property
    def _identity(self) -> str | None:
        path = None if self._state_dir is None else self._state_dir / "IDENTITY"
        return path.read_text(encoding="ascii", errors="replace").strip() if path and path.is_file() else None


def finish_retirements(root: Place) -> dict[str, str]:
    """Go on with every decision that a crash interrupted; gives path -> why it is still there.

    Raises:
        CorruptError: a decision cannot be read; nothing is unlinked.
        DiskError: stop; the next call goes on.
    """
    files, kept = files_of(root), {}
    if not files.exists(str(root / RETIRED_FOLDER)):
        return {}
    with locked(root / RETIRED_FOLDER):
        for retirement in read_retirements(files, str(root)):
            if not retirement.is_finished:
                kept.update(finish_retirement(files, str(root), retirement))
    return kept


def is_lake_folder(kind: str) -> bool:
    """Whether a kind names a tier, or a folder below one."""
    parts = kind.split("/")
    return parts[0] in TIERS and not {"", ".", ".."} & set(parts)


def _retired(file: LedgerFile, reason: str) -> RetiredFile:
    return RetiredFile(file.path, file.table, file.rows, file.bytes, file.crc32c, reason)


def _partition_end_ns(path: str) -> int | None:
    """The end of the hour or day of a file's folder, UTC ns: all its events are older. None when no folder says."""
    found = _PARTITION_TIME.search(path)
    if found is None:
        return None
    begin = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    end = begin + (timedelta(days=1) if found[2] is None else timedelta(hours=int(found[2]) + 1))
    return int(end.timestamp()) * 1_000_000_000
