"""Third and fourth stage of book_flow: shape of the book, and flow of orders and trades, up to every instant. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import polars as pl

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.orderflow import added
from ticklake.silver.stage import ColumnSpec, Frames, Gives, LookBack, Role, Stage, StageParameters
from ticklake.silver.stages.book_flow_load import LEVELS_OF_BOOK
from ticklake.silver.stages.elementary import logarithm
from ticklake.silver.stages.first_passage import Floats
from ticklake.silver.stages.rows import rows_of_all
from ticklake.silver.stages.windows import step, trailing_sum

_NS_PER_S = 1_000_000_000


class ShapeParameters(StageParameters, frozen=True):
    """None: the shape of a book has no parameter."""


class FlowParameters(StageParameters, frozen=True):
    """Windows that end at the instant, in seconds; each a multiple of the grid step.

    Attributes:
        ofi_windows_s: windows of the order-flow imbalance.
        trade_window_s: window of trade imbalance and signed volume.
        vwap_window_s: window of the volume-weighted price.
        volatility_window_s: window of the realised volatility.
        kyle_window_s: window of Kyle's lambda.
        kyle_steps_min (steps): steps with signed volume that a slope needs.
    """

    ofi_windows_s: tuple[Annotated[int, msgspec.Meta(gt=0)], ...] = (5, 30, 120)
    trade_window_s: Annotated[int, msgspec.Meta(gt=0)] = 30
    vwap_window_s: Annotated[int, msgspec.Meta(gt=0)] = 300
    volatility_window_s: Annotated[int, msgspec.Meta(gt=0)] = 60
    kyle_window_s: Annotated[int, msgspec.Meta(gt=0)] = 120
    kyle_steps_min: Annotated[int, msgspec.Meta(gt=0)] = 10


def book_shape(frames: Frames, parameters: ShapeParameters, session: SessionWindow, *, levels: int) -> Frames:
    """What the book looks like at t.

    mid = (a + b) / 2, spread = a - b, with best bid b and ask a.
    microprice = (A b + B a) / (A + B), with best sizes B and A: the size-weighted mid, which Stoikov (2018), The
    micro-price: a high-frequency estimator of future prices, Quantitative Finance 18(12), sec. 2, starts from.
    queue imbalance over n levels = (sum of B_i - sum of A_i) / (sum of B_i + sum of A_i), i = 1..n, in [-1, 1]; an
    absent level adds nothing. Gould and Bonart (2016), Queue imbalance as a one-tick-ahead price predictor, sec. 3.

    Shape:  one event in, one event out; order kept. Null where a side of the book is absent.
    Knows:  nothing later than t.
    """
    del parameters, session
    bid, ask = pl.col("bid_px_1"), pl.col("ask_px_1")
    bid_size, ask_size = pl.col("bid_sz_1"), pl.col("ask_sz_1")
    shape = {
        "mid": pl.col("mid"),
        "spread": ask - bid,
        "microprice": _ratio(bid * ask_size + ask * bid_size, bid_size + ask_size),
        "queue_imbalance_1": _ratio(bid_size - ask_size, bid_size + ask_size),
    }
    if levels > 1:
        bids, asks = (added([pl.col(f"{side}_sz_{n}") for n in range(1, levels + 1)]) for side in ("bid", "ask"))
        has_both = bid_size.is_not_null() & ask_size.is_not_null()
        shape[f"queue_imbalance_{levels}"] = pl.when(has_both).then(_ratio(bids - asks, bids + asks))
    made = frames["grid"].filter("is_event").select(**shape)
    return {"events": pl.concat([frames["events"], made], how="horizontal")}


def order_and_trade_flow(frames: Frames, parameters: FlowParameters, session: SessionWindow, *, levels: int) -> Frames:
    """What came in the windows that end at t; every window is a sum over grid steps.

    ofi_{w}s, ofi5_{w}s: sum of the order-flow imbalance e_n over (t - w, t], at the best level and over five levels:
    Cont, Kukanov, Stoikov (2014), The price impact of order book events, J. Financial Econometrics 12(1), sec. 2.
    trade_imbalance = (bought - sold) / (bought + sold), signed_volume = bought - sold.
    vwap_distance = mid - sum(price x size) / sum(size).
    realised_volatility = sqrt(sum of squared log returns of the mid per step): Andersen, Bollerslev, Diebold, Labys
    (2001), The distribution of realized exchange rate volatility, JASA 96(453).
    kyle_lambda = least-squares slope of the mid's change per step on the signed volume of the step: Kyle (1985),
    Continuous auctions and insider trading, Econometrica 53(6), whose lambda it estimates.
    time_since_last_trade in s.

    Shape:  one event in, one event out; order kept.
    Null:   until the window is full, where a ratio has no denominator, and a return of a mid that is not positive.
    Knows:  nothing later than t.

    Raises:
        UsageError: a window is not a positive multiple of the grid step.
    """
    del session
    events, grid = rows_of_all([frames["events"], frames["grid"]])
    width = int(grid["instrument"].max() or 0) + 1  # type: ignore[arg-type]
    grid_ns = int(grid["grid_ns"][0]) if grid.height else _NS_PER_S

    def column(name: str) -> Floats:
        return grid[name].cast(pl.Float64).fill_null(np.nan).to_numpy().reshape(-1, width)

    def summed(values: Floats, window_s: int) -> Floats:
        return trailing_sum(values, _rows(window_s, grid_ns))

    made: dict[str, Floats] = {}
    for what in ("ofi", f"ofi{levels}") if levels > 1 else ("ofi",):
        made |= {f"{what}_{w}s": summed(column(f"{what}_step"), w) for w in parameters.ofi_windows_s}
    mid, buy, sell = column("mid"), column("buy_volume"), column("sell_volume")
    bought, sold = summed(buy, parameters.trade_window_s), summed(sell, parameters.trade_window_s)
    made["trade_imbalance"] = _divide(bought - sold, bought + sold)
    made["signed_volume"] = bought - sold
    volume, notional = (summed(column(name), parameters.vwap_window_s) for name in ("volume", "notional"))
    made["vwap_distance"] = mid - _divide(notional, volume)
    returns = step(logarithm(np.where(mid > 0, mid, np.nan)))
    made["realised_volatility"] = np.sqrt(summed(returns * returns, parameters.volatility_window_s))
    made["kyle_lambda"] = kyle_lambda(
        buy - sell, step(mid), _rows(parameters.kyle_window_s, grid_ns), parameters.kyle_steps_min
    )
    since_ns = (grid["ts_event_ns"] - grid["last_trade_ns"]).cast(pl.Float64).fill_null(np.nan)
    made["time_since_last_trade"] = since_ns.to_numpy() / _NS_PER_S
    flow = pl.DataFrame({name: pl.Series(values.ravel()).fill_nan(None) for name, values in made.items()})
    return {"events": events.hstack(flow.filter(grid["is_event"])).lazy()}


def kyle_lambda(signed_volume: Floats, mid_change: Floats, rows: int, steps_min: int) -> Floats:
    """Slope of mid changes on signed volumes over the last `rows` steps, by least squares with an intercept.

    Args:
        signed_volume: per step, bought minus sold; (grid rows, instruments).
        mid_change: per step.
        rows: length of the window.
        steps_min: steps with a signed volume other than 0 that a slope needs.

    Returns:
        Price units per unit of size; NaN without enough such steps, or when all volumes are equal.
    """
    x, y = signed_volume, mid_change
    sum_x, sum_y = trailing_sum(x, rows), trailing_sum(y, rows)
    covariance = trailing_sum(x * y, rows) - sum_x * sum_y / rows
    variance = trailing_sum(x * x, rows) - sum_x * sum_x / rows
    is_active = trailing_sum((x != 0).astype(np.float64), rows) >= steps_min
    spread = 1e-9 * trailing_sum(x * x, rows)  # below that the variance is what rounding left over
    return np.where(is_active & (variance > spread), _divide(covariance, variance), np.nan)


def _rows(window_s: int, grid_ns: int) -> int:
    rows, rest = divmod(window_s * _NS_PER_S, grid_ns)
    if rest or rows < 1:
        raise UsageError(
            f"order_and_trade_flow: a window of {window_s} s is no multiple of the grid step of {grid_ns / 1e6:g} ms; "
            "choose another window or another step in the manifest"
        )
    return rows


def _ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    return pl.when(denominator > 0).then(numerator / denominator)


def _divide(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient; NaN where the denominator is 0."""
    quotient = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0)
    return quotient


