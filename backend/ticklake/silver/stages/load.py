"""Stage 0: bronze as received -> one contract's trades, its book at a steady pace, and the options, in event order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
import polars as pl

from ticklake.readers.event_order import EVENT_ORDER, comes_too_late
from ticklake.silver.orderflow import added, ofi_terms
from ticklake.silver.stage import ColumnSpec, LookBack, Role, Stage, StageParameters
from ticklake.silver.stages.event_features import book_columns
from ticklake.silver.stages.frontmonth import BASIS_SESSIONS, front_month
from ticklake.silver.stages.frontmonth import COLUMNS as FRONT_MONTH_COLUMNS
from ticklake.silver.stages.rows import rows_of, rows_of_all

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

BOOK_LEVELS: Final = 10
_SIDES: Final = tuple(
    f"{side}_{what}_{level}" for side in ("bid", "ask") for level in range(1, BOOK_LEVELS + 1) for what in ("px", "sz")
)
_ACTION: Final = pl.Enum(["A", "C", "M", "T", "F"])
_SIDE: Final = pl.Enum(["A", "B", "N"])  # words take a sixteenth of their memory so
_BRONZE_TRADES: Final = ("ts_event_ns", "contract", "price", "size", "aggressor", "stream_seq", "message_row")
OFI_LEVELS: Final = 5
_FLOW_SIDES: Final = book_columns("bid_px", "bid_sz", "ask_px", "ask_sz", levels=OFI_LEVELS)
_TERMS: Final = ofi_terms(OFI_LEVELS)
_FLOW: Final = {"ofi": _TERMS[0], "ofi5": added(_TERMS)}
"""What an update adds to the order-flow imbalance, at the best level and over five; null, 0 in the first."""
_ROW: Final = "_row"
_END: Final = "_end_ns"


class LoadParameters(StageParameters, frozen=True):
    """How bronze is read.

    Attributes:
        book_bucket_ms: one book snapshot is kept of each bucket.
        dominance_min (ratio): a front month with a smaller share of the volume makes the day a roll day.
        first_trades_s: seconds of trading that choose the contract when nothing traded before the open.
    """

    book_bucket_ms: Annotated[int, msgspec.Meta(ge=1)] = 250
    dominance_min: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.60
    first_trades_s: Annotated[int, msgspec.Meta(ge=1)] = 60


def in_event_order(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows by ts_event_ns, stream_seq, message_row, rows equal in all three as they were.

    Files hold rows in that order, so most frames are in order already; to see that is ten times faster than to sort.
    """
    if frame.select(comes_too_late(EVENT_ORDER).any()).item():
        frame = frame.sort(EVENT_ORDER, maintain_order=True)
    return frame.with_columns(pl.col("ts_event_ns").set_sorted())


def _run(frames: Frames, parameters: LoadParameters, session: SessionWindow) -> Frames:
    chosen, trades = _futures(frames["bronze_trades"], parameters, session)
    contract = chosen["contract"].item()
    book, actions = _book(frames["bronze_book"], contract, session, bucket_ns=parameters.book_bucket_ms * 10**6)
    return {
        "front_month": chosen.lazy(),
        "trades": trades.lazy(),
        "book": book.lazy(),
        "book_actions": actions.lazy(),
        "options": _options(frames["bronze_options"], session).lazy(),
    }


def _is_today(session: SessionWindow) -> pl.Expr:
    return pl.col("ts_event_ns").is_between(session.start_ns, session.end_ns, closed="left")


def _ties() -> tuple[pl.Expr, pl.Expr]:
    """What orders events of one instant; core NATS has no sequences."""
    return pl.col("stream_seq").cast(pl.Int64).fill_null(-1), pl.col("message_row").cast(pl.Int32)


