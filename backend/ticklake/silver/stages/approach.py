"""Stage 13, approach_features: how price came to the level, and how often it did before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec, LookBack, Stage, StageParameters
from ticklake.silver.stages.event_features import (
    NS_PER_MIN,
    Floats,
    Ints,
    column,
    feature,
    floats,
    instants,
    pairs,
    ratio,
    rows_by,
    total,
    with_columns,
)
from ticklake.silver.stages.rows import rows_of

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames


class ApproachParameters(StageParameters, frozen=True):
    """What belongs to one approach, one touch, one cluster of attempts.

    Attributes:
        lookback_min: bars of how long before t make the approach.
        touch_points: an earlier event is a touch of this level when its level was at most so far away.
        cluster_gap_min: longest pause inside a cluster of attempts.
        cluster_move_points: most a level may move from one attempt to the next of the same cluster.
    """

    lookback_min: Annotated[int, msgspec.Meta(ge=1)] = 10
    touch_points: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    cluster_gap_min: Annotated[float, msgspec.Meta(ge=0)] = 15.0
    cluster_move_points: Annotated[float, msgspec.Meta(ge=0)] = 0.10


def bar_columns(events: pl.DataFrame, bars: pl.DataFrame, *, window_ns: int) -> list[pl.Series]:
    """Velocity, run of bars and distance of the approach, from the bars that lie whole in (t - window, t].

    Velocity: direction x (last close - first open) / (last bar's end - first bar's start), points/min. Bars: how many
    closes in a row, up to the last closed bar, moved toward the level (each against the close before it), no more than
    the window holds. Distance: direction x (entry_price - the furthest price), points, where the furthest price is the
    lowest low when coming from below, the highest high when from above; at least 0. All null without such a bar.
    Definitions of ours.

    Needs:  events: ts_event_ns, direction, entry_price; bars: bar_start_ns, available_ns, open, high, low, close; in
            order of time.
    """
    t, direction = instants(events), floats(events, "direction")
    starts, ends = instants(bars, "bar_start_ns"), instants(bars, "available_ns")
    first, stop = np.searchsorted(starts, t - window_ns, side="left").astype(np.int64), rows_by(ends, t)
    count = np.maximum(stop - first, 0)
    has_bar = count > 0
    head, tail = np.where(has_bar, first, 0), np.where(has_bar, stop - 1, 0)
    owner, row = pairs(first, stop)
    furthest = np.full(t.size, np.inf)
    np.minimum.at(furthest, owner, np.where(direction[owner] > 0, floats(bars, "low")[row], -floats(bars, "high")[row]))

    def of_bars(values: Floats, at: Ints) -> Floats:
        return np.where(has_bar, values[at] if values.size else np.nan, np.nan)

    close = floats(bars, "close")
    run = np.where(direction > 0, of_bars(_run_length(close), tail), of_bars(_run_length(-close), tail))
    minutes = (of_bars(ends.astype(np.float64), tail) - of_bars(starts.astype(np.float64), head)) / NS_PER_MIN
    way = direction * (of_bars(close, tail) - of_bars(floats(bars, "open"), head))
    travelled = direction * floats(events, "entry_price") - furthest
    return [
        column("approach_velocity", ratio(way, minutes)),
        pl.Series("approach_bars", np.minimum(run, count), nan_to_null=True).cast(pl.Int32),
        column("approach_distance", np.where(has_bar, np.maximum(travelled, 0.0), np.nan)),
    ]


def _run_length(close: Floats) -> Floats:
    """How many closes in a row, up to each one, were higher than the one before."""
    place = np.arange(close.size)
    rises = np.zeros(close.size, dtype=np.bool_)
    rises[1:] = np.diff(close) > 0
    last_break = np.maximum.accumulate(np.where(rises, 0, place)) if close.size else place
    return (place - last_break).astype(np.float64)


def prior_touches(events: pl.DataFrame, *, touch_points: float) -> pl.Series:
    """How many earlier events of the session were of the same kind, at a level at most `touch_points` away.

    Needs:  kind, level_price; in event order.
    """
    kind = events["kind"].rank("dense").to_numpy()
    order = np.argsort(kind, kind="stable")
    grouped, level = kind[order], floats(events, "level_price")[order]
    begins = np.searchsorted(grouped, grouped, side="left").astype(np.int64)
    owner, row = pairs(begins, np.arange(order.size))
    touches = np.empty(order.size)
    touches[order] = total(owner, (np.abs(level[row] - level[owner]) <= touch_points).astype(np.float64), order.size)
    return pl.Series("prior_touches", touches).cast(pl.Int32)


def attempt_index(*, gap_ns: int, move_points: float) -> pl.Expr:
    """Number of the event inside its cluster, from 1.

    A cluster is events of one kind and direction, each at most `gap_ns` after the one before, at a level that moved at
    most `move_points` since. Over event rows in event order.
    """
    moved = (pl.col("level_price") - pl.col("level_price").shift(1)).abs() > move_points
    begins = moved | (pl.col("ts_event_ns") - pl.col("ts_event_ns").shift(1) > gap_ns)
    place = pl.int_range(pl.len(), dtype=pl.Int64)
    first = pl.when(begins.fill_null(value=True)).then(place).forward_fill()
    return (place - first + 1).over("kind", "direction").cast(pl.Int32).alias("attempt_index")


def _run(frames: Frames, parameters: ApproachParameters, session: SessionWindow) -> Frames:
    events = rows_of(frames["events"])
    bars = rows_of(frames["bars_1min"].select(_BARS))
    gap_ns = round(parameters.cluster_gap_min * NS_PER_MIN)
    columns = [
        *bar_columns(events, bars, window_ns=parameters.lookback_min * NS_PER_MIN),
        prior_touches(events, touch_points=parameters.touch_points),
        column("minutes_since_open", (instants(events) - session.open_ns) / NS_PER_MIN),
        events.select(attempt_index(gap_ns=gap_ns, move_points=parameters.cluster_move_points)).to_series(),
    ]
    return with_columns(events, columns)


def _lookback(parameters: ApproachParameters) -> LookBack:
    return LookBack(ns=parameters.lookback_min * NS_PER_MIN)


_BARS: Final = ("bar_start_ns", "available_ns", "open", "high", "low", "close")

_GIVES: Final[tuple[ColumnSpec, ...]] = (
    feature("approach_velocity", "points/min", "Speed toward the level over the closed bars before t."),
    feature("approach_bars", "bars", "Closes in a row that moved toward the level.", dtype=pl.Int32, low=0),
    feature("approach_distance", "points", "Way from the furthest price of those bars to the entry.", low=0),
    feature(
        "prior_touches", "events", "Earlier events of this kind near this level.", dtype=pl.Int32, null=False, low=0
    ),
    feature("minutes_since_open", "min", "t less the open of the session; negative before it.", null=False),
    feature("attempt_index", "", "Number of the event in its cluster, from 1.", dtype=pl.Int32, null=False, low=1),
)

STAGE: Final = Stage(
    name="approach_features",
    run=_run,
    needs={
        "events": ("ts_event_ns", "kind", "level_price", "direction", "entry_price"),
        "bars_1min": _BARS,
    },
    gives={"events": _GIVES},
    parameters=ApproachParameters,
    lookback=_lookback,
)
