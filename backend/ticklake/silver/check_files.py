"""Checking the files of a version: one unit of work a date, and the sum of all in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from ticklake.files.engines import scan_files
from ticklake.files.place import place_of
from ticklake.silver.checks import DateChecks, check_date, check_empty, sum_up
from ticklake.silver.finding import Finding
from ticklake.silver.folder import VersionFolder
from ticklake.silver.pipeline import OUTPUTS, PRIMARY
from ticklake.silver.recipe import Recipe
from ticklake.silver.record import DateRecord, DateStatus
from ticklake.silver.stage import ColumnSpec
from ticklake.silver.task import Unit

FileChecks = dict[str, DateChecks]
"""File of one date, without suffix -> what it told."""

_SUFFIX: Final = ".parquet"


@dataclass(frozen=True, slots=True)
class CheckTask:
    """The published files of one date, to be checked one by one.

    Attributes:
        build: tells the build from every other one.
        columns: name of a file, without suffix -> its declared columns.
        date: YYYY-MM-DD.
        files: name without suffix -> place.
        bytes: of the files; no argument.
    """

    build: str
    columns: Mapping[str, tuple[ColumnSpec, ...]]
    date: str
    files: Mapping[str, str]
    bytes: int = 0

    @property
    def key(self) -> str:
        """A build checks a date once."""
        return f"{self.build}/checks/{self.date}"

    @property
    def unit(self) -> Unit:
        """`check_files_of`."""
        return check_files_of

    def arguments(self) -> tuple[object, ...]:
        """For `check_files_of`."""
        return self.columns, self.date, self.files


def check_tasks(
    recipe: Recipe, folder: VersionFolder, records: Mapping[str, DateRecord], build: str
) -> list[CheckTask]:
    """A task for each built date; `build` tells this build from every other one."""
    return [
        CheckTask(
            build=build,
            columns=recipe.columns,
            date=day,
            files={file.name.removesuffix(_SUFFIX): str(folder.data_path(day, file.name)) for file in record.files},
            bytes=sum(file.bytes for file in record.files),
        )
        for day, record in records.items()
        if record.status is DateStatus.BUILT
    ]


def sum_up_files(recipe: Recipe, records: Mapping[str, DateRecord], checked: Mapping[str, FileChecks]) -> list[Finding]:
    """Every check over every file of every date, and what shows over all dates only.

    Args:
        recipe: what was built.
        records: of every date.
        checked: built date -> what its files told.
    """
    warmed_up, of_dates = False, []
    for day, record in sorted(records.items()):
        if record.status is DateStatus.BUILT:
            warmed_up |= record.warmup.sessions_found >= record.warmup.sessions_wanted
            of_dates.append(checked[day])
        else:
            of_dates.append({OUTPUTS[PRIMARY]: check_empty(record.reason, date=day)})
    return [
        finding
        for file in OUTPUTS.values()
        if file in recipe.columns
        for finding in sum_up(
            [found[file] for found in of_dates if file in found], recipe.columns[file], file=file, warmed_up=warmed_up
        )
    ]


def check_files_of(columns: Mapping[str, tuple[ColumnSpec, ...]], day: str, files: Mapping[str, str]) -> bytes:
    """Check the files of one date; arguments as in `CheckTask`. Gives `FileChecks` as JSON."""
    found = {
        file: check_date(scan_files([place_of(place)]), columns[file], date=day, file=file)
        for file, place in files.items()
    }
    return msgspec.json.encode(found)
