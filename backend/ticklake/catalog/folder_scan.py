"""What a folder of documents looks like now, and what changed since an index of it was made.

On a local disk every change of a name changes the folder's own time, so that an index is trusted without a look. A
bucket has no folders: one listing tells name, size, time and mark of every document, and that is compared.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ticklake.catalog.folder_index import FolderIndex, Row
from ticklake.files.object_path import ObjectPath, ObjectStat
from ticklake.files.place import Place
from ticklake.files.side_by_side import run_for

SUFFIX: Final = ".json"

FieldsOf = Callable[[Place], list[Any]]
"""The indexed fields of a document. Raises FileNotFoundError."""

FileStat = os.stat_result | ObjectStat


def fresh_index(
    folder: Place, old: FolderIndex | None, fields: tuple[str, ...], read: FieldsOf, *, now_ns: int
) -> FolderIndex | None:
    """The index of what is there now; `old` itself when it still tells the truth, None when there is no folder.

    Args:
        folder: of the documents.
        old: an earlier index, if any; documents that look as they did then are not opened.
        fields: names of the columns, the key first.
        read: gives the fields of a document.
        now_ns: wall clock before the look: what changes meanwhile makes the index stale, never wrong.

    Raises:
        UnreadableError: a document is damaged.
        StoreUnavailableError: the store does not answer.
    """
    if isinstance(folder, ObjectPath):
        found: dict[str, FileStat] = {path.name: path.stat() for path in folder.glob(f"*{SUFFIX}") if _is_ours(path)}
        if not found and old is None:
            return None
        known = old.rows() if old is not None else {}
        kept = {name: row for name, row in known.items() if name in found and _same_object(row, found[name])}
        if old is not None and len(kept) == len(known) == len(found):
            return old
        return _index(folder, found, kept, fields, read, folder_mtime_ns=0, made_ns=now_ns)
    try:
        folder_mtime_ns = folder.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    if old is not None and old.is_current(folder_mtime_ns):
        return old
    with os.scandir(folder) as entries:
        there = [entry for entry in entries if _is_ours(entry)]
    looked = {entry.name: stat for entry in there if (stat := _stat(entry)) is not None}
    rows = old.rows() if old is not None else {}
    same = {
        name: row for name, row in rows.items() if old is not None and name in looked and old.is_same(row, looked[name])
    }
    return _index(folder, looked, same, fields, read, folder_mtime_ns=folder_mtime_ns, made_ns=now_ns)


def _index(
    folder: Place,
    found: Mapping[str, FileStat],
    kept: dict[str, Row],
    fields: tuple[str, ...],
    read: FieldsOf,
    *,
    folder_mtime_ns: int,
    made_ns: int,
) -> FolderIndex:
    """An index of the files that were found, most of their rows known."""

    def fetch(name: str) -> Row | None:
        stat = found[name]
        try:
            return Row(stat.st_size, stat.st_mtime_ns, stat.st_ino, read(folder / name))
        except FileNotFoundError:
            return None  # gone since the look

    new = [name for name in found if name not in kept]
    rows = kept | {name: row for name, row in zip(new, run_for(folder)(fetch, new), strict=True) if row is not None}
    in_order = dict(sorted(rows.items(), key=lambda item: str(item[1].fields[0])))
    return FolderIndex.of_rows(fields, in_order, folder_mtime_ns=folder_mtime_ns, made_ns=made_ns)


def _is_ours(path: os.DirEntry[str] | Path | ObjectPath) -> bool:
    return path.name.endswith(SUFFIX) and not path.name.startswith(".")


def _same_object(row: Row, stat: FileStat) -> bool:
    """Whether an object is the one that the row was made from: by the store's mark, which every change changes."""
    return stat.st_ino != 0 and (row.size, row.mtime_ns, row.inode) == (stat.st_size, stat.st_mtime_ns, stat.st_ino)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except FileNotFoundError:
        return None
