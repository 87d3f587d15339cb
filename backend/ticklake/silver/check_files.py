"""Who checks the files of a version: one unit of work a date, and the sum of all in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from ticklake.files.engines import scan_files
from ticklake.files.place import place_of
from ticklake.silver.checks import DateChecks, check_date, check_empty, sum_up
from ticklake.silver.crew import Crew
from ticklake.silver.finding import Finding
from ticklake.silver.folder import VersionFolder
from ticklake.silver.manifest import dump_manifest, parse_manifest
from ticklake.silver.pipeline import OUTPUTS, PRIMARY
from ticklake.silver.recipe import Recipe, resolve
from ticklake.silver.record import DateRecord, DateStatus

_Checks = dict[str, DateChecks]  # of one date: file without suffix -> what it told


@dataclass(frozen=True, slots=True)
class CheckTask:
    """The published files of one date, to be checked one by one.

    Attributes:
        manifest: the full manifest, as YAML.
        version: place of the version's folder.
        date: YYYY-MM-DD.
        files: name without suffix -> place.
        bytes: of the files; no argument, large tasks begin first.
    """

    manifest: str
    version: str
    date: str
    files: Mapping[str, str]
    bytes: int = 0

    @property
    def key(self) -> str:
        """A version has one builder at a time."""
        return f"{self.version}/checks/{self.date}"

    def arguments(self) -> tuple[object, ...]:
        """For `check_files_of`."""
        return self.manifest, self.date, self.files


def check_files(recipe: Recipe, folder: VersionFolder, records: Mapping[str, DateRecord], crew: Crew) -> list[Finding]:
    """Every check over every output file of every date, and what shows over all dates only.

    Raises:
        CorruptError: a file cannot be read.
    """
    built = {day: record for day, record in records.items() if record.status is DateStatus.BUILT}
    text = dump_manifest(recipe.manifest)
    tasks = [
        CheckTask(
            manifest=text,
            version=str(folder.path),
            date=day,
            files={file.name.removesuffix(".parquet"): str(folder.data_path(day, file.name)) for file in record.files},
            bytes=sum(file.bytes for file in record.files),
        )
        for day, record in built.items()
    ]
    checked = {task.date: msgspec.json.decode(found, type=_Checks) for task, found in crew.run(tasks, check_files_of)}
    empty = {
        day: {OUTPUTS[PRIMARY]: check_empty(record.reason, date=day)}
        for day, record in records.items()
        if day not in built
    }
    of_dates = [found for _, found in sorted((checked | empty).items())]
    warmed_up = any(record.warmup.sessions_found >= record.warmup.sessions_wanted for record in built.values())
    return [
        finding
        for file in OUTPUTS.values()
        if file in recipe.columns
        for finding in sum_up(
            [found[file] for found in of_dates if file in found], recipe.columns[file], file=file, warmed_up=warmed_up
        )
    ]


def check_files_of(manifest: str, day: str, files: Mapping[str, str]) -> bytes:
    """Check the files of one date; arguments as in `CheckTask`. Gives what each told, as JSON."""
    columns = resolve(parse_manifest(manifest)).columns
    found = {
        file: check_date(scan_files([place_of(place)]), columns[file], date=day, file=file)
        for file, place in files.items()
    }
    return msgspec.json.encode(found)
