"""Stages 1 and 2: bars of trades, stamped at their close, with average true range and volatility."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import polars as pl

from ticklake.schema.session import previous_sessions
from ticklake.silver.stage import ColumnSpec, LookBack, Role, Stage, StageParameters
from ticklake.silver.stages.moving import moving_deviation, moving_mean
from ticklake.silver.stages.rows import rows_of

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

_NS_PER_MIN: Final = 60 * 10**9


class BarParameters(StageParameters, frozen=True):
    """How many bars the averages run over.

    Attributes:
        atr_bars: bars of the average true range.
        volatility_bars: changes of the close in the volatility.
    """

    atr_bars: Annotated[int, msgspec.Meta(ge=1)] = 14
    volatility_bars: Annotated[int, msgspec.Meta(ge=2)] = 20


class WarmBarParameters(BarParameters, frozen=True):
    """As for any bars, and how much history the slow averages of the levels want.

    Attributes:
        sma_warmup_sessions: earlier sessions whose bars come first; 0 for those of the day alone.
    """

    sma_warmup_sessions: Annotated[int, msgspec.Meta(ge=0)] = 3


def build_bars(trades: pl.LazyFrame, *, minutes: int, atr_bars: int, volatility_bars: int) -> pl.LazyFrame:
    """Bars of `minutes` UTC minutes; a minute without a trade has no bar.

    True range (Wilder 1978, New Concepts in Technical Trading Systems, ch. III): the largest of high - low,
    |high - previous close| and |low - previous close|; the first bar has no previous close, so none. Its average is the
    simple mean over the last `atr_bars` bars (Wilder's own is an exponential one that starts from this mean and never
    forgets; ours depends on those bars only). Volatility: sample standard deviation (n - 1) of the last
    `volatility_bars` changes of the close. "Previous" is the bar before, however long ago.

    Needs:  ts_event_ns, price (points), size (contracts); in event order.
    Shape:  one row per bar with trades, by time: bar_start_ns, available_ns (the bar's end: a bar is known from then
            on), open, high, low, close (points), volume (contracts), atr and volatility (points, null until warm).
    """
    bar_ns = minutes * _NS_PER_MIN
    start = pl.col("ts_event_ns") // bar_ns * bar_ns
    before = pl.col("close").shift(1)
    true_range = pl.when(before.is_not_null()).then(
        pl.max_horizontal(pl.col("high"), before) - pl.min_horizontal(pl.col("low"), before)
    )
    change = pl.col("close") - before
    price = pl.col("price")
    return (
        trades.group_by(start.set_sorted().alias("bar_start_ns"), maintain_order=True)
        .agg(
            open=price.first(),
            high=price.max(),
            low=price.min(),
            close=price.last(),
            volume=pl.col("size").sum(),
        )
        .select(
            "bar_start_ns",
            (pl.col("bar_start_ns") + bar_ns).alias("available_ns"),
            *("open", "high", "low", "close", "volume"),
            moving_mean(true_range, atr_bars).alias("atr"),
            moving_deviation(change, volatility_bars).alias("volatility"),
        )
    )


def _run(frames: Frames, parameters: BarParameters, session: SessionWindow, *, minutes: int) -> Frames:
    del session
    bars = build_bars(
        frames["trades"],
        minutes=minutes,
        atr_bars=parameters.atr_bars,
        volatility_bars=parameters.volatility_bars,
    )
    return {f"bars_{minutes}min": bars}


def _run_warm(frames: Frames, parameters: WarmBarParameters, session: SessionWindow) -> Frames:
    trades = rows_of(frames["trades"].select(_NEEDS["trades"]))
    earlier = previous_sessions(session.calendar, session.date, parameters.sma_warmup_sessions)
    first_ns = min((one.start_ns for one in earlier), default=session.start_ns)
    warm = trades.slice(trades["ts_event_ns"].search_sorted(first_ns))  # other stages may look back further
    return _run({"trades": warm.lazy()}, parameters, session, minutes=2)


def _lookback(parameters: BarParameters) -> LookBack:
    return LookBack(ns=(max(parameters.atr_bars, parameters.volatility_bars) + 1) * _NS_PER_MIN)


def _warmup(parameters: WarmBarParameters) -> LookBack:
    return LookBack(sessions=parameters.sma_warmup_sessions)


_NEEDS: Final = {"trades": ("ts_event_ns", "price", "size")}


def _columns(minutes: int) -> tuple[ColumnSpec, ...]:
    def info(name: str, doc: str, *, dtype: type[pl.DataType] = pl.Float64, unit: str = "points") -> ColumnSpec:
        null = name in ("atr", "volatility")
        return ColumnSpec(name, dtype(), unit, Role.INFO, doc, null=null, low=0 if null or name == "volume" else None)

    return (
        ColumnSpec("bar_start_ns", pl.Int64(), "ns", Role.KEY, f"Beginning of the {minutes} minutes.", null=False),
        ColumnSpec("available_ns", pl.Int64(), "ns", Role.KEY, "End of the bar: known from then on.", null=False),
        info("open", "Price of the first trade."),
        info("high", "Highest price."),
        info("low", "Lowest price."),
        info("close", "Price of the last trade."),
        info("volume", "Contracts traded.", dtype=pl.Int64, unit="contracts"),
        info("atr", "Mean true range (Wilder 1978) of the last bars; null until there are enough."),
        info("volatility", "Standard deviation of the last changes of the close; null until there are enough."),
    )


STAGE_1MIN: Final = Stage(
    name="build_ohlcv_1min",
    run=partial(_run, minutes=1),
    needs=_NEEDS,
    gives={"bars_1min": _columns(1)},
    parameters=BarParameters,
    lookback=_lookback,
)

STAGE_2MIN: Final = Stage(
    name="build_ohlcv_2min",
    run=_run_warm,
    needs=_NEEDS,
    gives={"bars_2min": _columns(2)},
    parameters=WarmBarParameters,
    lookback=_warmup,
)
