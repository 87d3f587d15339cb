"""What may lie where in a table's folder, and which folders and names can hold wanted rows. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ticklake.base.errors import CorruptError
from ticklake.files.object_path import ObjectPath
from ticklake.readers.query import Selection, day_start_ns
from ticklake.schema.partition import partition_folder

SUFFIX: Final = ".parquet"
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
        path: absolute; in a bucket its address.
        folder: the partition folders, as named on disk (`symbol=ES/date=2024-12-16/hour=14`).
        size_bytes: when it was listed.
        stored: the object, when it lies in a bucket.
    """

    path: str
    folder: str
    size_bytes: int
    stored: ObjectPath | None = None

    @property
    def source(self) -> str | ObjectPath:
        """What to open: the path, or the object."""
        return self.stored or self.path


def wanted_names(keys: Sequence[str], selection: Selection) -> frozenset[str] | None:
    """Folder names of the wanted values of the first key, or None for all."""
    if selection.values is None or not keys or keys[0] in {"date", "hour"}:
        return None
    return frozenset(partition_folder({keys[0]: value}) for value in selection.values)


def look_at_folder(
    name: str, path: str, key: str, day: date | None, selection: Selection, wanted: frozenset[str] | None
) -> tuple[date | None, bool]:
    """The day of a partition folder, as far as known, and whether to open it.

    Args:
        name: of the folder.
        path: of the folder, for texts.
        key: the partition column whose folders belong here.
        day: of the folder above.
        selection: what is wanted.
        wanted: names of the wanted folders; None for all.

    Raises:
        ForeignEntryError: it is no folder of that column.
    """
    if not name.startswith(f"{key}="):
        raise ForeignEntryError(path, what=f"no folder of this table (`{key}=...` belongs here)")
    if key == "date":
        found = _DATE.fullmatch(name)
        if found is None:
            raise ForeignEntryError(path, what="no UTC date (`date=YYYY-MM-DD` belongs here)")
        day = date.fromisoformat(found[1])
        return day, selection.wants_date(day)
    if key == "hour":
        found = _HOUR.fullmatch(name)
        if found is None:
            raise ForeignEntryError(path, what="no UTC hour (`hour=00` to `hour=23` belongs here)")
        return day, day is None or selection.wants_hour(day, int(found[1]))
    return day, wanted is None or name in wanted


def ends_before(name: str, day: date | None, selection: Selection) -> bool:
    """Whether the wanted time ends before the earliest event of a file of that name and day."""
    until_ns = selection.range.until_ns
    return until_ns is not None and day is not None and _starts_ns(name, day) >= until_ns


def _starts_ns(name: str, day: date) -> int:
    """The second of the file's earliest event, from its name; the start of the day when the name does not say."""
    found = _START.match(name)
    if found is None:
        return day_start_ns(day)
    hour, minute, second = map(int, found.groups())
    return day_start_ns(day) + (hour * 3600 + minute * 60 + second) * 1_000_000_000
