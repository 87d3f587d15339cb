"""Which data files of a table exist, by walking only the partition folders that can hold the answer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Final

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.readers.listing_objects import has_object, object_files
from ticklake.readers.listing_rules import SUFFIX, ends_before, look_at_folder, wanted_names
from ticklake.readers.listing_rules import DataFile as DataFile
from ticklake.readers.listing_rules import ForeignEntryError as ForeignEntryError
from ticklake.readers.listing_rules import TornFileError as TornFileError
from ticklake.readers.query import EVERYTHING, Selection

_MAGIC: Final = b"PAR1"
_FOOTER_BYTES_MIN: Final = 12  # magic, footer length, magic: the smallest file that can be Parquet


def list_files(base: Place, keys: Sequence[str], selection: Selection = EVERYTHING) -> list[DataFile]:
    """The files under `base/key1=.../key2=.../` that can hold wanted rows, in order of their paths.

    A missing `base` is an empty list. Folders that cannot hold a wanted row are not opened.

    Raises:
        ForeignEntryError: a folder or Parquet file lies where only partition folders belong.
        StoreUnavailableError: the lake lies in a bucket whose store does not answer, or does not let us in.
    """
    if isinstance(base, ObjectPath):
        return object_files(base, keys, selection)
    found = _walk(str(base), tuple(keys), "", None, selection, wanted_names(keys, selection))
    files = [DataFile(path=entry.path, folder=folder, size_bytes=entry.stat().st_size) for entry, folder in found]
    return sorted(files, key=lambda file: file.path)


def list_paths(base: Place, keys: Sequence[str], selection: Selection = EVERYTHING) -> list[str]:
    """The paths of the same files, without a look at each: enough to see whether anything was added or removed."""
    if isinstance(base, ObjectPath):
        return [file.path for file in list_files(base, keys, selection)]
    found = _walk(str(base), tuple(keys), "", None, selection, wanted_names(keys, selection))
    return sorted(entry.path for entry, _ in found)


def has_files(base: Place, keys: Sequence[str], selection: Selection = EVERYTHING) -> bool:
    """Whether at least one data file is there. Stops at the first. Raises as `list_files`."""
    if isinstance(base, ObjectPath):
        return has_object(base, keys, selection)
    wanted = wanted_names(keys, selection)
    return next(_walk(str(base), tuple(keys), "", None, selection, wanted), None) is not None


def check_ends(files: Sequence[DataFile]) -> None:
    """Look at the first and last bytes of each file: cheap, and enough to name an empty or cut file.

    In a bucket only at the size, which the listing told: a PUT is whole or absent, and a look at each object would cost
    a request. Who reads an object that is not ours is told when its footer is read.

    Raises:
        TornFileError: a file is empty, cut or no Parquet file at all.
    """
    for file in files:
        what = _size_fault(file.size_bytes) or (None if file.stored else _end_fault(file))
        if what is not None:
            raise TornFileError(file.path, what=what)


def _size_fault(size_bytes: int) -> str | None:
    if size_bytes == 0:
        return "the file is empty (0 bytes)"
    if size_bytes < _FOOTER_BYTES_MIN:
        return f"the file is cut ({size_bytes} bytes)"
    return None


def _end_fault(file: DataFile) -> str | None:
    descriptor = os.open(file.path, os.O_RDONLY)
    try:
        head = os.pread(descriptor, 4, 0)
        tail = os.pread(descriptor, 8, file.size_bytes - 8)
    finally:
        os.close(descriptor)
    if head != _MAGIC:
        return "the file does not begin like a Parquet file"
    if tail[4:] != _MAGIC:
        return "the file is cut: its footer is missing"
    if int.from_bytes(tail[:4], "little") > file.size_bytes - _FOOTER_BYTES_MIN:
        return "the file is cut: its footer is longer than the file"
    return None


def _walk(
    path: str,
    keys: tuple[str, ...],
    folder: str,
    day: date | None,
    selection: Selection,
    wanted: frozenset[str] | None,
) -> Iterator[tuple[os.DirEntry[str], str]]:
    """The data files as directory entries, each with its partition folders."""
    try:
        entries = list(os.scandir(path))
    except FileNotFoundError:
        return
    for entry in entries:
        if not keys:
            yield from _leaf(entry, folder, day, selection)
        elif entry.is_dir(follow_symlinks=False):
            names = wanted if folder == "" else None
            day_below, wants = look_at_folder(entry.name, entry.path, keys[0], day, selection, names)
            if wants:
                below = f"{folder}/{entry.name}" if folder else entry.name
                yield from _walk(entry.path, keys[1:], below, day_below, selection, wanted)
        elif entry.name.endswith(SUFFIX):
            raise ForeignEntryError(entry.path, what="a Parquet file outside the partition folders")


def _leaf(
    entry: os.DirEntry[str], folder: str, day: date | None, selection: Selection
) -> Iterator[tuple[os.DirEntry[str], str]]:
    if entry.is_dir(follow_symlinks=False):
        raise ForeignEntryError(entry.path, what="a folder where only data files belong")
    if not entry.name.endswith(SUFFIX):
        return  # engines do not read it; `verify` names it
    if entry.is_symlink():
        raise ForeignEntryError(entry.path, what="a symbolic link")
    if not ends_before(entry.name, day, selection):
        yield entry, folder
