"""Stage 3: what each option trade makes dealers hedge, with the future's price as of that trade."""

from __future__ import annotations

from datetime import time
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import polars as pl

from ticklake.silver.stage import ColumnSpec, Role, Stage, StageParameters
from ticklake.silver.stages.black76 import with_greeks

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

_YEAR_NS: Final = 365 * 86_400 * 10**9


class OptionParameters(StageParameters, frozen=True):
    """What Black's formula does not find in a trade.

    Attributes:
        rate (1/year): continuously compounded interest, per year.
        volatility (1/year^0.5): of the future's log return, per square root of a year.
        multiplier (dollars/point): dollars per index point of one contract.
        settlement: when options expire on their expiry date, by the clock in New York.
    """

    rate: float = 0.045
    volatility: Annotated[float, msgspec.Meta(gt=0)] = 0.20
    multiplier: Annotated[float, msgspec.Meta(gt=0)] = 50.0
    settlement: time = time(16, 0)


def add_dealer_flow(options: pl.LazyFrame, trades: pl.LazyFrame, parameters: OptionParameters) -> pl.LazyFrame:
    """Spot, greeks and dealer flow of every option trade.

    Spot: price of the last future trade at or before the option trade. Years left: from the trade to `settlement` on
    `exp_date` in New York, in years of 365 days. Greeks: Black (1976), see `black76`. The dealer takes the other side
    of whoever crossed the spread: dealer flow = -aggressor x size x greek x multiplier (dollars per point for delta,
    dollars per point squared for gamma), 0 when the aggressor is unknown.

    Needs:  both frames in event order; the columns of the stage.
    Shape:  the rows of `options` in their order, five columns more: spot (points), delta, gamma, dealer_delta_flow,
            dealer_gamma_flow. Spot is null before the first future trade; the others then too, and once expired.
    """
    expiry = (
        pl.col("exp_date")
        .dt.combine(parameters.settlement)
        .dt.replace_time_zone("America/New_York")
        .dt.cast_time_unit("ns")
        .dt.epoch("ns")
    )
    left_ns = expiry - pl.col("ts_event_ns")
    years = pl.when(left_ns > 0).then(left_ns * (1.0 / _YEAR_NS))
    spots = trades.select("ts_event_ns", pl.col("price").alias("spot"))
    hedge = pl.col("aggressor").cast(pl.Float64) * pl.col("size") * -parameters.multiplier
    return (
        options.join_asof(spots, on="ts_event_ns", strategy="backward")
        .with_columns(_years=years)
        .pipe(with_greeks, rate=parameters.rate, volatility=parameters.volatility, years="_years")
        .with_columns(
            dealer_delta_flow=hedge * pl.col("delta"),
            dealer_gamma_flow=hedge * pl.col("gamma"),
        )
        .drop("_years")
    )


def _run(frames: Frames, parameters: OptionParameters, session: SessionWindow) -> Frames:
    del session
    return {"options": add_dealer_flow(frames["options"], frames["trades"], parameters)}


def _info(name: str, unit: str, doc: str, low: float | None = None, high: float | None = None) -> ColumnSpec:
    return ColumnSpec(name, pl.Float64(), unit, Role.INFO, doc, low=low, high=high)


STAGE: Final = Stage(
    name="init_market_state",
    run=_run,
    needs={
        "trades": ("ts_event_ns", "price"),
        "options": ("ts_event_ns", "strike", "right", "exp_date", "size", "aggressor"),
    },
    gives={
        "options": (
            _info("spot", "points", "Price of the last future trade as of the option trade."),
            _info("delta", "ratio", "Black (1976), sign of the right included.", -1, 1),
            _info("gamma", "1/points", "Black (1976).", 0),
            _info("dealer_delta_flow", "dollars/point", "-aggressor x size x delta x multiplier."),
            _info("dealer_gamma_flow", "dollars/point^2", "-aggressor x size x gamma x multiplier."),
        ),
    },
    parameters=OptionParameters,
)
