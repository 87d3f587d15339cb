"""Stage 6, second part: the resting orders in the way of price, on the side that defends the level. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec
from ticklake.silver.stages.event_features import (
    ASK,
    BID,
    BOOK_LEVELS,
    Bools,
    Floats,
    Ints,
    book_columns,
    column,
    feature,
    floats,
    instants,
    last_of,
    ratio,
    rows_by,
    sum_by,
)
from ticklake.silver.stages.rows import rows_of

BARRIER_STATES: Final = ("WEAK", "THIN", "WALL", "ABSORBING", "DRAINING", "BUILDING", "NORMAL")

BARRIER_COLUMNS: Final[tuple[ColumnSpec, ...]] = (
    feature("barrier_depth", "contracts", "Resting within `barrier_ticks` of the best defending price.", low=0),
    feature("barrier_depth_change", "contracts", "Depth now less depth at t - `barrier_s`."),
    feature("barrier_added", "contracts", "Orders added there in the window; null when no action is known.", low=0),
    feature("barrier_canceled", "contracts", "Orders cancelled there in the window.", low=0),
    feature("barrier_filled", "contracts", "Orders traded away there in the window.", low=0),
    feature("barrier_replenishment", "ratio", "added / (canceled + filled); null when nothing left.", low=0),
    feature("wall_ratio", "ratio", "Depth against its own mean over the session so far.", low=0),
    feature("barrier_state", "", f"First that holds of {', '.join(BARRIER_STATES)}.", dtype=pl.String),
)

_FLOWS: Final = ("added", "canceled", "filled")


@dataclass(frozen=True, slots=True)
class BarrierThresholds:
    """When a barrier is called what; see `barrier_state`. Depths in contracts."""

    weak_depth: float
    thin_ratio: float
    wall_ratio: float
    absorbed: float
    depth_change: float


def barrier_columns(
    events: pl.DataFrame,
    book: pl.LazyFrame,
    actions: pl.LazyFrame,
    *,
    window_ns: int,
    reach_points: float,
    thresholds: BarrierThresholds,
) -> list[pl.Series]:
    """Depth, its change, flows and state of the barrier at each event.

    The defending side is the ask when price comes from below (direction +1), the bid otherwise. The barrier is what
    rests there within `reach_points` of the side's best price, so it moves with the market and is always inside the ten
    visible levels. Flows are sums of `action_size` over (t - window, t], at prices that belonged to the barrier as of
    the last book row before the action: added A, cancelled C, filled F (the side that rested) and T (the side that
    crossed, so it fills the other one; an MBP-10 feed says F or T of a fill, never both). A modification M tells a new
    size and not the old one; it counts in none of them. All three are null when the window holds no action at all: such
    a feed does not say. The measures and states are definitions of ours.

    Needs:  events: ts_event_ns, direction; book: ts_event_ns and ten levels; actions: ts_event_ns, action, side,
            action_price, action_size; all in event order.
    """
    t = instants(events)
    is_ask = events["direction"].to_numpy() > 0
    rows = rows_of(book.select("ts_event_ns", *book_columns("bid_px", "bid_sz", "ask_px", "ask_sz")))
    times = instants(rows)
    now, then = rows_by(times, t), rows_by(times, t - window_ns)

    def defending(side: str) -> tuple[Floats, Floats, Floats]:
        depth = _resting(rows, side, reach_points)
        mean = ratio(sum_by(depth, now), sum_by(np.isfinite(depth).astype(np.float64), now))
        return last_of(depth, now), last_of(depth, then), mean

    depth, before, mean = (np.where(is_ask, *both) for both in zip(defending(ASK), defending(BID), strict=True))
    added, canceled, filled = _flows(t, is_ask, rows, actions, window_ns=window_ns, reach_points=reach_points)
    measured = {
        "barrier_depth": depth,
        "barrier_depth_change": depth - before,
        "barrier_added": added,
        "barrier_canceled": canceled,
        "barrier_filled": filled,
        "barrier_replenishment": ratio(added, canceled + filled),
        "wall_ratio": ratio(depth, mean),
    }
    columns = [column(name, values) for name, values in measured.items()]
    return [*columns, pl.DataFrame(columns).select(barrier_state(thresholds)).to_series()]


@cache
def barrier_state(thresholds: BarrierThresholds) -> pl.Expr:
    """The first that holds; null without a book.

    WEAK depth < weak_depth; THIN wall ratio <= thin_ratio; WALL wall ratio >= wall_ratio; ABSORBING at least `absorbed`
    contracts were filled and the depth did not fall; DRAINING the depth fell by `depth_change` or more; BUILDING it
    rose by as much; NORMAL.
    """
    depth, wall, change = pl.col("barrier_depth"), pl.col("wall_ratio"), pl.col("barrier_depth_change")
    return (
        pl.when(depth.is_null())
        .then(None)
        .when(depth < thresholds.weak_depth)
        .then(pl.lit("WEAK"))
        .when(wall <= thresholds.thin_ratio)
        .then(pl.lit("THIN"))
        .when(wall >= thresholds.wall_ratio)
        .then(pl.lit("WALL"))
        .when((pl.col("barrier_filled") >= thresholds.absorbed) & (change >= 0))
        .then(pl.lit("ABSORBING"))
        .when(change <= -thresholds.depth_change)
        .then(pl.lit("DRAINING"))
        .when(change >= thresholds.depth_change)
        .then(pl.lit("BUILDING"))
        .otherwise(pl.lit("NORMAL"))
        .alias("barrier_state")
    )


def _resting(book: pl.DataFrame, side: str, reach_points: float) -> Floats:
    """Contracts of a side within reach of its best price; NaN when the side is empty."""
    best = floats(book, f"{side}_px_1")
    farthest = best + reach_points if side == ASK else best - reach_points
    summed = np.zeros(best.size)
    for level in range(1, BOOK_LEVELS + 1):  # best first: always the same rounding
        price, size = floats(book, f"{side}_px_{level}"), floats(book, f"{side}_sz_{level}")
        is_near = price <= farthest if side == ASK else price >= farthest
        np.add(summed, size, out=summed, where=is_near & (size == size))  # not NaN
    return np.where(np.isnan(best), np.nan, summed)


def _is_within(price: pl.Expr, best: pl.Expr, side: str, reach_points: float) -> pl.Expr:
    return price <= best + reach_points if side == ASK else price >= best - reach_points


def _flows(
    t: Ints, is_ask: np.ndarray, rows: pl.DataFrame, actions: pl.LazyFrame, *, window_ns: int, reach_points: float
) -> tuple[Floats, Floats, Floats]:
    """Contracts added, cancelled and filled at the barrier of each event."""
    times = instants(rows_of(actions.select("ts_event_ns")))
    first = int(np.searchsorted(times, t.min() - window_ns, side="right")) if t.size else 0
    last = int(np.searchsorted(times, t.max(), side="right")) if t.size else 0
    prices = rows.lazy().select("ts_event_ns", "ask_px_1", "bid_px_1")
    near = (
        actions.slice(first, last - first)
        .join_asof(prices, on="ts_event_ns", strategy="backward")
        .select("ts_event_ns", "action_size", *_at_the_barrier(reach_points))
        .filter(pl.col("added") | pl.col("canceled") | pl.col("filled"), pl.col(ASK) | pl.col(BID))
        .pipe(rows_of, among=last - first)
    )
    is_silent = rows_by(times, t) == rows_by(times, t - window_ns)
    when, size = instants(near), floats(near, "action_size")
    flags = {name: near[name].fill_null(value=False).to_numpy() for name in (*_FLOWS, ASK, BID)}

    def flow(name: str) -> Floats:
        sides = [_sum_in(when, size, flags[name] & flags[resting], t, window_ns) for resting in (ASK, BID)]
        return np.where(is_silent, np.nan, np.where(is_ask, *sides))

    return flow("added"), flow("canceled"), flow("filled")


@cache
def _at_the_barrier(reach_points: float) -> tuple[pl.Expr, ...]:
    """Of each action: whether it added, cancelled, filled; whether what it changed rested at the ask, at the bid."""
    action, side = pl.col("action"), pl.col("side")
    what = {"added": action == "A", "canceled": action == "C", "filled": action.is_in(["F", "T"])}
    rested = {
        ASK: (side == "A") & (action != "T") | (side == "B") & (action == "T"),
        BID: (side == "B") & (action != "T") | (side == "A") & (action == "T"),
    }
    near = (
        (is_here & _is_within(pl.col("action_price"), pl.col(f"{name}_px_1"), name, reach_points)).alias(name)
        for name, is_here in rested.items()
    )
    return (*(what[flow].alias(flow) for flow in _FLOWS), *near)


def _sum_in(times: Ints, size: Floats, chosen: Bools, t: Ints, window_ns: int) -> Floats:
    times, size = times[chosen], size[chosen]
    return sum_by(size, rows_by(times, t)) - sum_by(size, rows_by(times, t - window_ns))
