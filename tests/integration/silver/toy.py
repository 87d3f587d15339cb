"""A small pipeline on trades, and a lake to run it on: everything the engine does, in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import polars as pl
from tests.integration.small_lake import DAY_NS, T0_NS, SmallLake, trade

from ticklake.schema.session import SessionWindow
from ticklake.silver.manifest import Certificate, Manifest
from ticklake.silver.pipeline import Pipeline, SecondPass
from ticklake.silver.stage import ColumnSpec, Frames, LookBack, Role, Stage, StageParameters, no_lookback

FIRST = date(2024, 12, 16)
TARGET = "tests.integration.silver.toy:TOY"


class LoadParameters(StageParameters, frozen=True, forbid_unknown_fields=True):
    sessions: int = 1


class MoveParameters(StageParameters, frozen=True, forbid_unknown_fields=True):
    rows: int = 5


class LabelParameters(StageParameters, frozen=True, forbid_unknown_fields=True):
    rows: int = 3


class NoParameters(StageParameters, frozen=True, forbid_unknown_fields=True):
    pass


def _key(name: str, dtype: type[pl.DataType], unit: str = "") -> ColumnSpec:
    return ColumnSpec(name, dtype, unit, Role.KEY, name, null=False)


def load(frames: Frames, parameters: LoadParameters, session: SessionWindow) -> Frames:
    trades = frames["bronze_trades"].sort("ts_event_ns", "stream_seq", "message_row")
    return {"trades": trades.with_columns((pl.col("ts_event_ns") < session.start_ns).alias("is_lookback"))}


def events(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    price = pl.col("price")
    made = frames["trades"].with_columns(
        (price - price.shift(1)).alias("step_points"), pl.int_range(pl.len(), dtype=pl.Int64).alias("nth")
    )
    rows = made.filter(~pl.col("is_lookback") & (pl.col("nth") % 10 == 3))
    return {
        "events": rows.select(
            pl.format("{}_{}", pl.lit(session.date.isoformat()), "ts_event_ns").alias("event_id"),
            pl.lit(session.date).alias("date"),
            "ts_event_ns",
            pl.col("price").alias("entry_price"),
            "step_points",
        )
    }


def move(frames: Frames, parameters: MoveParameters, session: SessionWindow) -> Frames:
    mean = frames["trades"].select(
        "ts_event_ns", (pl.col("price") - pl.col("price").rolling_mean(parameters.rows)).alias("distance_points")
    )
    return {"events": frames["events"].join_asof(mean, on="ts_event_ns")}


def leak(frames: Frames, parameters: MoveParameters, session: SessionWindow) -> Frames:
    mean = frames["trades"].select(
        "ts_event_ns",
        (pl.col("price") - pl.col("price").rolling_mean(parameters.rows, center=True)).alias("distance_points"),
    )
    return {"events": frames["events"].join_asof(mean, on="ts_event_ns")}


def label(frames: Frames, parameters: LabelParameters, session: SessionWindow) -> Frames:
    later = frames["trades"].select("ts_event_ns", pl.col("price").shift(-parameters.rows).alias("later_price"))
    return {"events": frames["events"].join_asof(later, on="ts_event_ns")}


def episodes(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    raw = frames["events"].select("event_id", "ts_event_ns", pl.col("distance_points").alias("raw"))
    return {"episodes": raw.with_columns(pl.col("raw").alias("scaled"))}


def late_episodes(frames: Frames, parameters: NoParameters, session: SessionWindow) -> Frames:
    rows = frames["events"].select("event_id", "ts_event_ns", pl.col("entry_price").last().alias("raw"))
    return {"episodes": rows.with_columns(pl.col("raw").alias("scaled"))}


def statistics(earlier: Sequence[pl.LazyFrame], parameters: NoParameters) -> pl.DataFrame:
    if not earlier:
        return pl.DataFrame({"mean": [0.0]})
    return pl.concat(earlier).select(pl.col("raw").mean().fill_null(0.0).alias("mean")).collect()


def scale(frame: pl.LazyFrame, known: pl.DataFrame, parameters: NoParameters) -> pl.LazyFrame:
    return frame.with_columns((pl.col("raw") - known["mean"][0]).alias("scaled"))


LOAD = Stage(
    name="load",
    run=load,
    needs={"bronze_trades": ("ts_event_ns", "stream_seq", "message_row", "price", "size")},
    gives={
        "trades": (
            _key("ts_event_ns", pl.Int64, "ns"),
            ColumnSpec("price", pl.Float64, "points", Role.INFO, "Trade price."),
            ColumnSpec("is_lookback", pl.Boolean, "", Role.INFO, "Before the session."),
        )
    },
    parameters=LoadParameters,
    lookback=lambda own: LookBack(sessions=own.sessions),
)
EVENTS = Stage(
    name="events",
    run=events,
    needs={"trades": ("ts_event_ns", "price", "is_lookback")},
    gives={
        "events": (
            _key("event_id", pl.String),
            _key("date", pl.Date),
            _key("ts_event_ns", pl.Int64, "ns"),
            ColumnSpec("entry_price", pl.Float64, "points", Role.INFO, "Price of the trade."),
            ColumnSpec("step_points", pl.Float64, "points", Role.FEATURE, "Move since the last trade."),
        )
    },
    parameters=NoParameters,
)
MOVE = Stage(
    name="move",
    run=move,
    needs={"events": ("ts_event_ns",), "trades": ("ts_event_ns", "price")},
    gives={"events": (ColumnSpec("distance_points", pl.Float64, "points", Role.FEATURE, "From the mean so far."),)},
    parameters=MoveParameters,
)
LEAK = Stage(name="move", run=leak, needs=MOVE.needs, gives=MOVE.gives, parameters=MoveParameters)
LABEL = Stage(
    name="label",
    run=label,
    needs={"events": ("ts_event_ns",), "trades": ("ts_event_ns", "price")},
    gives={"events": (ColumnSpec("later_price", pl.Float64, "points", Role.LABEL, "Price three trades on."),)},
    parameters=LabelParameters,
    knows_later=True,
)
EPISODES = Stage(
    name="episodes",
    run=episodes,
    needs={"events": ("event_id", "ts_event_ns", "distance_points")},
    gives={
        "episodes": (
            _key("event_id", pl.String),
            _key("ts_event_ns", pl.Int64, "ns"),
            ColumnSpec("raw", pl.Float64, "points", Role.FEATURE, "Distance."),
            ColumnSpec("scaled", pl.Float64, "points", Role.INFO, "Less the mean of earlier dates."),
        )
    },
    parameters=NoParameters,
    lookback=no_lookback,
)
LATE_EPISODES = Stage(
    name="episodes",
    run=late_episodes,
    needs={"events": ("event_id", "ts_event_ns", "entry_price")},
    gives=EPISODES.gives,
    parameters=NoParameters,
)


def _pipeline(name: str, *stages: Stage) -> Pipeline:
    return Pipeline(
        name=name,
        doc="Every tenth trade.",
        stages=stages,
        tables={"bronze_trades": "futures.trades"},
        calendar="us_index_futures",
        symbol="ES",
        second_pass=SecondPass("episodes", "episodes", statistics, scale),
    )


TOY = _pipeline("toy", LOAD, EVENTS, MOVE, LABEL, EPISODES)
LATE = _pipeline("late", LOAD, EVENTS, MOVE, LABEL, LATE_EPISODES)
LEAKY = _pipeline("leaky", LOAD, EVENTS, LEAK, LABEL, EPISODES)


def toy_manifest(version: str = "v1", *, pipeline: str = TARGET, cuts: int = 4, **more: object) -> Manifest:
    return Manifest(version=version, pipeline=pipeline, certificate=Certificate(cuts=cuts), **more)


def add_day(lake: SmallLake, day: int, *, rows: int = 800) -> None:
    """Trades of the n-th day after `FIRST`, one every 20 s from 14:30 UTC, on a path that never repeats."""
    start_ns = T0_NS + day * DAY_NS + 52_200 * 10**9
    lake.add(
        "futures.trades",
        [
            trade(
                start_ns + n * 20 * 10**9,
                price=6000 + round(40 * math.sin(n / 17 + day) + 15 * math.sin(n * n / 901 + 3 * day)) / 4,
                size=1 + (n * 7 + day) % 5,
            )
            for n in range(rows)
        ],
    )


def toy_lake(root: Path, days: int = 3) -> SmallLake:
    """A lake with trades on so many days from Monday, 2024-12-16, on."""
    lake = SmallLake(root)
    for day in range(days):
        add_day(lake, day)
    return lake


def day_text(day: int) -> str:
    return (FIRST + timedelta(days=day)).isoformat()
