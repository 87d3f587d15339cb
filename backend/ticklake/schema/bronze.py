"""The bronze tables: market events as received."""

from __future__ import annotations

from ticklake.schema.kinds import Kind
from ticklake.schema.table import TIME_MAX_NS, TIME_MIN_NS, Column, Shape, TableSpec

BOOK_LEVELS = 10
"""Levels kept of an order book, level 1 = best."""

_DAYS_2000 = 10_957  # days from 1970-01-01 to 2000-01-01
_BY_SYMBOL = ("symbol", "date", "hour")
_BY_UNDERLYING = ("underlying", "date", "hour")


def _time(name: str, doc: str, *, null: bool = False) -> Column:
    return Column(
        name=name, kind=Kind.INT64, unit="ns", null=null, minimum=TIME_MIN_NS, maximum=TIME_MAX_NS - 1, doc=doc
    )


def _times(*, null: bool = False) -> tuple[Column, ...]:
    source = "Who produced the event: a feed, a replay, a simulator."
    return (
        _time("ts_event_ns", "When it happened, by the exchange's clock.", null=null),
        _time("ts_recv_ns", "When the feed handler received it.", null=null),
        Column(name="source", kind=Kind.STRING, null=null, doc=source),
    )


_CONTRACT = Column(
    name="contract", kind=Kind.STRING, wire="symbol", doc="Instrument as received; its root is the folder."
)
_UNDERLYING = Column(name="underlying", kind=Kind.STRING, doc="What the option is on; lives in the folder name.")
_AGGRESSOR = Column(
    name="aggressor", kind=Kind.AGGRESSOR, default=0, doc="Who crossed the spread: 1 buyer, -1 seller, 0 unknown."
)
_CONDITIONS = Column(name="conditions", kind=Kind.LIST_INT16, null=True, doc="Sale condition codes.")
_SEQ = Column(name="seq", kind=Kind.INT64, null=True, minimum=0, doc="Sequence number of the feed.")
_VENUE = Column(name="venue", kind=Kind.STRING, null=True, doc="Where it traded.")
_UPDATE_ID = Column(name="update_id", kind=Kind.INT64, null=True, text=True, doc="Book update number of the venue.")
_OPTION = (
    Column(name="option_symbol", kind=Kind.STRING, doc="Option as received: `ESZ5 P6800`."),
    Column(name="exp_date", kind=Kind.DATE32, minimum=_DAYS_2000, doc="Expiry, an ISO date on the wire."),
    Column(name="strike", kind=Kind.PRICE, unit="index points", above=0, doc="Strike price."),
    Column(name="right", kind=Kind.STRING, allowed=("C", "P"), doc="C call, P put."),
)


def _side(price: str, size: str, *, kind: Kind, size_kind: Kind, unit: str, what: str) -> tuple[Column, ...]:
    lots = "base units" if size_kind.is_float else "contracts"
    return (
        Column(name=price, kind=kind, unit=unit, null=True, minimum=0, doc=f"{what}, price; null when absent."),
        Column(name=size, kind=size_kind, unit=lots, null=True, minimum=0, doc=f"{what}, size; null when absent."),
    )


def _book(*, kind: Kind, size_kind: Kind, unit: str) -> tuple[Column, ...]:
    columns: list[Column] = []
    for side, word in (("bid", "Bid"), ("ask", "Ask")):
        for level in range(1, BOOK_LEVELS + 1):
            names = (f"{side}_px_{level}", f"{side}_sz_{level}")
            columns += _side(*names, kind=kind, size_kind=size_kind, unit=unit, what=f"{word} level {level}")
    return tuple(columns)


_BOOK_SIDES = tuple(
    (f"{side}_px_{level}", f"{side}_sz_{level}") for side in ("bid", "ask") for level in range(1, BOOK_LEVELS + 1)
)
_QUOTE_SIDES = (("bid_px", "bid_sz"), ("ask_px", "ask_sz"))


def _bronze(
    name: str,
    doc: str,
    columns: tuple[Column, ...],
    *,
    partition_by: tuple[str, ...] = _BY_SYMBOL,
    event_time_fallback: str | None = None,
    shape: Shape = Shape.FLAT,
    sides: tuple[tuple[str, str], ...] = (),
    futures_roots: bool = False,
) -> TableSpec:
    return TableSpec(
        name=name,
        version=1,
        tier="bronze",
        subject=f"market.{name}",
        stream="MARKET_DATA",
        columns=columns,
        partition_by=partition_by,
        event_time="ts_event_ns",
        event_time_fallback=event_time_fallback,
        shape=shape,
        sides=sides,
        futures_roots=futures_roots,
        doc=doc,
    )


FUTURES_TRADES = _bronze(
    "futures.trades",
    "Trades of futures.",
    (
        *_times(),
        _CONTRACT,
        Column(name="price", kind=Kind.PRICE, unit="index points", above=0, doc="Trade price."),
        Column(name="size", kind=Kind.INT32, unit="contracts", minimum=1, doc="Trade size."),
        _AGGRESSOR,
        Column(name="exchange", kind=Kind.STRING, null=True, doc="Exchange code."),
        _CONDITIONS,
        _SEQ,
    ),
    futures_roots=True,
)

