"""What the data store keeps: bars, fundamentals, facts, events, decisions, orders. Pure values that check themselves.

Field names and order are those of the reference system. Times may be naive (taken as UTC) or aware. Amounts may be
int, float or Decimal; documents keep the type, Parquet keeps prices as float64 (see each model).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from ticklake.base.errors import RejectedError
from ticklake.stores.spans import as_utc

Number = int | float | Decimal
_DECIMAL_EXPONENT_MAX = 300  # larger ones would become infinity or zero as float64
DAILY = "1d"
"""The timeframe of a bar that does not say: the reference system kept daily bars only."""


class Action(StrEnum):
    """What a strategy decided."""

    HOLD = "HOLD"
    BUY = "BUY"
    EXIT = "EXIT"


class OrderStatus(StrEnum):
    """What became of an order."""

    SUBMITTED = "submitted"
    FILLED = "filled"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class PriceBar:
    """One bar. Its key is symbol, timeframe and start; the store keeps prices and volume as float64.

    Attributes:
        symbol: the instrument, any text.
        date: **start** of the bar; never shortened to a day.
        open: first price.
        high: highest price.
        low: lowest price.
        close: last price.
        volume: units traded, not negative; whole volumes come back as int.
        timeframe: length of the bar, such as `1d`, `4h`, `5m`: a label, compared as text.
    """

    symbol: str
    date: datetime
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number
    timeframe: str = DAILY

    def __post_init__(self) -> None:
        _check_text(self, "symbol", "timeframe")
        _check_moments(self, "date")
        _check_numbers(self, "open", "high", "low", "close", "volume", required=True)
        _check_float64(self, "open", "high", "low", "close", "volume")
        if self.volume < 0:
            raise RejectedError(f"{_what(self)}: volume {self.volume} is negative; correct the bar")


@dataclass(frozen=True, slots=True)
class FundamentalData:
    """A snapshot of what a company says about itself.

    Attributes:
        symbol: the instrument.
        timestamp: event time: when this was so.
        company_name: as reported.
        cik: SEC number, with its leading zeros.
        employees: head count.
        shares_outstanding: all shares.
        float_shares: shares free to trade.
        industry: as reported.
        category: as reported.
        subcategory: as reported.
        raw_xml: the source document.
        known_at: when we could know it; `timestamp` when None. A later snapshot of the same timestamp is a restatement.
    """

    symbol: str
    timestamp: datetime
    company_name: str
    cik: str
    employees: int | None = None
    shares_outstanding: Number | None = None
    float_shares: Number | None = None
    industry: str | None = None
    category: str | None = None
    subcategory: str | None = None
    raw_xml: str = ""
    known_at: datetime | None = None

    def __post_init__(self) -> None:
        _check_text(self, "symbol")
        _check_moments(self, "timestamp", "known_at")
        _check_numbers(self, "employees", "shares_outstanding", "float_shares")

    @property
    def known(self) -> datetime:
        """When it could be known: aware, UTC."""
        return as_utc(self.known_at or self.timestamp)


@dataclass(frozen=True, slots=True)
class FundamentalFact:
    """One reported number. Later filings that report the period again are further facts, never overwritten ones.

    Attributes:
        symbol: the instrument.
        concept: what is reported, such as `us-gaap:Revenues`.
        unit: such as `USD` or `USD/shares`.
        value: kept as float64.
        period_end: last day of the period, or the day of an instant.
        known_at: when we could know it.
        period_start: first day of the period; None for an instant.
        source: the filing (accession number).
        form: kind of filing, such as `10-K`.
        fiscal_year: of the filing, not of the fact.
        fiscal_period: of the filing.
        frame: the SEC's name for the period.
    """

    symbol: str
    concept: str
    unit: str
    value: Number
    period_end: date
    known_at: datetime
    period_start: date | None = None
    source: str = ""
    form: str | None = None
    fiscal_year: int | None = None
    fiscal_period: str | None = None
    frame: str | None = None

    def __post_init__(self) -> None:
        _check_text(self, "symbol", "concept", "unit")
        _check_moments(self, "known_at")
        _check_numbers(self, "value", required=True)
        _check_float64(self, "value")


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        type: what kind, such as `earnings`.
        symbol: whom it concerns; None for everybody.
        timestamp: when it happened.
        ingested_at: when we learned of it.
        source: who told us.
        payload: the rest; every type that `files.documents` encodes.
    """

    type: str
    symbol: str | None
    timestamp: datetime
    ingested_at: datetime
    source: str
    payload: Mapping[str, Any]

    def __post_init__(self) -> None:
        _check_text(self, "type")
        _check_moments(self, "timestamp", "ingested_at")
        if not isinstance(self.payload, Mapping):
            raise RejectedError(f"{_what(self)}: payload is a {type(self.payload).__name__}; give a mapping")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a strategy wants to do.

    Attributes:
        symbol: the instrument.
        action: HOLD, BUY or EXIT.
        target_weight: share of the portfolio, 0 to 1.
        confidence: 0 to 1.
        reasoning: why, in words.
        decision_id: names the decision for the orders that follow from it.
    """

    symbol: str
    action: Action
    target_weight: Number
    confidence: Number
    reasoning: str
    decision_id: str | None = None

    def __post_init__(self) -> None:
        _check_text(self, "symbol")
        _check_numbers(self, "target_weight", "confidence", required=True)
        _coerce(self, "action", Action)
        for name in ("target_weight", "confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise RejectedError(f"{_what(self)}: {name} {getattr(self, name)} is not within 0 to 1; correct it")


@dataclass(frozen=True, slots=True)
class Order:
    """What was sent to a broker.

    Attributes:
        strategy_name: who ordered.
        symbol: the instrument.
        action: BUY, SELL, as the broker calls it.
        quantity: units; above 0.
        order_type: MARKET, LIMIT, as the broker calls it.
        limit_price: worst price; None for none.
        decision_id: the decision it follows from.
    """

    strategy_name: str
    symbol: str
    action: str
    quantity: Number
    order_type: str
    limit_price: Number | None = None
    decision_id: str | None = None

    def __post_init__(self) -> None:
        _check_text(self, "strategy_name", "symbol", "action", "order_type")
        _check_numbers(self, "quantity", required=True)
        _check_numbers(self, "limit_price")
        if self.quantity <= 0:
            raise RejectedError(f"{_what(self)}: quantity {self.quantity} is not above 0; say the side by `action`")


@dataclass(frozen=True, slots=True)
class OrderResult:
    """What the broker answered.

    Attributes:
        order_id: the broker's number or name.
        status: submitted, filled, rejected or cancelled.
        fill_price: average price; None while nothing is filled.
        fill_quantity: units filled.
        message: the broker's words.
    """

    order_id: int | str
    status: OrderStatus
    fill_price: Number | None = None
    fill_quantity: Number | None = None
    message: str | None = None

    def __post_init__(self) -> None:
        _check_numbers(self, "fill_price", "fill_quantity")
        _coerce(self, "status", OrderStatus)


def _what(model: object) -> str:
    return f"{type(model).__name__} {getattr(model, 'symbol', '') or ''}".strip()


def _check_text(model: object, *names: str) -> None:
    for name in names:
        value = getattr(model, name)
        if not isinstance(value, str) or not value:
            raise RejectedError(f"{_what(model)}: {name} is {value!r}; give a text that is not empty")


def _check_moments(model: object, *names: str) -> None:
    for name in names:
        value = getattr(model, name)
        if value is not None and not isinstance(value, datetime):
            raise RejectedError(f"{_what(model)}: {name} is {value!r}; give a datetime (naive means UTC)")


def _check_numbers(model: object, *names: str, required: bool = False) -> None:
    for name in names:
        value = getattr(model, name)
        if (value is not None or required) and not _is_finite(value):
            raise RejectedError(f"{_what(model)}: {name} is {value!r}; give a finite int, float or Decimal")


def _check_float64(model: object, *names: str) -> None:
    for name in names:
        value = getattr(model, name)
        if isinstance(value, int) and int(float(value)) != value:
            raise RejectedError(f"{_what(model)}: {name} {value} is no float64; give it in a larger unit")


def _is_finite(value: object) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite() and abs(value.adjusted()) < _DECIMAL_EXPONENT_MAX
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond every float
        return False


def _coerce(model: object, name: str, kind: type[StrEnum]) -> None:
    value = getattr(model, name)
    try:
        object.__setattr__(model, name, kind(value))
    except ValueError as error:
        known = ", ".join(kind)
        raise RejectedError(f"{_what(model)}: {name} is {value!r}; known are {known}") from error
