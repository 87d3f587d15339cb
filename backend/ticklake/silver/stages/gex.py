"""Stage 11: gamma exposure of dealers around spot, from the option trades so far. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec, Stage, StageParameters
from ticklake.silver.stages.event_features import (
    Bools,
    Floats,
    Ints,
    check_ascending,
    column,
    feature,
    floats,
    instants,
    ratio,
    rows_by,
    total,
    with_columns,
)
from ticklake.silver.stages.rows import rows_of

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

_PERCENT: Final = 0.01  # exposure is quoted per move of one percent


class GexParameters(StageParameters, frozen=True):
    """Which strikes count.

    Attributes:
        strike_points: distance from one listed strike to the next.
        strikes (strikes): how many strikes on each side, one set of columns each, ascending.
    """

    strike_points: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    strikes: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] = (1, 2, 3)

    def __post_init__(self) -> None:
        """Refuse what cannot be computed.

        Raises:
            UsageError: `strikes` is not ascending.
        """
        check_ascending("strikes", self.strikes)


def flow_by_strike(t: Ints, options: pl.DataFrame) -> tuple[Floats, Floats]:
    """Dealer gamma flow of every strike, from the first option trade to each event.

    Args:
        t: event times, ascending.
        options: ts_event_ns, strike, dealer_gamma_flow (dollars/point^2), in event order; a trade of unknown gamma
            counts nothing.

    Returns:
        Strikes, ascending, and (events, strikes) of flow so far: the sum over the trades with ts_event_ns <= t.
    """
    flow = floats(options, "dealer_gamma_flow")
    event = np.searchsorted(t, instants(options), side="left")
    counts = np.isfinite(flow) & (event < t.size)
    strikes, place = np.unique(floats(options, "strike")[counts], return_inverse=True)
    cell = event[counts] * strikes.size + place
    cells = np.bincount(cell, weights=flow[counts], minlength=t.size * strikes.size).astype(np.float64)
    return strikes, np.cumsum(cells.reshape(t.size, strikes.size), axis=0)


def sum_within(flow: Floats, inside: Bools) -> Floats:
    """Sum of the flow where `inside`, per event, strike by strike in ascending order.

    One addition after the other: strikes that trade only later add an exact 0.
    """
    owner, strike = np.nonzero(inside)
    return total(owner, flow[owner, strike], flow.shape[0])


def gex_columns(
    events: pl.DataFrame, options: pl.DataFrame, *, strike_points: float, strikes: tuple[int, ...]
) -> list[pl.Series]:
    """Exposure above and below spot, of calls above and of puts below, within so many strikes; asymmetry and ratio.

    Exposure of a strike = spot^2 x 0.01 x the sum over its option trades so far of -aggressor x size x gamma x
    multiplier: dollars of futures that dealers must trade when spot moves one percent (Barbon, Buraschi 2021, "Gamma
    Fragility"; SqueezeMetrics 2016, "Gamma Exposure"). Gamma is that of the trade (stage 3), spot is `entry_price` of
    the event. With n strikes, above means spot <= strike < spot + n x strike_points, below means spot - n x
    strike_points <= strike < spot: exactly n listed strikes each. Asymmetry = above - below at the largest n, ratio =
    above / |below| there, null when below is 0. All null before the first option trade with a known gamma.

    Needs:  events: ts_event_ns, entry_price; options: ts_event_ns, strike, right, dealer_gamma_flow; in event order.
    """
    t, spot = instants(events), floats(events, "entry_price")
    known = instants(options.filter(pl.col("dealer_gamma_flow").is_not_null()))
    scale = np.where(rows_by(known, t) > 0, spot * spot * _PERCENT, np.nan)
    calls = flow_by_strike(t, options.filter(pl.col("right") == "C"))
    puts = flow_by_strike(t, options.filter(pl.col("right") == "P"))

    def above(side: tuple[Floats, Floats], n: int) -> Floats:
        away = side[0][None, :] - spot[:, None]
        return sum_within(side[1], (away >= 0) & (away < n * strike_points))

    def below(side: tuple[Floats, Floats], n: int) -> Floats:
        away = spot[:, None] - side[0][None, :]
        return sum_within(side[1], (away > 0) & (away <= n * strike_points))

    found: dict[str, Floats] = {}
    for n in strikes:
        call_above, put_below = above(calls, n), below(puts, n)
        found[f"gex_above_{n}"] = (call_above + above(puts, n)) * scale
        found[f"gex_below_{n}"] = (below(calls, n) + put_below) * scale
        found[f"gex_call_above_{n}"] = call_above * scale
        found[f"gex_put_below_{n}"] = put_below * scale
    high, low = found[f"gex_above_{strikes[-1]}"], found[f"gex_below_{strikes[-1]}"]
    found |= {"gex_asymmetry": high - low, "gex_ratio": ratio(high, np.abs(low))}
    return [column(name, values) for name, values in found.items()]


def _run(frames: Frames, parameters: GexParameters, session: SessionWindow) -> Frames:
    events = rows_of(frames["events"])
    options = rows_of(
        frames["options"]
        .filter(pl.col("ts_event_ns") >= session.start_ns)
        .select("ts_event_ns", "strike", "right", "dealer_gamma_flow")
    )
    columns = gex_columns(events, options, strike_points=parameters.strike_points, strikes=parameters.strikes)
    return with_columns(events, columns)


def _gives(parameters: GexParameters) -> dict[str, tuple[ColumnSpec, ...]]:
    unit = "dollars/%"
    sides = tuple(
        feature(f"gex_{what}_{n}", unit, f"Dealer gamma exposure {doc} spot, {n} strikes.")
        for n in parameters.strikes
        for what, doc in (
            ("above", "at or above"),
            ("below", "below"),
            ("call_above", "of calls at or above"),
            ("put_below", "of puts below"),
        )
    )
    return {
        "events": (
            *sides,
            feature("gex_asymmetry", unit, "Above less below, at the largest number of strikes."),
            feature("gex_ratio", "ratio", "Above / |below|, at the largest number of strikes; null when below is 0."),
        )
    }


STAGE: Final = Stage(
    name="gex_features",
    run=_run,
    needs={
        "events": ("ts_event_ns", "entry_price"),
        "options": ("ts_event_ns", "strike", "right", "dealer_gamma_flow"),
    },
    gives=_gives,
    parameters=GexParameters,
)