def _feature(name: str, unit: str, doc: str, low: float | None = None, high: float | None = None) -> ColumnSpec:
    return ColumnSpec(name, pl.Float64(), unit, Role.FEATURE, doc, low=low, high=high)


def _gives_shape(levels: int) -> Gives:
    deep = _feature(f"queue_imbalance_{levels}", "ratio", f"Bid share minus ask share, {levels} levels.", -1, 1)
    return {
        "events": (
            _feature("mid", "quote units", "Middle of best bid and ask.", 0),
            _feature("spread", "quote units", "Best ask minus best bid."),
            _feature("microprice", "quote units", "Size-weighted mid; Stoikov (2018).", 0),
            _feature("queue_imbalance_1", "ratio", "Bid share minus ask share at the best level.", -1, 1),
            *((deep,) if levels > 1 else ()),
        )
    }


def _gives_flow(parameters: FlowParameters, levels: int) -> Gives:
    size = "base units"
    flow = [_feature(f"ofi_{w}s", size, f"Order-flow imbalance, best level, {w} s.") for w in parameters.ofi_windows_s]
    if levels > 1:
        flow += [
            _feature(f"ofi{levels}_{w}s", size, f"Order-flow imbalance, {levels} levels, {w} s.")
            for w in parameters.ofi_windows_s
        ]
    return {
        "events": (
            *flow,
            _feature("trade_imbalance", "ratio", "Bought minus sold over their sum.", -1, 1),
            _feature("signed_volume", size, "Bought minus sold."),
            _feature("vwap_distance", "quote units", "Mid minus volume-weighted price."),
            _feature("realised_volatility", "log return", "Root of summed squared log returns of the mid.", 0),
            _feature("kyle_lambda", "quote units per base unit", "Slope of mid change on signed volume; Kyle (1985)."),
            _feature("time_since_last_trade", "s", "Seconds since the last trade.", 0),
        )
    }