FUTURES_MBP10 = _bronze(
    "futures.mbp10",
    "Order book of futures, ten levels a side, and the order action that made each snapshot.",
    (
        *_times(),
        _CONTRACT,
        *_book(kind=Kind.PRICE, size_kind=Kind.INT32, unit="index points"),
        Column(name="is_snapshot", kind=Kind.BOOL, default=False, doc="A full refresh rather than a change."),
        _SEQ,
        Column(
            name="action",
            kind=Kind.STRING,
            null=True,
            allowed=("A", "C", "M", "R", "T", "F", "N"),
            doc="What changed the book: Add, Cancel, Modify, cleaR, Trade, Fill, None.",
        ),
        Column(name="side", kind=Kind.STRING, null=True, allowed=("A", "B", "N"), doc="Of the action: Ask, Bid, None."),
        Column(name="action_price", kind=Kind.PRICE, unit="index points", null=True, doc="Price of the action."),
        Column(name="action_size", kind=Kind.INT32, unit="contracts", null=True, minimum=0, doc="Size of the action."),
    ),
    shape=Shape.BOOK,
    sides=_BOOK_SIDES,
    futures_roots=True,
)

OPTIONS_TRADES = _bronze(
    "options.trades",
    "Trades of options.",
    (
        *_times(),
        _UNDERLYING,
        *_OPTION,
        Column(name="price", kind=Kind.PRICE, unit="index points", minimum=0, doc="Premium."),
        Column(name="size", kind=Kind.INT32, unit="contracts", minimum=1, doc="Trade size."),
        Column(name="opt_bid", kind=Kind.PRICE, unit="index points", null=True, minimum=0, doc="Bid at the trade."),
        Column(name="opt_ask", kind=Kind.PRICE, unit="index points", null=True, minimum=0, doc="Ask at the trade."),
        _AGGRESSOR,
        _CONDITIONS,
        _SEQ,
    ),
    partition_by=_BY_UNDERLYING,
)

OPTIONS_NBBO = _bronze(
    "options.nbbo",
    "Best bid and offer of options.",
    (
        *_times(),
        _UNDERLYING,
        *_OPTION,
        *_side(*_QUOTE_SIDES[0], kind=Kind.PRICE, size_kind=Kind.INT64, unit="index points", what="Best bid"),
        *_side(*_QUOTE_SIDES[1], kind=Kind.PRICE, size_kind=Kind.INT64, unit="index points", what="Best ask"),
        _SEQ,
    ),
    partition_by=_BY_UNDERLYING,
    sides=_QUOTE_SIDES,
)

CRYPTO_TRADES = _bronze(
    "crypto.trades",
    "Trades of crypto venues.",
    (
        *_times(null=True),
        _CONTRACT,
        Column(name="price", kind=Kind.FLOAT64, unit="quote units", above=0, doc="Trade price."),
        Column(name="size", kind=Kind.FLOAT64, unit="base units", minimum=0, doc="Trade size."),
        _AGGRESSOR,
        Column(name="trade_id", kind=Kind.INT64, null=True, text=True, doc="Trade number of the venue."),
        _VENUE,
    ),
    event_time_fallback="ts_recv_ns",
)

CRYPTO_QUOTES = _bronze(
    "crypto.quotes",
    "Top of book of crypto venues.",
    (
        *_times(null=True),
        _CONTRACT,
        *_side(*_QUOTE_SIDES[0], kind=Kind.FLOAT64, size_kind=Kind.FLOAT64, unit="quote units", what="Best bid"),
        *_side(*_QUOTE_SIDES[1], kind=Kind.FLOAT64, size_kind=Kind.FLOAT64, unit="quote units", what="Best ask"),
        _UPDATE_ID,
        _VENUE,
    ),
    event_time_fallback="ts_recv_ns",
    sides=_QUOTE_SIDES,
)

CRYPTO_MBP10 = _bronze(
    "crypto.mbp10",
    "Order book of crypto venues, ten levels a side.",
    (
        *_times(null=True),
        _CONTRACT,
        *_book(kind=Kind.FLOAT64, size_kind=Kind.FLOAT64, unit="quote units"),
        Column(name="is_snapshot", kind=Kind.BOOL, default=False, doc="A full refresh rather than a change."),
        _UPDATE_ID,
        _VENUE,
    ),
    event_time_fallback="ts_recv_ns",
    shape=Shape.BOOK,
    sides=_BOOK_SIDES,
)

RAW = TableSpec(
    name="raw",
    version=1,
    tier="bronze",
    subject="market.>",
    stream="MARKET_DATA",
    columns=(
        Column(
            name="server_ns", kind=Kind.INT64, unit="ns", doc="When the server stored it; core NATS: when we took it."
        ),
        Column(name="subject", kind=Kind.STRING, doc="Subject; `%` and bytes that are no UTF-8 are written as %XX."),
        Column(name="headers", kind=Kind.BYTES, null=True, doc="Header block as received; null when none."),
        Column(name="payload", kind=Kind.BYTES, doc="Bytes as published."),
    ),
    partition_by=("date", "hour"),
    event_time="server_ns",
    shape=Shape.RAW,
    doc="Every other subject below `market.`: kept whole, never rejected.",
)

BRONZE_TABLES = (
    FUTURES_TRADES,
    FUTURES_MBP10,
    OPTIONS_TRADES,
    OPTIONS_NBBO,
    CRYPTO_TRADES,
    CRYPTO_QUOTES,
    CRYPTO_MBP10,
    RAW,
)
"""Every built-in bronze table."""