def _futures(
    bronze: pl.LazyFrame, parameters: LoadParameters, session: SessionWindow
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The front month, and its trades in the session and its look-back, in event order. Files are read once."""
    received = rows_of(bronze.select(_BRONZE_TRADES))
    chosen = front_month(
        received.lazy(),
        session,
        dominance_min=parameters.dominance_min,
        first_trades_s=parameters.first_trades_s,
    )
    contract = chosen["contract"].item()
    trades = received.lazy().filter(pl.col("contract") == contract, pl.col("ts_event_ns") < session.end_ns)
    columns = (
        "ts_event_ns",
        pl.col("price").cast(pl.Float64),
        pl.col("size").cast(pl.Int64),
        pl.col("aggressor").cast(pl.Int8),
        pl.lit(contract).alias("contract"),  # takes no memory
        *_ties(),
    )
    rows = rows_of(trades.select(*columns, is_lookback=pl.col("ts_event_ns") < session.start_ns))
    return chosen, in_event_order(rows.rechunk())  # or every stage that makes arrays of them would copy them


def _book(
    bronze: pl.LazyFrame, contract: str, session: SessionWindow, *, bucket_ns: int
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The last snapshot of each bucket, stamped at the bucket's end (it is complete only then), and every action.

    With the snapshot comes the order flow of all updates of its bucket: of what came and went inside it, the snapshot
    shows nothing. The narrow columns are read first and say which rows to keep of the wide ones.
    """
    rows = bronze.filter(pl.col("contract") == contract, _is_today(session))
    action = (
        pl.col("action").cast(_ACTION, strict=False),
        pl.col("side").cast(_SIDE, strict=False),
        pl.col("action_price", "action_size").cast(pl.Float64),
    )
    narrow = in_event_order(rows_of(rows.select("ts_event_ns", *_ties(), *action).with_row_index(_ROW)))
    end = pl.col("ts_event_ns") // bucket_ns * bucket_ns + bucket_ns
    kept = narrow.select(_ROW, end.alias(_END)).filter(pl.col(_END).ne_missing(pl.col(_END).shift(-1)))
    order, bucket = narrow[_ROW], narrow.select(end.rle_id()).to_series()
    actions = narrow.filter(pl.col("action").is_not_null()).drop(_ROW, "stream_seq", "message_row")
    del narrow  # its memory is wanted by what comes
    updates = rows.select(*_SIDES, **_FLOW).with_row_index(_ROW)
    shown = updates.filter(pl.col(_ROW).is_in(kept[_ROW].implode())).select(_ROW, pl.col(_SIDES).cast(pl.Float64))
    if order.is_sorted():
        book, flow = rows_of_all([shown, updates.select(*_FLOW)], among=order.len())  # wide columns are read once
    else:  # rows of the files are not in event order
        book = kept.select(_ROW).join(rows_of(shown, among=order.len()), on=_ROW, maintain_order="left")
        flow = rows_of(rows.select(_FLOW_SIDES), among=order.len())[order].select(**_FLOW)
    book = book.drop(_ROW).insert_column(0, kept[_END].alias("ts_event_ns"))
    book = book.with_columns(_summed(values, bucket) for values in flow)
    return book.rechunk(), actions


def _summed(values: pl.Series, bucket: pl.Series) -> pl.Series:
    """Sum of each bucket, added in event order, so that it never rounds by how rows were read."""
    return pl.Series(values.name, np.bincount(bucket, weights=values.fill_null(0.0)), dtype=pl.Float64)


def _options(bronze: pl.LazyFrame, session: SessionWindow) -> pl.DataFrame:
    """Option trades of the session, in event order."""
    options = bronze.filter(_is_today(session)).select(
        "ts_event_ns",
        pl.col("option_symbol").cast(pl.String),
        pl.col("strike").cast(pl.Float64),
        pl.col("right").cast(pl.String),
        "exp_date",
        pl.col("price").cast(pl.Float64),
        pl.col("size").cast(pl.Int64),
        pl.col("aggressor").cast(pl.Int8),
        *_ties(),
    )
    return in_event_order(rows_of(options))


def _lookback(parameters: LoadParameters) -> LookBack:
    del parameters
    return LookBack(sessions=BASIS_SESSIONS)


_TIES: Final = (
    ColumnSpec("stream_seq", pl.Int64(), "", Role.KEY, "Sequence in the stream; -1 for core NATS.", null=False),
    ColumnSpec("message_row", pl.Int32(), "", Role.KEY, "Row number inside its message.", null=False),
)
_PRICE: Final = ColumnSpec("price", pl.Float64(), "points", Role.INFO, "Trade price.", null=False)
_SIZE: Final = ColumnSpec("size", pl.Int64(), "contracts", Role.INFO, "Trade size.", null=False, low=0)
_AGGRESSOR: Final = ColumnSpec(
    "aggressor", pl.Int8(), "", Role.INFO, "Who crossed the spread: 1 buyer, -1 seller, 0 unknown.", null=False
)


def _time(doc: str) -> ColumnSpec:
    return ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, doc, null=False)


def _side(name: str) -> ColumnSpec:
    unit = "points" if "_px_" in name else "contracts"
    return ColumnSpec(name, pl.Float64(), unit, Role.INFO, "Book level 1 = best; null when absent.", low=0)


STAGE: Final = Stage(
    name="load_bronze",
    run=_run,
    needs={
        "bronze_trades": _BRONZE_TRADES,
        "bronze_book": (
            *("ts_event_ns", "contract", *_SIDES, "action", "side", "action_price", "action_size"),
            *("stream_seq", "message_row"),
        ),
        "bronze_options": (
            *("ts_event_ns", "option_symbol", "strike", "right", "exp_date", "price", "size", "aggressor"),
            *("stream_seq", "message_row"),
        ),
    },
    gives={
        "front_month": FRONT_MONTH_COLUMNS,
        "trades": (
            _time("When it traded."),
            *(_PRICE, _SIZE, _AGGRESSOR),
            ColumnSpec("contract", pl.String(), "", Role.INFO, "The session's one contract.", null=False),
            *_TIES,
            ColumnSpec("is_lookback", pl.Boolean(), "", Role.INFO, "Before the session.", null=False),
        ),
        "book": (
            _time("End of the bucket whose last snapshot this is."),
            *map(_side, _SIDES),
            ColumnSpec("ofi", pl.Float64(), "contracts", Role.INFO, "Order-flow imbalance of its updates, best level."),
            ColumnSpec("ofi5", pl.Float64(), "contracts", Role.INFO, "The same, summed over five levels."),
        ),
        "book_actions": (
            _time("When the book changed."),
            ColumnSpec("action", _ACTION, "", Role.INFO, "Add, Cancel, Modify, Trade or Fill.", null=False),
            ColumnSpec("side", _SIDE, "", Role.INFO, "Ask, Bid or None."),
            ColumnSpec("action_price", pl.Float64(), "points", Role.INFO, "Price of the action."),
            ColumnSpec("action_size", pl.Float64(), "contracts", Role.INFO, "Size of the action."),
        ),
        "options": (
            _time("When it traded."),
            ColumnSpec("option_symbol", pl.String(), "", Role.INFO, "Option as received.", null=False),
            ColumnSpec("strike", pl.Float64(), "points", Role.INFO, "Strike price.", null=False),
            ColumnSpec("right", pl.String(), "", Role.INFO, "C call, P put.", null=False),
            ColumnSpec("exp_date", pl.Date(), "", Role.INFO, "Expiry date.", null=False),
            *(_PRICE, _SIZE, _AGGRESSOR, *_TIES),
        ),
    },
    parameters=LoadParameters,
    lookback=_lookback,
)
