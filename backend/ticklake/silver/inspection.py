"""One date, stage by stage: rows, columns, seconds, memory. For people who look for what is slow or wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl
import psutil

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import NoDataError, UsageError
from ticklake.files.place import Place
from ticklake.readers.lake import Lake
from ticklake.schema.session import session_window
from ticklake.silver.checkpoint import load_frames, save_frames
from ticklake.silver.inputs import find_inputs, missing_rows, scan_inputs
from ticklake.silver.manifest import Manifest
from ticklake.silver.pipeline import run_pipeline
from ticklake.silver.recipe import resolve
from ticklake.silver.stage import AnyStage


@dataclass(frozen=True, slots=True)
class StageReport:
    """What one stage did to one frame.

    Attributes:
        stage: its name.
        frame: the frame it made or replaced.
        rows: of the frame.
        columns: of the frame.
        columns_added: names that the frame had not before.
        size_bytes: of the frame in memory.
        seconds: of the stage, all its frames together.
        process_bytes: resident memory of this process after the stage.
    """

    stage: str
    frame: str
    rows: int
    columns: int
    columns_added: tuple[str, ...]
    size_bytes: int
    seconds: float
    process_bytes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """One run: a report per stage and frame, and the frames that it ended with."""

    reports: tuple[StageReport, ...]
    frames: Mapping[str, pl.LazyFrame]


def inspect_date(
    lake: Lake,
    manifest: Manifest,
    day: date,
    *,
    stop_at: str | None = None,
    resume_after: str | None = None,
    checkpoint: Place | None = None,
    clock: Clock | None = None,
) -> Inspection:
    """Run one date and watch; writes nothing into the lake.

    Args:
        lake: where bronze lies.
        manifest: what to run.
        day: trading day.
        stop_at: last stage to run.
        resume_after: stage whose frames an earlier run left in `checkpoint`.
        checkpoint: folder for the frames after `stop_at` (after the last stage when None), each date apart. Parameters
            of later stages may change before a run is resumed.
        clock: measures.

    Raises:
        NoDataError: the day has no session, or no row; or there is no checkpoint.
        UsageError: no such stage, or `resume_after` without a checkpoint.
    """
    recipe = resolve(manifest)
    session = session_window(recipe.manifest.calendar, day)
    if session is None:
        raise NoDataError(f"{recipe.manifest.calendar} has no session on {day}; choose another date")
    if resume_after is not None:
        if checkpoint is None:
            raise UsageError("--resume-after needs --checkpoint with the folder an earlier run left frames in")
        frames = load_frames(checkpoint / day.isoformat(), resume_after)
    else:
        inputs = find_inputs(lake, recipe, session)
        if reason := missing_rows(lake, recipe, inputs):
            raise NoDataError(f"{reason}; see `ticklake ls` for the dates there are")
        frames = scan_inputs(lake, recipe, inputs)
    watch = _Watch(clock or SystemClock())
    made = run_pipeline(
        recipe.pipeline, frames, recipe.parameters, session, stop_at=stop_at, resume_after=resume_after, observe=watch
    )
    if checkpoint is not None:
        save_frames(checkpoint / day.isoformat(), stop_at or recipe.pipeline.stage_names[-1], made)
    return Inspection(tuple(watch.reports), made)


class _Watch:
    """Notes what each stage made and how long it took since the last one."""

    def __init__(self, clock: Clock) -> None:
        self.reports: list[StageReport] = []
        self._clock, self._last_s = clock, clock.monotonic_s()
        self._known: dict[str, frozenset[str]] = {}

    def __call__(self, stage: AnyStage, made: Mapping[str, pl.DataFrame]) -> None:
        now_s = self._clock.monotonic_s()
        resident = psutil.Process().memory_info().rss
        for name, frame in made.items():
            added = tuple(column for column in frame.columns if column not in self._known.get(name, frozenset()))
            self._known[name] = frozenset(frame.columns)
            size_bytes = int(frame.estimated_size())
            self.reports.append(
                StageReport(
                    stage.name, name, frame.height, frame.width, added, size_bytes, now_s - self._last_s, resident
                )
            )
        self._last_s = self._clock.monotonic_s()
