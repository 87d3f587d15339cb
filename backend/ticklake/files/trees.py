"""Folders, on a local disk and in a bucket alike: make, list, walk, remove.

In a bucket a folder is what keys share. It needs no making, and it is gone with its last object. A file to which lines
were appended (`atomic.append_line`) is a folder of lines there; here it is one file everywhere.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from ticklake.files.atomic import remove, remove_lines
from ticklake.files.atomic_local import LOCK_PREFIX
from ticklake.files.errors import NotStoredError
from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.os_errors import sort_error
from ticklake.files.place import Place
from ticklake.files.side_by_side import side_by_side

_LINES_SUFFIX: Final = ".jsonl"
_LINE: Final = re.compile(r"(?P<file>.+\.jsonl)/\d{10}", re.ASCII)


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was seen.

    Attributes:
        path: relative to the place from which it was looked for.
        bytes: its size.
        changed_ns: its last change, UTC ns.
        mark: changes with every change of the file; an inode on a local disk.
    """

    path: str
    bytes: int
    changed_ns: int
    mark: int

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.rpartition("/")[2]


def make_folder(place: Place) -> None:
    """Make a folder and its parents, durably.

    Raises:
        DiskError: it cannot be made.
    """
    if not isinstance(place, ObjectPath):
        LocalFiles().make_folder(str(place))


def list_names(place: Place) -> list[str]:
    """Names of what lies directly in a folder, sorted; empty when there is none.

    Raises:
        DiskError: the folder cannot be read.
        StoreUnavailableError: the store does not answer.
    """
    if isinstance(place, ObjectPath):
        return sorted(path.name for path in place.glob("*"))
    return LocalFiles().list(str(place))


def list_folders(place: Place) -> list[Place]:
    """The folders directly in a folder, sorted, without hidden ones; empty when there is no such folder.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    if isinstance(place, ObjectPath):
        return [place / name for name in place.store.list_folder(place.key)[0] if not name.startswith(".")]
    try:
        entries = _entries(str(place))
    except NotADirectoryError:
        return []
    return [Path(entry.path) for entry in entries if not entry.name.startswith(".") and entry.is_dir()]


def walk_files(root: Place, folder: str) -> Iterator[FoundFile]:
    """Regular files below a folder, in order of their paths; links are neither followed nor given.

    Args:
        root: what the paths are relative to.
        folder: relative to the root; may be missing.

    Raises:
        StoreUnavailableError: the store does not answer.
    """
    if isinstance(root, ObjectPath):
        yield from _walk_objects(root, root / folder)
        return
    for entry in _walk(str(root / folder)):
        stat = entry.stat(follow_symlinks=False)
        yield FoundFile(os.path.relpath(entry.path, root), stat.st_size, stat.st_mtime_ns, stat.st_ino)


def look_at(root: Place, path: str) -> FoundFile:
    """One file as `walk_files` sees it.

    Raises:
        FileNotFoundError: there is none.
    """
    place = root / path
    if isinstance(root, ObjectPath) and isinstance(place, ObjectPath):
        if place.suffix != _LINES_SUFFIX:
            stat = place.stat()
            return FoundFile(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)
        for found in _walk_objects(root, place):
            return found
        raise NotStoredError(f"{place}: no such file", path=str(place))
    local = os.lstat(place)
    return FoundFile(path, local.st_size, local.st_mtime_ns, local.st_ino)


def remove_found(root: Place, path: str) -> bool:
    """Remove one file as `walk_files` sees it, durably; whether there was one.

    Raises:
        DiskError: the disk failed, or we may not remove it.
        StoreUnavailableError: the store does not answer.
    """
    return remove_lines(root / path) if path.endswith(_LINES_SUFFIX) else remove(root / path)


def remove_tree(place: Place) -> None:
    """Remove a folder with all that lies below; fine when there is none. Not in one step: hide it first.

    Raises:
        DiskError: stop; call again.
        StoreUnavailableError: some of it may be left; call again.
    """
    if isinstance(place, ObjectPath):
        side_by_side(lambda info: place.store.delete(info.key), place.store.list_all(place.key))
        return
    try:
        shutil.rmtree(place)
    except FileNotFoundError:
        return
    except OSError as error:
        raise sort_error(error, "remove", str(place)) from error


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif entry.is_file(follow_symlinks=False):
            yield entry


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _walk_objects(root: ObjectPath, folder: ObjectPath) -> Iterator[FoundFile]:
    """The objects below a folder, the lines of a log as one file, without the locks."""
    found = (ObjectPath(root.store, info.key, info=info) for info in root.store.list_all(folder.key))
    for path, objects in groupby(found, key=lambda place: _file_of(place.relative_to(root).as_posix())):
        stats = [each.stat() for each in objects]
        if f"/{LOCK_PREFIX}" not in f"/{path}":
            size, newest = sum(stat.st_size for stat in stats), max(stat.st_mtime_ns for stat in stats)
            yield FoundFile(path, size, newest, stats[-1].st_ino)  # a log changes by one more line at its end


def _file_of(path: str) -> str:
    line = _LINE.fullmatch(path)
    return path if line is None else line["file"]
