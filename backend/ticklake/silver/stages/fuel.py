"""Stage 6, third part: whether dealers' hedging feeds a move through the level or dampens it. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec
from ticklake.silver.stages.event_features import column, feature, floats, instants, rows_by
from ticklake.silver.stages.gex import flow_by_strike, sum_within

FUEL_EFFECTS: Final = ("AMPLIFY", "NEUTRAL", "DAMPEN")

FUEL_COLUMNS: Final[tuple[ColumnSpec, ...]] = (
    feature("fuel_gamma", "dollars/point^2", "Dealer gamma flow so far at strikes within `fuel_points` of the level."),
    feature("fuel_effect", "", f"{', '.join(FUEL_EFFECTS)}, by `fuel_gamma_min`.", dtype=pl.String),
)


def fuel_columns(
    events: pl.DataFrame, options: pl.DataFrame, *, near_points: float, gamma_min: float
) -> list[pl.Series]:
    """Dealer gamma near the level, and its effect.

    fuel_gamma = sum over the option trades so far at |strike - level| <= near_points of -aggressor x size x gamma x
    multiplier (stage 3). Short dealers (below -gamma_min) hedge with the move and AMPLIFY it, long ones (above
    gamma_min) hedge against it and DAMPEN it; NEUTRAL between (Barbon, Buraschi 2021, "Gamma Fragility").
    Both null before the first option trade with a known gamma.

    Needs:  events: ts_event_ns, level_price; options: ts_event_ns, strike, dealer_gamma_flow; in event order.
    """
    t, level = instants(events), floats(events, "level_price")
    strikes, flow = flow_by_strike(t, options)
    near = sum_within(flow, np.abs(strikes[None, :] - level[:, None]) <= near_points)
    known = instants(options.filter(pl.col("dealer_gamma_flow").is_not_null()))
    gamma = column("fuel_gamma", np.where(rows_by(known, t) > 0, near, np.nan))
    value = pl.col("fuel_gamma")
    effect = (
        pl.when(value < -gamma_min)
        .then(pl.lit("AMPLIFY"))
        .when(value > gamma_min)
        .then(pl.lit("DAMPEN"))
        .when(value.is_not_null())
        .then(pl.lit("NEUTRAL"))
    )
    return [gamma, gamma.to_frame().select(effect.alias("fuel_effect")).to_series()]
