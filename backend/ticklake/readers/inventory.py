"""Everything that lies in the lake's data folders, whoever put it there."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.side_by_side import run_for
from ticklake.lake.layout import LEDGER_FOLDER, QUARANTINE_FOLDER
from ticklake.lake.ledger import LedgerCorruptError, LedgerEntry, decode_entry
from ticklake.readers.report import Problem
from ticklake.schema.lookup import TableCatalog

_BRONZE: Final = "bronze"
_PART: Final = re.compile(r"part-\d{6}-(?P<writer>(?P<identity>[a-z0-9]+)-(?P<lane>.+))-(?P<segment>\d{8,})\.parquet")


@dataclass(frozen=True, slots=True)
class Maker:
    """Who wrote a data file, as its name says."""

    writer: str
    lane: str
    segment: int


def maker_of(name: str) -> Maker | None:
    """Who wrote the file of that name; None when the name is none of ours."""
    found = _PART.fullmatch(name)
    return Maker(found["writer"], found["lane"], int(found["segment"])) if found else None


def data_files(root: Place, tables: TableCatalog) -> dict[str, int]:
    """Path (relative to the root) -> bytes of everything below the tables' folders and quarantine, no matter what."""
    folders = {_BRONZE, QUARANTINE_FOLDER, *(table.folder for table in tables if table.tier != _BRONZE)}
    return {path: size_bytes for folder in sorted(folders) for path, size_bytes in _everything(root, folder)}


def read_entries(root: Place) -> tuple[dict[str, LedgerEntry], list[Problem]]:
    """Path (relative to the root) -> ledger entry, and what cannot be read or is misplaced in the ledger's folder."""
    entries: dict[str, LedgerEntry] = {}
    problems: list[Problem] = []
    paths = sorted(path for path, _ in _everything(root, LEDGER_FOLDER))
    run = run_for(root)
    for relative, content in zip(paths, run(lambda path: (root / path).read_bytes(), paths), strict=True):
        try:
            entry = decode_entry(content, path=relative)
        except LedgerCorruptError as error:
            problems.append(Problem("ledger_unreadable", relative, error.reason, "restore the entry from a copy"))
            continue
        expected = f"{LEDGER_FOLDER}/{entry.writer}/{entry.segment:012d}.json"
        if relative != expected:
            what = f"holds the entry that belongs to {expected}: it was copied or renamed"
            problems.append(Problem("ledger_misplaced", relative, what, "move it back, or out of the ledger"))
            continue
        entries[relative] = entry
    return entries, problems


def read_entry(root: Place, maker: Maker) -> LedgerEntry | None:
    """The entry of one segment as it is now; None when there is none (or none that can be read: the check says so)."""
    path = root / LEDGER_FOLDER / maker.writer / f"{maker.segment:012d}.json"
    try:
        return decode_entry(path.read_bytes(), path=str(path))
    except (FileNotFoundError, LedgerCorruptError):
        return None


def _everything(root: Place, folder: str) -> Iterator[tuple[str, int]]:
    """Path (relative to the root) and size of all that lies below a folder."""
    if isinstance(root, ObjectPath):
        start = len(root.key) + 1 if root.key else 0
        for info in root.store.list_all((root / folder).key):
            yield info.key[start:], info.size_bytes
        return
    for path, size_bytes in _walk(str(root / folder)):
        yield os.path.relpath(path, root), size_bytes


def _walk(path: str) -> Iterator[tuple[str, int]]:
    """Files, links and everything else that is no folder, below a folder that may be missing."""
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        else:
            yield entry.path, entry.stat(follow_symlinks=False).st_size
