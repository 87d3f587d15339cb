"""Feature versions as people ask for them: which there are, what they hold, their rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

import polars as pl

from ticklake.base.errors import CorruptError, NoDataError, RetryableError
from ticklake.catalog.feature_versions import (
    BUILT,
    COMPLETE,
    Column,
    DateRecord,
    StoredFile,
    columns_of,
    data_path,
    read_manifest,
    read_records,
    read_state,
    read_validation,
    version_folder,
    version_names,
)
from ticklake.files.engines import scan_files
from ticklake.files.errors import NotStoredError, UnreadableError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, place_of
from ticklake.files.side_by_side import run_for
from ticklake.readers.place import find_place
from ticklake.readers.query import Day, days_of

SIGNALS: Final = "signals"
DAMAGED: Final = "damaged"
"""State of a version whose `state.json` cannot be read."""


@dataclass(frozen=True, slots=True)
class FeatureVersion:
    """A version and how far it is. The documents beside it are read when they are asked for.

    Attributes:
        name: of the version.
        state: `building`, `complete`, `failed`; in a list also `damaged`.
        reason: why, when it failed or is damaged; "" otherwise.
        root: the data root.
        stamp: of the file that says so, which every build replaces; None to read anew whatever is asked.
        dates: how many have a record; None when it does not say.
    """

    name: str
    state: str
    reason: str
    root: Place
    stamp: tuple[int, int] | None = None
    dates: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether it may be read."""
        return self.state == COMPLETE

    def manifest(self) -> dict[str, Any]:
        """Everything needed to build it again. Raises FileNotFoundError when it is not complete."""
        return read_manifest(self.root, self.name)

    def validation(self) -> dict[str, Any]:
        """Its checks and its causality certificate. Raises FileNotFoundError."""
        return read_validation(self.root, self.name)

    def records(self) -> list[DateRecord]:
        """What became of each date, in order of dates.

        Raises:
            RetryableError: in a bucket, when not all of them are seen: the version is built again at this moment.
        """
        if self.stamp is None or not self.is_complete:
            return read_records(self.root, self.name)
        return list(_records_of(self.root, self.name, self.stamp, self.dates))

    def columns(self, table: str = SIGNALS) -> tuple[Column, ...]:
        """The columns of an output file with type, unit and role."""
        return columns_of(self.manifest(), table, path=f"manifest of {self.name}")


