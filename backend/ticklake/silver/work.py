"""The unit of work: one date of one version, from bronze to staged files. Safe to run twice, anywhere the lake is."""

from __future__ import annotations

import atexit
import gc
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import polars as pl

from ticklake.base.errors import (
    CorruptError,
    NoDataError,
    RetryableError,
    TickLakeError,
    UnavailableError,
    UsageError,
)
from ticklake.files.atomic import replace
from ticklake.files.place import place_of
from ticklake.readers.lake import Lake, open_lake
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.session import session_window
from ticklake.silver.code_hash import Parsed, remember
from ticklake.silver.encode import encode_frame
from ticklake.silver.inputs import find_damage, find_inputs, listing_hash, missing_rows, scan_inputs
from ticklake.silver.manifest import parse_manifest
from ticklake.silver.pipeline import OUTPUTS, PRIMARY, StageFailedError, run_pipeline
from ticklake.silver.recipe import Recipe, resolve
from ticklake.silver.record import DateRecord, DateStatus, OutputFile, decode_json, encode_json
from ticklake.silver.task import Unit

_OF_THE_DATE: Final = (
    *(StageFailedError, CorruptError, NoDataError, RetryableError, UsageError),
    pl.exceptions.PolarsError,
)
"""Errors that fail this date and leave the others: they come from its rows, not from the disk or the program."""


@dataclass(frozen=True, slots=True)
class DateTask:
    """One date to build, in values that travel to any process.

    Attributes:
        root: the data root, absolute.
        tables: the catalog of tables.
        manifest: the full manifest, as YAML.
        date: YYYY-MM-DD.
        staging: folder for the files of this build.
        code_hash: the code that must build it.
        listing: the input files it must be built from; see `inputs.listing_hash`.
        bytes: of those files; no argument, large tasks begin first.
    """

    root: str
    tables: TableCatalog
    manifest: str
    date: str
    staging: str
    code_hash: str
    listing: str
    bytes: int = 0

    @property
    def folder(self) -> Path:
        """Where the date's files are staged."""
        return Path(self.staging) / self.date

    @property
    def key(self) -> str:
        """No two builds share a staging folder."""
        return str(self.folder)

    @property
    def unit(self) -> Unit:
        """`build_date`."""
        return build_date

    def arguments(self) -> tuple[object, ...]:
        """For `build_date`."""
        return self.root, self.tables, self.manifest, self.date, self.staging, self.code_hash, self.listing


def settle_in(manifest: str, parsed: Parsed) -> None:
    """Import and look up what every task of a manifest (YAML) needs, before the first task is there.

    What is wrong with the manifest, every task says. At its end the process goes as it is: no garbage collection looks
    at what it knows once more.

    Args:
        manifest: of the tasks to come.
        parsed: what the process that starts this one knows of the sources.
    """
    remember(parsed)
    with suppress(TickLakeError):
        resolve(parse_manifest(manifest))
    atexit.register(gc.freeze)


def build_date(
    root: str, tables: TableCatalog, manifest: str, date_text: str, staging: str, code_hash: str, listing: str
) -> bytes:
    """Build one date into staging; arguments as in `DateTask`.

    Returns:
        the record as JSON, without inputs and hashes: status, reason, rows, files.

    Raises:
        UsageError: this process has other code than the one that asked.
        DiskError: the disk failed, or is full.
        UnavailableError: the lake lies in a bucket whose store does not answer.
    """
    recipe = resolve(parse_manifest(manifest))
    if recipe.code_hash != code_hash:
        raise UsageError(
            f"the code of the stages here ({recipe.code_hash[:12]}) is not that of the builder ({code_hash[:12]}); "
            "install the same ticklake and stage files on every worker"
        )
    try:
        lake = open_lake(place_of(root), tables=tables)  # a bucket as this process was told, whatever its settings say
        record = _build(lake, recipe, date_text, Path(staging) / date_text, listing)
    except UnavailableError:
        raise  # no fault of the date
    except _OF_THE_DATE as error:
        record = DateRecord(date_text, DateStatus.FAILED, f"{type(error).__name__}: {error}")
    return encode_json(record)


def decode_outcome(content: bytes) -> DateRecord:
    """What `build_date` returned."""
    return decode_json(content, DateRecord, path="the answer of a worker")


def run_date(lake: Lake, recipe: Recipe, day: date, **options: Any) -> dict[str, pl.LazyFrame] | str:
    """Frames that one date gives; or why there are none. Options as in `run_pipeline`.

    Raises:
        StageFailedError: a stage broke on the rows.
        CorruptError: a file cannot be read; the text names it.
    """
    session = session_window(recipe.manifest.calendar, day)
    if session is None:
        return f"no session of {recipe.manifest.calendar} on {day}"
    inputs = find_inputs(lake, recipe, session)
    if reason := missing_rows(lake, recipe, inputs):
        return reason
    frames = scan_inputs(lake, recipe, inputs)
    try:
        return run_pipeline(recipe.pipeline, frames, recipe.parameters, session, **options)
    except StageFailedError as error:
        is_of_rows = isinstance(error.__cause__, pl.exceptions.ComputeError)  # a damaged page is one
        if is_of_rows and (damage := find_damage(lake, recipe, inputs)):
            raise damage from error
        raise


def stage_file(recipe: Recipe, day: str, table: str, frame: pl.DataFrame, folder: Path) -> tuple[OutputFile, Path]:
    """Write one output frame below `folder`, whole and synced; gives its description and place."""
    content = encode_frame(
        frame, version=recipe.manifest.version, date=day, table=table, columns=recipe.columns.get(table, ())
    )
    name = f"{table}.parquet"
    replace(folder / name, content)
    return OutputFile(name, frame.height, len(content), hashlib.sha256(content).hexdigest()), folder / name


def _build(lake: Lake, recipe: Recipe, day: str, folder: Path, listing: str) -> DateRecord:
    _check_listing(lake, recipe, day, listing)
    made = run_date(lake, recipe, date.fromisoformat(day))
    _check_listing(lake, recipe, day, listing)
    if isinstance(made, str):
        return DateRecord(day, DateStatus.EMPTY, made)
    rows = _collected(made)
    if rows[PRIMARY].is_empty():
        return DateRecord(day, DateStatus.EMPTY, f"the stages found no {PRIMARY} in the session")
    files = tuple(stage_file(recipe, day, OUTPUTS[name], rows[name], folder)[0] for name in OUTPUTS if name in rows)
    return DateRecord(day, DateStatus.BUILT, "", rows[PRIMARY].height, files)


def _collected(frames: Mapping[str, pl.LazyFrame]) -> dict[str, pl.DataFrame]:
    return dict(zip(frames, pl.collect_all(list(frames.values())), strict=True))


def _check_listing(lake: Lake, recipe: Recipe, day: str, listing: str) -> None:
    session = session_window(recipe.manifest.calendar, date.fromisoformat(day))
    if session is not None and listing_hash(find_inputs(lake, recipe, session)) != listing:
        raise RetryableError(f"bronze files of {day} changed during the build; build again when they rest")
