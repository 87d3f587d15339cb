"""What needs the whole version: one output frame rewritten with what earlier dates tell."""

from __future__ import annotations

from pathlib import Path

import msgspec
import polars as pl

from ticklake.files.engines import scan_files
from ticklake.silver.folder import VersionFolder
from ticklake.silver.pipeline import OUTPUTS
from ticklake.silver.recipe import Recipe
from ticklake.silver.record import DateRecord, DateStatus
from ticklake.silver.work import stage_file


def run_second_pass(folder: VersionFolder, recipe: Recipe, staging: Path) -> list[str]:
    """Rewrite the frame for every date, in order of dates, and publish those whose bytes changed.

    Looks at all dates, whatever was built now: a date that was added or rebuilt changes those after it. Running it
    twice changes nothing.

    Args:
        folder: of the version.
        recipe: what is built.
        staging: folder for the files of this build.

    Returns:
        the dates that were published again.
    """
    second = recipe.pipeline.second_pass
    if second is None:
        return []
    table = OUTPUTS[second.frame]
    name = f"{table}.parquet"
    parameters = recipe.parameters[second.stage]
    changed: list[str] = []
    earlier: list[pl.LazyFrame] = []
    for date, record in folder.read_records().items():
        if record.status is not DateStatus.BUILT or not _has(record, name):
            continue
        frame = scan_files([folder.data_path(date, name)]).collect().lazy()
        made = second.apply(frame, second.statistics(tuple(earlier), parameters), parameters).collect()
        file, staged = stage_file(recipe, date, table, made, staging / "second" / date)
        files = tuple(file if old.name == name else old for old in record.files)
        if files != record.files:
            folder.publish(msgspec.structs.replace(record, files=files), {name: staged})
            changed.append(date)
        earlier.append(frame)
    return changed


def _has(record: DateRecord, name: str) -> bool:
    return any(file.name == name for file in record.files)
