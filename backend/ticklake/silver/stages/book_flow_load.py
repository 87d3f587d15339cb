"""First stage of book_flow: trades and a book of any table, under the same names and on one clock. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import polars as pl

from ticklake.base.errors import CheckFailedError
from ticklake.readers.event_order import EVENT_ORDER
from ticklake.schema.session import SessionWindow
from ticklake.silver.stage import ColumnSpec, Frames, LookBack, Needs, Role, Stage, StageParameters, Times

LEVELS_OF_BOOK = 5
"""Levels of an MBP-10 table that book_flow reads."""

INSTRUMENT = ("contract", "venue")
"""What tells two books apart: the same contract may trade at several venues."""

_NS_PER_S = 1_000_000_000


class LoadFlowParameters(StageParameters, frozen=True):
    """Which clock, and how much before the session.

    Attributes:
        clock: `event`, the exchange's; or `receive`, for feeds whose quotes carry no event time.
        has_venue: whether the tables have a column `venue`, as those of crypto do.
        warmup_s: seconds before the session that the windows may look back on. Windows of order_and_trade_flow that
            are longer are null until they are full.
    """

    clock: Literal["event", "receive"] = "event"
    has_venue: bool = True
    warmup_s: Annotated[int, msgspec.Meta(ge=0)] = 360


def load_flow(frames: Frames, parameters: LoadFlowParameters, session: SessionWindow) -> Frames:
    """Trades and MBP-10 rows of the session and its warm-up.

    The two clocks are never mixed within a run: a receive clock may run ahead of the exchange's, and a row placed by it
    among others would be known before it happened.

    Shape:  trades and book sorted by ts_event_ns, stream_seq, message_row; every row of the time range is kept.
    Gives:  `trades`, `book` with the first five levels; sizes float64, absent sides null; `venue` "" where unknown.

    Raises:
        CheckFailedError: rows without a time on the chosen clock.
    """
    sides = [
        f"{side}_{part}_{n}" for n in range(1, LEVELS_OF_BOOK + 1) for side in ("bid", "ask") for part in ("px", "sz")
    ]
    book = _placed(frames["bronze_book"], "bronze_book", parameters, session)
    return {
        "trades": _trades(frames, parameters, session),
        "book": book.with_columns(pl.col(sides).cast(pl.Float64)).select(*_PLACE, *sides),
    }


def load_flow_quotes(frames: Frames, parameters: LoadFlowParameters, session: SessionWindow) -> Frames:
    """Trades and quotes of the session and its warm-up; see `load_flow`. A quote is a book of one level."""
    quotes = _placed(frames["bronze_quotes"], "bronze_quotes", parameters, session)
    sides = {f"{name}_1": pl.col(name).cast(pl.Float64) for name in _QUOTE}
    return {"trades": _trades(frames, parameters, session), "book": quotes.select(*_PLACE, **sides)}


_PLACE = ("symbol", *INSTRUMENT, *EVENT_ORDER)
_QUOTE = ("bid_px", "bid_sz", "ask_px", "ask_sz")


def _trades(frames: Frames, parameters: LoadFlowParameters, session: SessionWindow) -> pl.LazyFrame:
    return _placed(frames["bronze_trades"], "bronze_trades", parameters, session).select(
        *_PLACE,
        pl.col("price").cast(pl.Float64),
        pl.col("size").cast(pl.Float64),
        pl.col("aggressor").cast(pl.Int8).fill_null(0),
    )


def _placed(rows: pl.LazyFrame, name: str, parameters: LoadFlowParameters, session: SessionWindow) -> pl.LazyFrame:
    """Rows of the time range on the chosen clock, sorted, with the columns that say where a row belongs."""
    column = _time_column(parameters)
    unplaced = rows.select(pl.col(column).null_count()).collect().item()
    if unplaced:
        other = "receive" if parameters.clock == "event" else "event"
        raise CheckFailedError(
            f"load_flow: {unplaced} rows of {name} have no {column}; choose a table that has it, or set "
            f"`clock: {other}` of stage load_flow in the manifest, which then holds for all tables"
        )
    venue = pl.col("venue").cast(pl.String).fill_null("") if parameters.has_venue else pl.lit("")
    time = pl.col(column)
    start_ns = session.start_ns - parameters.warmup_s * _NS_PER_S
    return (
        rows.filter((time > start_ns) & (time < session.end_ns))
        .with_columns(
            pl.col("symbol", "contract").cast(pl.String),
            pl.col("stream_seq").cast(pl.Int64).fill_null(-1),
            pl.col("message_row").cast(pl.Int32).fill_null(0),
            ts_event_ns=time,
            venue=venue,
        )
        .sort(EVENT_ORDER, maintain_order=True)
    )


def _time_column(parameters: LoadFlowParameters) -> str:
    return "ts_event_ns" if parameters.clock == "event" else "ts_recv_ns"


def _place_columns(parameters: LoadFlowParameters) -> tuple[str, ...]:
    venue = ("venue",) if parameters.has_venue else ()
    return (_time_column(parameters), "symbol", "contract", *venue, "stream_seq", "message_row")


def _needs_book(parameters: LoadFlowParameters) -> Needs:
    sides = (
        f"{side}_{part}_{n}" for n in range(1, LEVELS_OF_BOOK + 1) for side in ("bid", "ask") for part in ("px", "sz")
    )
    place = _place_columns(parameters)
    return {"bronze_trades": (*place, "price", "size", "aggressor"), "bronze_book": (*place, *sides)}


def _needs_quotes(parameters: LoadFlowParameters) -> Needs:
    place = _place_columns(parameters)
    return {"bronze_trades": (*place, "price", "size", "aggressor"), "bronze_quotes": (*place, *_QUOTE)}


def _times_book(parameters: LoadFlowParameters) -> Times:
    return dict.fromkeys(("bronze_trades", "bronze_book"), _time_column(parameters))


def _times_quotes(parameters: LoadFlowParameters) -> Times:
    return dict.fromkeys(("bronze_trades", "bronze_quotes"), _time_column(parameters))


def _lookback(parameters: LoadFlowParameters) -> LookBack:
    return LookBack(ns=parameters.warmup_s * _NS_PER_S)


def _place_specs() -> tuple[ColumnSpec, ...]:
    return (
        ColumnSpec("symbol", pl.String(), "", Role.KEY, "Root of the instrument.", null=False),
        ColumnSpec("contract", pl.String(), "", Role.KEY, "Instrument as received.", null=False),
        ColumnSpec("venue", pl.String(), "", Role.KEY, 'Where it trades; "" when not said.', null=False),
        ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "Time on the chosen clock.", null=False),
        ColumnSpec("stream_seq", pl.Int64(), "", Role.KEY, "Stream number; -1 for core NATS.", null=False),
        ColumnSpec("message_row", pl.Int32(), "", Role.KEY, "Row within its message.", null=False),
    )


def _trade_specs() -> tuple[ColumnSpec, ...]:
    return (
        *_place_specs(),
        ColumnSpec("price", pl.Float64(), "quote units", Role.INFO, "Trade price."),
        ColumnSpec("size", pl.Float64(), "base units", Role.INFO, "Trade size."),
        ColumnSpec("aggressor", pl.Int8(), "", Role.INFO, "1 buyer, -1 seller, 0 unknown.", null=False),
    )


def _book_specs(levels: int) -> tuple[ColumnSpec, ...]:
    units = {"px": "quote units", "sz": "base units"}
    return (
        *_place_specs(),
        *(
            ColumnSpec(
                f"{side}_{part}_{n}", pl.Float64(), units[part], Role.INFO, f"{side} level {n}; null when absent."
            )
            for n in range(1, levels + 1)
            for side in ("bid", "ask")
            for part in ("px", "sz")
        ),
    )


LOAD_BOOK = Stage(
    name="load_flow",
    run=load_flow,
    needs=_needs_book,
    gives={"trades": _trade_specs(), "book": _book_specs(LEVELS_OF_BOOK)},
    parameters=LoadFlowParameters,
    lookback=_lookback,
    times=_times_book,
)

LOAD_QUOTES = Stage(
    name="load_flow",
    run=load_flow_quotes,
    needs=_needs_quotes,
    gives={"trades": _trade_specs(), "book": _book_specs(1)},
    parameters=LoadFlowParameters,
    lookback=_lookback,
    times=_times_quotes,
)
