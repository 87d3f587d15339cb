"""Toy pipelines that go wrong on purpose."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
from tests.integration.silver.toy import EPISODES, EVENTS, LABEL, LOAD, MOVE, TOY, NoParameters

from ticklake.base.errors import NoDataError
from ticklake.schema.session import SessionWindow
from ticklake.silver.pipeline import SecondPass
from ticklake.silver.stage import ColumnSpec, Frames, Role, Stage

TUESDAY = 1


def break_on_tuesdays(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    if session.date.weekday() == TUESDAY:
        raise ValueError("not a Tuesday")
    return {}


def always_one(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    return {"events": frames["events"].with_columns(pl.lit(1.0).alias("always_one"))}


FRAGILE = TOY.with_stages(
    [LOAD, EVENTS, MOVE, Stage("fragile", break_on_tuesdays, {}, {}, NoParameters), LABEL, EPISODES]
)
CONSTANT = TOY.with_stages(
    [
        *TOY.stages,
        Stage(
            name="constant",
            run=always_one,
            needs={"events": ("event_id",)},
            gives={"events": (ColumnSpec("always_one", pl.Float64, "ratio", Role.FEATURE, "Says nothing."),)},
            parameters=NoParameters,
        ),
    ]
)


def raise_without_a_word(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    """On Tuesdays, as soon as a file says so."""
    if session.date.weekday() == TUESDAY and Path(os.environ["TOY_MARK"]).exists():
        raise NoDataError
    return {}


def forget_some_times(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    time_ns = pl.col("ts_event_ns")
    return {"events": frames["events"].with_columns(pl.when(time_ns < time_ns.max()).then(time_ns))}


def statistics_of_steps(earlier: Sequence[pl.LazyFrame], parameters: NoParameters) -> pl.DataFrame:
    return pl.DataFrame({"factor": [1.0 + len(earlier)]})


def scale_steps(frame: pl.LazyFrame, known: pl.DataFrame, parameters: NoParameters) -> pl.LazyFrame:
    return frame.with_columns(step_points=pl.col("distance_points") * known["factor"][0])


def take_a_while(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    time.sleep(0.4)
    return {}


def die_once(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    """Kills its process the first time it meets a Tuesday; a file remembers that it did."""
    mark = Path(os.environ["TOY_MARK"])
    if session.date.weekday() == TUESDAY and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


SPEECHLESS = TOY.with_stages(
    [*TOY.stages[:2], Stage("speechless", raise_without_a_word, {}, {}, NoParameters), *TOY.stages[2:]]
)
TIMELESS = TOY.with_stages(
    [
        *TOY.stages,
        Stage(
            name="timeless",
            run=forget_some_times,
            needs={"events": ("ts_event_ns",)},
            gives={"events": tuple(spec for spec in EVENTS.gives["events"] if spec.name == "ts_event_ns")},
            parameters=NoParameters,
        ),
    ]
)
REWRITTEN = replace(TOY, second_pass=SecondPass("events", "events", statistics_of_steps, scale_steps))
SLOW = TOY.with_stages([*TOY.stages[:2], Stage("slow", take_a_while, {}, {}, NoParameters), *TOY.stages[2:]])
DEADLY = TOY.with_stages([*TOY.stages[:2], Stage("deadly", die_once, {}, {}, NoParameters), *TOY.stages[2:]])
