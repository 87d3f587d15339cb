"""Stage 6, first part: the trades near a level just before price came to it. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec
from ticklake.silver.stages.event_features import (
    NS_PER_S,
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
)

TAPE_COLUMNS: Final[tuple[ColumnSpec, ...]] = (
    feature("tape_buy_volume", "contracts", "Bought by aggressors near the level.", null=False, low=0),
    feature("tape_sell_volume", "contracts", "Sold by aggressors near the level.", null=False, low=0),
    feature("tape_imbalance", "ratio", "(buy - sell) / (buy + sell); null when neither.", low=-1, high=1),
    feature("tape_velocity", "points/s", "Least-squares slope of price on time; null below two instants."),
    feature("sweep_detected", "", "Whether the largest sweep reaches `sweep_notional`.", dtype=pl.Boolean, null=False),
    feature("sweep_notional", "dollars", "Largest sweep near the level; null when no aggressor is known.", low=0),
)


def tape_columns(
    events: pl.DataFrame,
    trades: pl.DataFrame,
    *,
    window_ns: int,
    near_points: float,
    gap_ns: int,
    notional_min: float,
    multiplier: float,
) -> list[pl.Series]:
    """Volumes, imbalance, velocity and sweeps of the trades in (t - window, t] within `near_points` of the level.

    Imbalance: (buy - sell) / (buy + sell) of contracts by the side that crossed the spread, as the feed says (scaled
    order imbalance of Chordia, Roll, Subrahmanyam 2002, Order imbalance, liquidity, and market returns, J. Financial
    Economics 65(1)); trades of unknown aggressor count in neither. Velocity: slope of the ordinary least-squares line
    of price on time, sum((x - mean x)(p - mean p)) / sum((x - mean x)^2), points per second.
    Sweep: a run of trades of one aggressor, each at most `gap_ns` after the one before; its notional is
    sum(price x size) x multiplier, in dollars. A definition of ours: the feed does not say which order a trade is of.

    Needs:  events: ts_event_ns, level_price; trades: ts_event_ns, price, size, aggressor, in event order.
    """
    t = instants(events)
    level = floats(events, "level_price")
    times = instants(trades)
    owner, row = pairs(rows_by(times, t - window_ns), rows_by(times, t))
    price = floats(trades, "price")
    is_near = np.abs(price[row] - level[owner]) <= near_points
    owner, row = owner[is_near], row[is_near]

    aggressor = floats(trades, "aggressor")[row]
    size = floats(trades, "size")[row]
    buy = total(owner, np.where(aggressor > 0, size, 0.0), t.size)
    sell = total(owner, np.where(aggressor < 0, size, 0.0), t.size)
    seconds = (times[row] - t[owner]) / NS_PER_S
    largest = _largest_sweep(owner, times[row], aggressor, price[row] * size * multiplier, gap_ns=gap_ns, events=t.size)
    return [
        column("tape_buy_volume", buy),
        column("tape_sell_volume", sell),
        column("tape_imbalance", ratio(buy - sell, buy + sell)),
        column("tape_velocity", slope(owner, seconds, price[row] - level[owner], t.size)),
        pl.Series("sweep_detected", largest >= notional_min, dtype=pl.Boolean),
        column("sweep_notional", largest),
    ]


def slope(owner: Ints, x: Floats, y: Floats, events: int) -> Floats:
    """Slope of the least-squares line of y on x of each event; NaN with fewer than two distinct x.

    Units of y per unit of x. Both are centred on their means before anything is squared.
    """
    count = np.maximum(total(owner, np.ones(owner.size), events), 1.0)
    x = x - (total(owner, x, events) / count)[owner]
    y = y - (total(owner, y, events) / count)[owner]
    spread = np.zeros(events)
    np.maximum.at(spread, owner, np.abs(x))
    fitted = ratio(total(owner, x * y, events), total(owner, x * x, events))
    return np.where(spread > _SAME_INSTANT_S, fitted, np.nan)


_SAME_INSTANT_S: Final = 0.5e-9  # times are whole nanoseconds


def _largest_sweep(
    owner: Ints, times_ns: Ints, aggressor: Floats, notional: Floats, *, gap_ns: int, events: int
) -> Floats:
    """Notional of the largest sweep of each event; NaN for an event without a known aggressor."""
    known = aggressor != 0
    owner, times_ns, aggressor, notional = owner[known], times_ns[known], aggressor[known], notional[known]
    begins = np.ones(owner.size, dtype=np.bool_)
    begins[1:] = (np.diff(owner) != 0) | (np.diff(aggressor) != 0) | (np.diff(times_ns) > gap_ns)
    sweep = np.cumsum(begins) - 1
    largest = np.full(events, -np.inf)
    np.maximum.at(largest, owner[begins], np.bincount(sweep, weights=notional))
    return np.where(np.isfinite(largest), largest, np.nan)
