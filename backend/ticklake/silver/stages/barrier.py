"""Stage 9, barrier_evolution: what rests near the level now, and how that changed."""

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
    book_columns,
    check_ascending,
    column,
    feature,
    floats,
    instants,
    last_of,
    matrix,
    ratio,
    rows_by,
    with_columns,
)
from ticklake.silver.stages.rows import rows_of

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

_PRICES: Final = book_columns("bid_px", "ask_px")
_SIZES: Final = book_columns("bid_sz", "ask_sz")


class BarrierParameters(StageParameters, frozen=True):
    """How near is near, and how far back to compare.

    Attributes:
        near_ticks: how far from the level's zone a resting order may be.
        tick_size (points): points per tick.
        changes_min: the depth now is compared with the depth so many minutes ago.
    """

    near_ticks: Annotated[int, msgspec.Meta(ge=0)] = 8
    tick_size: Annotated[float, msgspec.Meta(gt=0)] = 0.25
    changes_min: tuple[int, ...] = (1, 3, 5)

    def __post_init__(self) -> None:
        """Refuse what cannot be computed.

        Raises:
            UsageError: `changes_min` is not ascending.
        """
        check_ascending("changes_min", self.changes_min)


def near_depth(prices: Floats, sizes: Floats, low: Floats, high: Floats) -> Floats:
    """Contracts that visibly rest at prices in [low, high], per row; NaN when the book does not show that far.

    Args:
        prices: (rows, levels of both sides), points; NaN when absent.
        sizes: likewise, contracts.
        low: per row, points.
        high: per row, points.
    """
    inside = (prices >= low[:, None]) & (prices <= high[:, None])
    depth: Floats = np.where(inside, np.nan_to_num(sizes), 0.0).sum(axis=1)
    shown_low = np.where(np.isnan(prices), np.inf, prices).min(axis=1)
    shown_high = np.where(np.isnan(prices), -np.inf, prices).max(axis=1)
    return np.where((shown_low <= high) & (shown_high >= low), depth, np.nan)


def barrier_evolution_columns(
    events: pl.DataFrame, book: pl.DataFrame, *, reach_points: float, changes_min: tuple[int, ...]
) -> list[pl.Series]:
    """Depth near the level at t, its change in contracts, and in percent of the depth before.

    Near: on either side, at most `reach_points` from the level's zone, that is |price - level| <= zone_points +
    reach_points. Measured from the zone, because price is still zone_points away at t and the feed shows ten levels
    only. What the feed does not show is not counted; null when the shown book does not touch that range at all. Earlier
    depth is that of the same price range, from the last book row at or before t - minutes.

    Needs:  events: ts_event_ns, level_price, zone_points; book: ts_event_ns and ten levels, in event order.
    """
    t, times = instants(events), instants(book)
    level, reach = floats(events, "level_price"), floats(events, "zone_points") + reach_points
    prices, sizes = matrix(book, _PRICES), matrix(book, _SIZES)

    def depth_at(at_ns: Ints) -> Floats:
        known = rows_by(times, at_ns)
        return near_depth(last_of(prices, known), last_of(sizes, known), level - reach, level + reach)

    now = depth_at(t)
    found = [column("near_depth", now)]
    for minutes in changes_min:
        before = depth_at(t - minutes * NS_PER_MIN)
        found += [
            column(f"near_depth_change_{minutes}min", now - before),
            column(f"near_depth_pct_{minutes}min", ratio(now - before, before) * 100.0),
        ]
    return found


def _run(frames: Frames, parameters: BarrierParameters, session: SessionWindow) -> Frames:
    del session
    events = rows_of(frames["events"])
    columns = barrier_evolution_columns(
        events,
        rows_of(frames["book"].select("ts_event_ns", *_PRICES, *_SIZES)),
        reach_points=(parameters.near_ticks + 0.5) * parameters.tick_size,
        changes_min=parameters.changes_min,
    )
    return with_columns(events, columns)


def _gives(parameters: BarrierParameters) -> dict[str, tuple[ColumnSpec, ...]]:
    changes = tuple(
        spec
        for minutes in parameters.changes_min
        for spec in (
            feature(f"near_depth_change_{minutes}min", "contracts", f"Change of near_depth since t - {minutes} min."),
            feature(f"near_depth_pct_{minutes}min", "%", "The change against the depth then; null when 0.", low=-100),
        )
    )
    depth = feature("near_depth", "contracts", "Shown depth within `near_ticks` of the zone; null out of sight.", low=0)
    return {"events": (depth, *changes)}


def _lookback(parameters: BarrierParameters) -> LookBack:
    return LookBack(ns=max(parameters.changes_min, default=0) * NS_PER_MIN)


STAGE: Final = Stage(
    name="barrier_evolution",
    run=_run,
    needs={
        "events": ("ts_event_ns", "level_price", "zone_points"),
        "book": ("ts_event_ns", *_PRICES, *_SIZES),
    },
    gives=_gives,
    parameters=BarrierParameters,
    lookback=_lookback,
)
