"""Which data files of a table exist, by walking only the partition folders that can hold the answer."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from ticklake.base.errors import CorruptError
from ticklake.readers.query import EVERYTHING, Selection, day_start_ns
from ticklake.schema.partition import partition_folder

SUFFIX: Final = ".parquet"
_MAGIC: Final = b"PAR1"
_FOOTER_BYTES_MIN: Final = 12  # magic, footer length, magic: the smallest file that can be Parquet
_DATE: Final = re.compile(r"date=(\d{4}-\d\d-\d\d)", re.ASCII)
_HOUR: Final = re.compile(r"hour=([01]\d|2[0-3])", re.ASCII)
_START: Final = re.compile(r"part-(\d\d)(\d\d)(\d\d)-", re.ASCII)


class ForeignEntryError(CorruptError):
    """Something lies in a table's folder that we never put there.

    Attributes:
        path: the file or folder.
    """

    def __init__(self, path: str, *, what: str) -> None:
        super().__init__(f"{path}: {what}; run `ticklake verify`, then move it out of the lake")
        self.path = path


class TornFileError(CorruptError):
    """A data file cannot be read as the Parquet file we wrote.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str, *, what: str) -> None:
        super().__init__(f"{path}: {what}; run `ticklake verify`, then restore the file or move it out of the lake")
        self.path = path


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file of a table.

    Attributes:
        path: absolute.
        folder: the partition folders, as named on disk (`symbol=ES/date=2024-12-16/hour=14`).
        size_bytes: when it was listed.
    """

    path: str
    folder: str
    size_bytes: int


def list_files(base: Path, keys: Sequence[str], selection: Selection = EVERYTHING) -> list[DataFile]:
    """The files under `base/key1=.../key2=.../` that can hold wanted rows, in order of their paths.

    A missing `base` is an empty list. Folders that cannot hold a wanted row are not opened.

    Raises:
        ForeignEntryError: a folder or Parquet file lies where only partition folders belong.
    """
    found = _walk(str(base), tuple(keys), "", None, selection, _wanted_names(keys, selection))
    files = [DataFile(path=entry.path, folder=folder, size_bytes=entry.stat().st_size) for entry, folder in found]
    return sorted(files, key=lambda file: file.path)


def list_paths(base: Path, keys: Sequence[str], selection: Selection = EVERYTHING) -> list[str]:
    """The paths of the same files, without a look at each: enough to see whether anything was added or removed."""
    found = _walk(str(base), tuple(keys), "", None, selection, _wanted_names(keys, selection))
    return sorted(entry.path for entry, _ in found)


def has_files(base: Path, keys: Sequence[str], selection: Selection = EVERYTHING) -> bool:
    """Whether at least one data file is there. Stops at the first."""
    wanted = _wanted_names(keys, selection)
    return next(_walk(str(base), tuple(keys), "", None, selection, wanted), None) is not None


def check_ends(files: Sequence[DataFile]) -> None:
    """Look at the first and last bytes of each file: cheap, and enough to name an empty or cut file.

    Raises:
        TornFileError: a file is empty, cut or no Parquet file at all.
    """
    for file in files:
        what = _end_fault(file)
        if what is not None:
            raise TornFileError(file.path, what=what)


def _end_fault(file: DataFile) -> str | None:
    if file.size_bytes == 0:
        return "the file is empty (0 bytes)"
    if file.size_bytes < _FOOTER_BYTES_MIN:
        return f"the file is cut ({file.size_bytes} bytes)"
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


def _wanted_names(keys: Sequence[str], selection: Selection) -> frozenset[str] | None:
    """Folder names of the wanted values of the first key, or None for all."""
    if selection.values is None or not keys or keys[0] in {"date", "hour"}:
        return None
    return frozenset(partition_folder({keys[0]: value}) for value in selection.values)


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
            if not entry.name.startswith(f"{keys[0]}="):
                raise ForeignEntryError(entry.path, what=f"no folder of this table (`{keys[0]}=...` belongs here)")
            day_below, wants = _look(entry, keys[0], day, selection, wanted if folder == "" else None)
            if wants:
                below = f"{folder}/{entry.name}" if folder else entry.name
                yield from _walk(entry.path, keys[1:], below, day_below, selection, wanted)
        elif entry.name.endswith(SUFFIX):
            raise ForeignEntryError(entry.path, what="a Parquet file outside the partition folders")


def _look(
    entry: os.DirEntry[str], key: str, day: date | None, selection: Selection, wanted: frozenset[str] | None
) -> tuple[date | None, bool]:
    """The day of the folder, as far as known, and whether to open it."""
    if key == "date":
        found = _DATE.fullmatch(entry.name)
        if found is None:
            raise ForeignEntryError(entry.path, what="no UTC date (`date=YYYY-MM-DD` belongs here)")
        day = date.fromisoformat(found[1])
        return day, selection.wants_date(day)
    if key == "hour":
        found = _HOUR.fullmatch(entry.name)
        if found is None:
            raise ForeignEntryError(entry.path, what="no UTC hour (`hour=00` to `hour=23` belongs here)")
        return day, day is None or selection.wants_hour(day, int(found[1]))
    return day, wanted is None or entry.name in wanted


def _leaf(
    entry: os.DirEntry[str], folder: str, day: date | None, selection: Selection
) -> Iterator[tuple[os.DirEntry[str], str]]:
    if entry.is_dir(follow_symlinks=False):
        raise ForeignEntryError(entry.path, what="a folder where only data files belong")
    if not entry.name.endswith(SUFFIX):
        return  # engines do not read it; `verify` names it
    if entry.is_symlink():
        raise ForeignEntryError(entry.path, what="a symbolic link")
    until_ns = selection.range.until_ns
    if until_ns is not None and day is not None and _starts_ns(entry.name, day) >= until_ns:
        return  # its earliest event comes after the range
    yield entry, folder


def _starts_ns(name: str, day: date) -> int:
    """The second of the file's earliest event, from its name; the start of the day when the name does not say."""
    found = _START.match(name)
    if found is None:
        return day_start_ns(day)
    hour, minute, second = map(int, found.groups())
    return day_start_ns(day) + (hour * 3600 + minute * 60 + second) * 1_000_000_000