class SilverReader:
    """Reads the silver tier. Only complete versions give rows."""

    def __init__(self, data_root: Place | str | None = None) -> None:
        self._root = place_of(data_root) if data_root is not None else find_place(None, None)[0]

    def list_versions(self, *, complete_only: bool = False) -> list[FeatureVersion]:
        """The versions, in order of their names, whatever their state; only those that may be read when asked.

        One whose state cannot be read hides no other: it is `damaged`, and its reason names the file.
        """
        found = [self._listed(name) for name in version_names(self._root)]
        return [version for version in found if version.is_complete or not complete_only]

    def get_version(self, version: str) -> FeatureVersion:
        """One version.

        Raises:
            NoDataError: there is no such version; the text names those there are.
        """
        stamp = _stamp_of(self._root, version)
        state = read_state(self._root, version)
        return FeatureVersion(version, state.state, state.reason or "", self._root, stamp, state.dates)

    def scan(
        self,
        version: str,
        dates: Day | Iterable[Day] | None = None,
        *,
        table: str = SIGNALS,
        columns: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """The rows of a version, lazily, in order of dates and within a date as they were written.

        The files are opened by their names when the frame is collected. If the version is built again before that has
        ended, rows may come from two builds, or a file may be gone; `read` notices that, a frame cannot. Collect soon,
        and compare `get_version` before and after where builds go on at the same time.

        Shape: the columns of the manifest; no row when the asked dates are closed or empty.

        Args:
            version: which.
            dates: trading days; all when None.
            table: `signals`, `state` or `episodes`.
            columns: which columns, in this order; all when None.

        Raises:
            NoDataError: no such version or table, or it is not complete, or an asked date is not part of it.
            CorruptError: a file that its records name is gone; or, in a bucket, is another one.
            RetryableError: in a bucket, when the version is built again at this moment.
        """
        found = self.get_version(version)
        if not found.is_complete:
            raise NoDataError(
                f"version {version} is {found.state}{': ' * bool(found.reason)}{found.reason}; "
                "build it to the end first, or choose another one from `ticklake silver ls`"
            )
        records = select_dates(found, days_of(dates))
        files = {
            self._root / data_path(version, record.date, file.name): file
            for record in records
            if record.status == BUILT and (file := record.file(f"{table}.parquet")) is not None
        }
        paths = list(files)
        faults = [fault for fault in run_for(self._root)(_fault_of, files.items()) if fault]
        if faults:
            read_records(self._root, version)  # what was known of them may be old: one that is damaged says so
            if self.get_version(version) != found:
                raise RetryableError(f"version {version} is built again while it is read; read it again")
            raise CorruptError(f"{faults[0]}; build the date again")
        if not paths:
            names = columns or [column.name for column in found.columns(table)]
            return pl.LazyFrame(schema=_empty_schema(self._root, version, found.records(), table, names))
        frame = scan_files(paths)
        return frame if columns is None else frame.select(list(columns))

    def read(self, version: str, dates: Day | Iterable[Day] | None = None, **details: Any) -> pl.DataFrame:
        """The rows of a version, now, all of one build; see `scan`.

        Raises:
            RetryableError: the version was built again meanwhile.
        """
        before = self.get_version(version)
        try:
            rows = self.scan(version, dates, **details).collect()
        except (pl.exceptions.PolarsError, OSError):
            self._check_same(before)
            raise
        self._check_same(before)
        return rows

    def _listed(self, name: str) -> FeatureVersion:
        try:
            return self.get_version(name)
        except UnreadableError as error:
            return FeatureVersion(name, DAMAGED, str(error), self._root)

    def _check_same(self, before: FeatureVersion) -> None:
        if self.get_version(before.name) != before:
            raise RetryableError(f"version {before.name} was built again while it was read; read it again")


@lru_cache(maxsize=64)
def _records_of(root: Place, version: str, stamp: tuple[int, int], dates: int | None) -> tuple[DateRecord, ...]:
    """The records of a complete version: nobody touches them before its state says `building`, in a new file."""
    del stamp  # part of the key
    found = tuple(read_records(root, version))
    if isinstance(root, ObjectPath) and dates not in (None, len(found)):  # a listing shows what it shows
        raise RetryableError(f"{len(found)} of {dates} dates of version {version} are seen in {root}; read it again")
    return found


def _fault_of(item: tuple[Place, StoredFile]) -> str:
    """What is wrong with a data file; "" when it is there. In a bucket also whether it is the one of its record."""
    path, file = item
    if not isinstance(path, ObjectPath):
        return "" if path.is_file() else f"{path} is gone, but its record says that it was built"
    try:
        found = path.store.head(path.key)
    except NotStoredError:
        return f"{path} is gone, but its record says that it was built"
    if found.size_bytes != file.bytes or found.sha256 not in (None, file.sha256):
        return f"{path} is not the file that its record speaks of"
    return ""


def _stamp_of(root: Place, version: str) -> tuple[int, int] | None:
    try:
        found = (version_folder(root, version) / "state.json").stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


def select_dates(version: FeatureVersion, wanted: frozenset[date] | None) -> list[DateRecord]:
    """The records of the asked dates, in order of dates; all when None.

    Raises:
        NoDataError: an asked date is not part of the version.
    """
    records = version.records()
    if wanted is None:
        return records
    known = {record.date for record in records}
    if absent := sorted(wanted - known):
        have = f"{min(known)} to {max(known)}" if known else "no date"
        days = ", ".join(day.isoformat() for day in absent[:5])
        raise NoDataError(f"version {version.name} has no date {days}; it holds {have}, see `ticklake silver ls`")
    return [record for record in records if record.date in wanted]


def _empty_schema(
    root: Place, version: str, records: Iterable[DateRecord], table: str, names: Sequence[str]
) -> Mapping[str, pl.DataType]:
    """Types of the columns from any built date; Null where no date of the version was built."""
    for record in records:
        if record.status == BUILT and record.file(f"{table}.parquet") is not None:
            schema = scan_files([root / data_path(version, record.date, f"{table}.parquet")]).collect_schema()
            return {name: schema[name] for name in names}
    return {name: pl.Null() for name in names}
