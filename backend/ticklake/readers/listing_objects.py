"""Which data files of a table a bucket holds.

A request costs the same for one name as for a thousand. So partition folders are listed level by level only while that
leaves some of them out, many at a time; what lies below a folder that is wanted whole comes in one listing. With 1,000
files of one symbol: 0.12 s for the one listing, 0.5 s for all levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from ticklake.files.object_path import ObjectPath
from ticklake.files.side_by_side import side_by_side
from ticklake.readers.listing_rules import (
    SUFFIX,
    DataFile,
    ForeignEntryError,
    ends_before,
    look_at_folder,
    wanted_names,
)
from ticklake.readers.query import DAY_NS, EVERYTHING, Selection, day_start_ns

if TYPE_CHECKING:  # an extra
    from ticklake.files.object_store import ObjectInfo


@dataclass(frozen=True, slots=True)
class _Folder:
    """A partition folder: its place, its name below the table (`symbol=ES/date=2024-12-16`), its day if known."""

    place: ObjectPath
    folder: str
    day: date | None


def object_files(base: ObjectPath, keys: Sequence[str], selection: Selection = EVERYTHING) -> list[DataFile]:
    """The files under `base/key1=.../key2=.../` that can hold wanted rows, in order of their paths.

    Raises:
        ForeignEntryError: an object lies where only partition folders belong.
        StoreUnavailableError: the store does not answer, or does not let us in.
    """
    level: list[_Folder] = [_Folder(base, "", None)]
    whole: list[tuple[_Folder, int]] = []
    for depth, key in enumerate(keys):
        narrows = [_narrows(keys[depth:], folder.day, selection) for folder in level]
        whole += [(folder, depth) for folder, does in zip(level, narrows, strict=True) if not does]
        to_open = [folder for folder, does in zip(level, narrows, strict=True) if does]
        opened = side_by_side(partial(_below, keys=keys, key=key, selection=selection), to_open)
        level = [below for folders in opened for below in folders]
    whole += [(folder, len(keys)) for folder in level]
    found = side_by_side(lambda each: list(_files_below(each[0], keys, each[1], selection)), whole)
    return sorted((file for files in found for file in files), key=lambda file: file.path)


def has_object(base: ObjectPath, keys: Sequence[str], selection: Selection = EVERYTHING) -> bool:
    """Whether at least one data file is there. Stops at the first. Raises as `object_files`."""
    return next(_walk(_Folder(base, "", None), keys, selection), None) is not None


def object_folders(place: ObjectPath) -> list[ObjectPath]:
    """The folders directly below a place; none when nothing is there."""
    return [place / name for name in place.store.list_folder(place.key)[0]]


def _walk(folder: _Folder, keys: Sequence[str], selection: Selection) -> Iterator[DataFile]:
    depth = folder.folder.count("/") + 1 if folder.folder else 0
    if depth == len(keys):
        yield from _files_below(folder, keys, depth, selection)
        return
    for below in _below(folder, keys, keys[depth], selection):
        yield from _walk(below, keys, selection)


def _narrows(keys: Sequence[str], day: date | None, selection: Selection) -> bool:
    """Whether listing the folders of these levels can leave some of them out."""
    if selection.values is not None and keys[0] not in {"date", "hour"}:
        return True
    if "date" in keys:
        return selection.dates is not None or not selection.range.is_open
    if "hour" not in keys or day is None:
        return False
    start_ns, until_ns = selection.range.start_ns, selection.range.until_ns
    day_ns = day_start_ns(day)
    return (start_ns is not None and start_ns > day_ns) or (until_ns is not None and until_ns < day_ns + DAY_NS)


def _below(folder: _Folder, keys: Sequence[str], key: str, selection: Selection) -> list[_Folder]:
    """The wanted partition folders directly below one."""
    names, objects = folder.place.store.list_folder(folder.place.key)
    for info in objects:
        _refuse_file(info.key, folder.place)
    wanted = wanted_names(keys, selection) if not folder.folder else None
    found = []
    for name in names:
        place = folder.place / name
        day, wants = look_at_folder(name, str(place), key, folder.day, selection, wanted)
        if wants:
            found.append(_Folder(place, f"{folder.folder}/{name}" if folder.folder else name, day))
    return found


def _files_below(folder: _Folder, keys: Sequence[str], depth: int, selection: Selection) -> Iterator[DataFile]:
    """The wanted files at any depth below a folder that is `depth` partition columns deep."""
    wanted = wanted_names(keys, selection)
    known: dict[str, tuple[date | None, bool]] = {"": (folder.day, True)}
    start = len(folder.place.key) + 1 if folder.place.key else 0
    for info in folder.place.store.list_all(folder.place.key):
        below, _, name = info.key[start:].rpartition("/")
        parts = below.split("/") if below else []
        if len(parts) > len(keys) - depth:
            place = folder.place / "/".join(parts[: len(keys) - depth + 1])
            raise ForeignEntryError(str(place), what="a folder where only data files belong")
        if below not in known:
            known[below] = _look_down(folder, parts, keys, depth, selection, wanted)
        day, wants = known[below]
        if len(parts) < len(keys) - depth:
            _refuse_file(info.key, folder.place)
        elif wants and name.endswith(SUFFIX) and not ends_before(name, day, selection):
            yield _data_file(folder, below, info)


def _look_down(
    folder: _Folder,
    parts: Sequence[str],
    keys: Sequence[str],
    depth: int,
    selection: Selection,
    wanted: frozenset[str] | None,
) -> tuple[date | None, bool]:
    """The day of a folder several levels below, and whether its files are wanted."""
    day, wants = folder.day, True
    for index, part in enumerate(parts):
        place = folder.place / "/".join(parts[: index + 1])
        names = wanted if depth + index == 0 else None
        day, wants_this = look_at_folder(part, str(place), keys[depth + index], day, selection, names)
        wants = wants and wants_this
    return day, wants


def _data_file(folder: _Folder, below: str, info: ObjectInfo) -> DataFile:
    stored = ObjectPath(folder.place.store, info.key, info=info)
    names = "/".join(part for part in (folder.folder, below) if part)
    return DataFile(path=str(stored), folder=names, size_bytes=info.size_bytes, stored=stored)


def _refuse_file(key: str, place: ObjectPath) -> None:
    """Other objects than Parquet files are not read by engines; `verify` names them."""
    if key.endswith(SUFFIX):
        raise ForeignEntryError(place.store.url(key), what="a Parquet file outside the partition folders")
