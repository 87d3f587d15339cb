"""Second stage of book_flow: the regular grid, and what happened in each of its steps. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
import polars as pl

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.orderflow import added, ofi_terms
from ticklake.silver.stage import ColumnSpec, Frames, Gives, Role, Stage, StageParameters
from ticklake.silver.stages.book_flow_load import INSTRUMENT, LEVELS_OF_BOOK
from ticklake.silver.stages.first_passage import Flags, Floats, Ints
from ticklake.silver.stages.rows import rows_of_all

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_SIDES = ("bid_px", "bid_sz", "ask_px", "ask_sz")
_PLACE = ("ts_event_ns", "symbol", *INSTRUMENT)


class GridParameters(StageParameters, frozen=True):
    """The grid.

    Attributes:
        grid_ms: step of the grid.
        max_age_s: a book not updated for longer than this is stale; a stale instant is no event.
        hours: `all` of the session, or only while the exchange is `open`.
    """

    grid_ms: Annotated[int, msgspec.Meta(gt=0)] = 1000
    max_age_s: Annotated[int, msgspec.Meta(gt=0)] = 60
    hours: Literal["all", "open"] = "all"


def sample_grid(frames: Frames, parameters: GridParameters, session: SessionWindow, *, levels: int) -> Frames:
    """The book as of every grid instant t, and the sums of what happened in (t - step, t], per instrument.

    Instants are `session.start_ns` + k steps; k < 0 is warm-up. Instruments are those of the book: a trade of an
    instrument without a book has no place on the grid. An event is an instant within the hours whose book is at most
    `max_age_s` old, so an event at t depends on nothing after t, not even on whether there is anything.

    Shape:  `grid`, sorted by ts_event_ns, contract, venue, has every instant of every instrument; `events` has those
            with `is_event`, in the same order.
    Gives:  `grid`: book columns as of t; sums per step, null up to the step of the instrument's first book row;
            `last_trade_ns`, time of the last trade so far. `events`: keys.
    Knows:  nothing later than t.

    Raises:
        UsageError: the step is not positive.
    """
    if parameters.grid_ms <= 0:
        raise UsageError(f"sample_grid: grid_ms is {parameters.grid_ms}; it must be 1 or more milliseconds")
    book, trades = rows_of_all([frames["book"], frames["trades"]])
    instruments = book.select("symbol", *INSTRUMENT).unique().sort(INSTRUMENT).with_row_index("instrument")
    numbers = instruments.select(pl.col("instrument").cast(pl.Int64), *INSTRUMENT)
    book = book.join(numbers, on=INSTRUMENT, how="left", maintain_order="left")
    trades = trades.join(numbers, on=INSTRUMENT, how="inner", maintain_order="left")
    flows = book.select(pl.col("instrument"), *(term.over("instrument") for term in _ofi(levels)))
    grid_ns = parameters.grid_ms * _NS_PER_MS
    first, times = _times(book["ts_event_ns"], grid_ns, parameters, session)
    width, shape = instruments.height, (times.size, instruments.height)

    book_step = _steps(book["ts_event_ns"], session.start_ns, grid_ns) - first
    trade_step = _steps(trades["ts_event_ns"], session.start_ns, grid_ns) - first
    book_cell = book_step * width + book["instrument"].to_numpy()
    trade_cell = trade_step * width + trades["instrument"].to_numpy()
    row = _last_row(book_step, book_cell, shape)
    trade_row = _last_row(trade_step, trade_cell, shape)
    is_known = np.concatenate([np.full((1, width), False), row[:-1] >= 0])[: times.size].ravel()
    sums = {
        name: _sums(flows[name], book_step, book_cell, is_known, shape)
        for name in flows.columns
        if name != "instrument"
    }
    for name, values in _trade_values(trades).items():
        sums[name] = _sums(values, trade_step, trade_cell, is_known, shape)
    placed = pl.DataFrame({"ts_event_ns": np.repeat(times, width)}).with_columns(
        instruments.select("symbol", *INSTRUMENT, "instrument")[np.tile(np.arange(width), times.size)].get_columns()
    )
    sides = [f"{side}_{n}" for n in range(1, levels + 1) for side in _SIDES]
    grid = placed.with_columns(
        *_taken(book.select(*sides, book_ns="ts_event_ns"), row).get_columns(),
        *_taken(trades.select(last_trade_ns="ts_event_ns"), trade_row).get_columns(),
        *(pl.Series(name, values, dtype=pl.Float64).fill_nan(None) for name, values in sums.items()),
        pl.lit(grid_ns, pl.Int64).alias("grid_ns"),
    ).with_columns(mid=(pl.col("bid_px_1") + pl.col("ask_px_1")) / 2)
    age_ns = pl.col("ts_event_ns") - pl.col("book_ns")
    start_ns = session.open_ns if parameters.hours == "open" else session.start_ns
    is_fresh = (age_ns <= parameters.max_age_s * _NS_PER_S).fill_null(value=False)
    grid = grid.with_columns(is_fresh=is_fresh, is_event=is_fresh & (pl.col("ts_event_ns") >= start_ns))
    return {"grid": grid.lazy(), "events": _events(grid, session).lazy()}


def _ofi(levels: int) -> list[pl.Expr]:
    """OFI of every book row at the best level and, for a deep book, summed over its levels (unit of the sizes)."""
    terms = ofi_terms(levels)
    best = terms[0].alias("ofi_step")
    return [best] if levels == 1 else [best, added(terms).alias(f"ofi{levels}_step")]


def _steps(times: pl.Series, start_ns: int, grid_ns: int) -> Ints:
    """Number of the grid instant at or after each time: k with t_(k-1) < time <= t_k."""
    return -((start_ns - times.to_numpy()) // grid_ns)


def _times(times: pl.Series, grid_ns: int, parameters: GridParameters, session: SessionWindow) -> tuple[int, Ints]:
    """Number of the first instant, and all instants from the first book row until the book is stale or hours end."""
    if times.is_empty():
        return 0, np.empty(0, dtype=np.int64)
    end_ns = session.close_ns if parameters.hours == "open" else session.end_ns
    steps = _steps(times, session.start_ns, grid_ns)
    stale_ns = int(times.to_numpy()[-1]) + parameters.max_age_s * _NS_PER_S
    last = min((stale_ns - session.start_ns) // grid_ns, (end_ns - 1 - session.start_ns) // grid_ns)
    first = int(steps[0])
    return first, session.start_ns + np.arange(first, last + 1, dtype=np.int64) * grid_ns


def _last_row(steps: Ints, cells: Ints, shape: tuple[int, int]) -> Ints:
    """Per instant and instrument the number of its last row so far; -1 before the first. Rows are in time order."""
    last = np.full(shape[0] * shape[1], -1, dtype=np.int64)
    is_before = steps < 0
    is_inside = ~is_before & (steps < shape[0])
    if last.size:
        early = cells[is_before] % shape[1]  # the instrument; what came before the grid counts from its first instant
        last[early] = np.flatnonzero(is_before)
    last[cells[is_inside]] = np.flatnonzero(is_inside)
    return np.maximum.accumulate(last.reshape(shape), axis=0)


def _sums(values: pl.Series, steps: Ints, cells: Ints, is_known: Flags, shape: tuple[int, int]) -> Floats:
    """Sum per instant and instrument, added in time order; NaN where the book is not known yet."""
    is_inside = (steps >= 0) & (steps < shape[0])
    weights = values.cast(pl.Float64).fill_null(0.0).to_numpy()[is_inside]
    return np.where(is_known, np.bincount(cells[is_inside], weights=weights, minlength=shape[0] * shape[1]), np.nan)


def _trade_values(trades: pl.DataFrame) -> dict[str, pl.Series]:
    """What is summed over the trades of a step."""
    size, aggressor = trades["size"], trades["aggressor"]
    return {
        "buy_volume": size * (aggressor == 1),
        "sell_volume": size * (aggressor == -1),
        "volume": size,
        "notional": size * trades["price"],
        "trades": pl.Series(np.ones(trades.height)),
    }


def _taken(rows: pl.DataFrame, numbers: Ints) -> pl.DataFrame:
    """The rows of these numbers; nulls for -1."""
    places = pl.Series("row", numbers.ravel())
    return rows.select(pl.all().gather(pl.lit(places.set(places < 0, None))))


def _events(grid: pl.DataFrame, session: SessionWindow) -> pl.DataFrame:
    at = pl.when(pl.col("venue") == "").then(pl.lit("")).otherwise("@" + pl.col("venue"))
    event_id = pl.format("{}_{}{}_{}", pl.lit(session.date.isoformat()), "contract", at, "ts_event_ns")
    return grid.filter("is_event").select(event_id.alias("event_id"), pl.lit(session.date).alias("date"), *_PLACE)


def gives_grid(levels: int) -> Gives:
    """Columns of `grid` and `events` for a book of so many levels."""
    keys = (
        ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "Instant of the grid.", null=False),
        ColumnSpec("symbol", pl.String(), "", Role.KEY, "Root of the instrument.", null=False),
        ColumnSpec("contract", pl.String(), "", Role.KEY, "Instrument as received.", null=False),
        ColumnSpec("venue", pl.String(), "", Role.KEY, 'Where it trades; "" when not said.', null=False),
    )
    units = {"px": "quote units", "sz": "base units"}
    sides = [
        ColumnSpec(f"{side}_{n}", pl.Float64(), units[side[-2:]], Role.INFO, f"{side} of level {n} as of the instant.")
        for n in range(1, levels + 1)
        for side in _SIDES
    ]
    volume = "base units"
    sums = {
        "ofi_step": (volume, "Order-flow imbalance at the best level."),
        **({f"ofi{levels}_step": (volume, f"Order-flow imbalance over {levels} levels.")} if levels > 1 else {}),
        "buy_volume": (volume, "Size bought by aggressors."),
        "sell_volume": (volume, "Size sold by aggressors."),
        "volume": (volume, "Size traded."),
        "notional": ("quote units", "Price times size traded."),
        "trades": ("trades", "Number of trades."),
    }
    return {
        "grid": (
            *keys,
            ColumnSpec("instrument", pl.UInt32(), "", Role.KEY, "Number of the instrument.", null=False),
            *sides,
            ColumnSpec("book_ns", pl.Int64(), "ns", Role.INFO, "Time of the last book row."),
            ColumnSpec("last_trade_ns", pl.Int64(), "ns", Role.INFO, "Time of the last trade."),
            *(ColumnSpec(name, pl.Float64(), unit, Role.INFO, doc) for name, (unit, doc) in sums.items()),
            ColumnSpec("grid_ns", pl.Int64(), "ns", Role.INFO, "Step of the grid.", null=False),
            ColumnSpec("mid", pl.Float64(), "quote units", Role.INFO, "Middle of best bid and ask."),
            ColumnSpec("is_fresh", pl.Boolean(), "", Role.INFO, "The book is recent enough.", null=False),
            ColumnSpec("is_event", pl.Boolean(), "", Role.INFO, "The instant is an event.", null=False),
        ),
        "events": (
            ColumnSpec("event_id", pl.String(), "", Role.KEY, "date_contract@venue_ns, unique.", null=False),
            ColumnSpec("date", pl.Date(), "", Role.KEY, "Trading day.", null=False),
            *keys,
        ),
    }


def _stage(levels: int) -> Stage[GridParameters]:
    def run(frames: Frames, parameters: GridParameters, session: SessionWindow) -> Frames:
        return sample_grid(frames, parameters, session, levels=levels)

    sides = tuple(f"{side}_{n}" for n in range(1, levels + 1) for side in _SIDES)
    return Stage(
        name="sample_grid",
        run=run,
        needs={"trades": (*_PLACE, "price", "size", "aggressor"), "book": (*_PLACE, *sides)},
        gives=gives_grid(levels),
        parameters=GridParameters,
    )


GRID_BOOK = _stage(LEVELS_OF_BOOK)
GRID_QUOTES = _stage(1)
