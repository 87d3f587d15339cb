"""Stage 8, multiwindow_ofi: order-flow imbalance before each event, at the best level, over five, in the zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec, LookBack, Stage, StageParameters
from ticklake.silver.stages.event_features import (
    ASK,
    BID,
    NS_PER_S,
    Floats,
    Ints,
    book_columns,
    check_ascending,
    column,
    feature,
    floats,
    instants,
    matrix,
    pairs,
    rows_by,
    sum_by,
    with_columns,
)
from ticklake.silver.stages.load import OFI_LEVELS
from ticklake.silver.stages.rows import rows_of

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

_ROWS_AT_ONCE: Final = 4_096


class OfiParameters(StageParameters, frozen=True):
    """Over which windows order flow is summed.

    Attributes:
        windows_s: lengths in seconds, ascending.
    """

    windows_s: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] = (30, 60, 120, 300)

    def __post_init__(self) -> None:
        """Refuse what cannot be computed.

        Raises:
            UsageError: `windows_s` is not ascending.
        """
        check_ascending("windows_s", self.windows_s)


def ofi_columns(events: pl.DataFrame, book: pl.DataFrame, *, windows_s: tuple[int, ...]) -> list[pl.Series]:
    """OFI over (t - window, t]: best level, sum over five levels, and the part at prices inside the zone.

    Best level and five levels: sum of what every update added (`ticklake.silver.orderflow`; Cont, Kukanov, Stoikov
    2014), over the buckets of the book that ended in the window; contracts, positive is buying. The near variant
    compares the last snapshot of a bucket with that of the bucket before: of each of five levels it counts an arrival
    at its own price and a departure at the price it left, where |price - level| <= zone_points; what came and went
    inside one bucket is not seen there. Null when the book does not reach back to t - window.

    Needs:  events: ts_event_ns, level_price, zone_points; book: ts_event_ns, ofi, ofi5 (contracts) and five levels,
            in event order.
    """
    t, times = instants(events), instants(book)
    sides = [_shown(book, side) for side in (BID, ASK)]
    terms = matrix(book, ("ofi", "ofi5"))
    now = sum_by(terms, rows_by(times, t))
    near = _near(events, times, sides, windows_ns=np.array(windows_s, dtype=np.int64) * NS_PER_S)
    found = []
    for place, window in enumerate(windows_s):
        reached = rows_by(times, t - window * NS_PER_S)
        flow = np.where((reached > 0)[:, None], now - sum_by(terms, reached), np.nan)
        found += [
            column(f"ofi_{window}s", flow[:, 0]),
            column(f"ofi5_{window}s", flow[:, 1]),
            column(f"ofi_near_{window}s", np.where(reached > 0, near[:, place], np.nan)),
        ]
    return found


@dataclass(frozen=True, slots=True)
class _Side:
    """Five levels of one side of the book, (rows, levels).

    Attributes:
        sign: 1 for bids, -1 for asks.
        price: points; of an absent level infinitely far from the other side.
        size: contracts; 0 of an absent level.
    """

    sign: float
    price: Floats
    size: Floats


def _shown(book: pl.DataFrame, side: str) -> _Side:
    """What the book shows of one side, `bid` or `ask`."""
    sign = 1.0 if side == BID else -1.0
    price = matrix(book, book_columns(f"{side}_px", levels=OFI_LEVELS))
    size = matrix(book, book_columns(f"{side}_sz", levels=OFI_LEVELS))
    is_absent = np.isnan(price)
    price[is_absent] = -sign * np.inf
    size[is_absent | np.isnan(size)] = 0.0
    return _Side(sign, price, size)


def _near(events: pl.DataFrame, times: Ints, sides: Sequence[_Side], *, windows_ns: Ints) -> Floats:
    """(events, windows) of flow at prices inside the zone."""
    t = instants(events)
    level, half_width = floats(events, "level_price"), floats(events, "zone_points")
    times, price, flow = _priced_flow(times, sides)
    owner, row = pairs(rows_by(times, t - windows_ns[-1]), rows_by(times, t))
    inside = np.abs(price[row] - level[owner]) <= half_width[owner]
    owner, row = owner[inside], row[inside]
    ring = np.searchsorted(windows_ns, t[owner] - times[row], side="right")  # the smallest window it is in
    rings = np.bincount(owner * windows_ns.size + ring, weights=flow[row], minlength=t.size * windows_ns.size)
    summed: Floats = np.cumsum(rings.astype(np.float64).reshape(t.size, windows_ns.size), axis=1)
    return summed


def _priced_flow(times: Ints, sides: Sequence[_Side]) -> tuple[Ints, Floats, Floats]:
    """Every arrival and departure of the five levels with its time, its price and its signed size, in event order.

    A level whose price stays shows one change of size; a nearer price is an arrival there, a price further away a
    departure from the price before. Some rows at a time, so that what is made on the way fits into the processor's
    cache.
    """
    changes = range(0, max(1, times.size - 1), _ROWS_AT_ONCE)
    found = [_flow_of_some(times, sides, first, min(first + _ROWS_AT_ONCE, times.size - 1)) for first in changes]
    when, price, flow = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return when, price, flow


def _flow_of_some(times: Ints, sides: Sequence[_Side], first: int, last: int) -> tuple[Ints, Floats, Floats]:
    """`_priced_flow` of the changes between rows `first` and `last`."""
    prices, flows = [], []
    for side in sides:
        here, before = side.price[first + 1 : last + 1], side.price[first:last]
        came, left = side.size[first + 1 : last + 1], side.size[first:last]
        is_nearer, is_same = side.sign * here > side.sign * before, here == before
        arrived = np.where(is_nearer, came, np.where(is_same, came - left, 0.0))
        departed = np.where(is_nearer | is_same, 0.0, -left)
        prices += [here, before]
        flows += [side.sign * arrived, side.sign * departed]
    price, flow = np.hstack(prices), np.hstack(flows)
    row, place = np.nonzero(flow)
    return times[first + 1 + row], price[row, place], flow[row, place]


def _run(frames: Frames, parameters: OfiParameters, session: SessionWindow) -> Frames:
    del session
    events = rows_of(frames["events"])
    book = rows_of(frames["book"].select(_BOOK))
    return with_columns(events, ofi_columns(events, book, windows_s=parameters.windows_s))


def _gives(parameters: OfiParameters) -> dict[str, tuple[ColumnSpec, ...]]:
    return {
        "events": tuple(
            feature(f"{name}_{window}s", "contracts", f"Order-flow imbalance {where}, last {window} s.")
            for window in parameters.windows_s
            for name, where in (
                ("ofi", "at the best level"),
                ("ofi5", "summed over five levels"),
                ("ofi_near", "of five levels at prices inside the zone"),
            )
        )
    }


def _lookback(parameters: OfiParameters) -> LookBack:
    return LookBack(ns=max(parameters.windows_s) * NS_PER_S)


_BOOK: Final = ("ts_event_ns", "ofi", "ofi5", *book_columns("bid_px", "bid_sz", "ask_px", "ask_sz", levels=OFI_LEVELS))

STAGE: Final = Stage(
    name="multiwindow_ofi",
    run=_run,
    needs={"events": ("ts_event_ns", "level_price", "zone_points"), "book": _BOOK},
    gives=_gives,
    parameters=OfiParameters,
    lookback=_lookback,
)