_BEST = ("bid_px_1", "bid_sz_1", "ask_px_1", "ask_sz_1")
_FLOW = ("buy_volume", "sell_volume", "volume", "notional")


def _lookback(parameters: FlowParameters) -> LookBack:
    windows = (
        *parameters.ofi_windows_s,
        *(parameters.trade_window_s, parameters.vwap_window_s),
        *(parameters.volatility_window_s, parameters.kyle_window_s),
    )
    return LookBack(ns=max(windows) * _NS_PER_S)


def _shape_stage(levels: int) -> Stage[ShapeParameters]:
    def run(frames: Frames, parameters: ShapeParameters, session: SessionWindow) -> Frames:
        return book_shape(frames, parameters, session, levels=levels)

    deeper = tuple(f"{side}_sz_{n}" for n in range(2, levels + 1) for side in ("bid", "ask"))
    return Stage(
        name="book_shape",
        run=run,
        needs={"grid": ("is_event", "mid", *_BEST, *deeper), "events": ("event_id",)},
        gives=_gives_shape(levels),
        parameters=ShapeParameters,
    )


def _flow_stage(levels: int) -> Stage[FlowParameters]:
    def run(frames: Frames, parameters: FlowParameters, session: SessionWindow) -> Frames:
        return order_and_trade_flow(frames, parameters, session, levels=levels)

    deep = (f"ofi{levels}_step",) if levels > 1 else ()
    place = ("ts_event_ns", "instrument", "grid_ns", "is_event", "last_trade_ns", "mid")
    return Stage(
        name="order_and_trade_flow",
        run=run,
        needs={"grid": (*place, "ofi_step", *deep, *_FLOW), "events": ("event_id",)},
        gives=lambda parameters: _gives_flow(parameters, levels),
        parameters=FlowParameters,
        lookback=_lookback,
    )


SHAPE_BOOK, SHAPE_QUOTES = _shape_stage(LEVELS_OF_BOOK), _shape_stage(1)
FLOW_BOOK, FLOW_QUOTES = _flow_stage(LEVELS_OF_BOOK), _flow_stage(1)
