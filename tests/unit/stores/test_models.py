"""Models refuse what no store should keep."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ticklake.base.errors import RejectedError
from ticklake.stores.models import (
    Action,
    Decision,
    Event,
    FundamentalData,
    FundamentalFact,
    Order,
    OrderResult,
    OrderStatus,
    PriceBar,
)

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def price_bar(**changed: Any) -> PriceBar:
    return PriceBar(
        **{**{"symbol": "X", "date": NOON, "open": 1, "high": 1, "low": 1, "close": 1, "volume": 1}, **changed}
    )


def decision(**changed: Any) -> Decision:
    return Decision(
        **{**{"symbol": "X", "action": "BUY", "target_weight": 0, "confidence": 1, "reasoning": ""}, **changed}
    )


def order(**changed: Any) -> Order:
    return Order(
        **{**{"strategy_name": "s", "symbol": "X", "action": "BUY", "quantity": 1, "order_type": "MARKET"}, **changed}
    )


def fact(**changed: Any) -> FundamentalFact:
    known = {"symbol": "X", "concept": "c", "unit": "u", "value": 1, "period_end": date(2025, 12, 31), "known_at": NOON}
    return FundamentalFact(**{**known, **changed})


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (price_bar, {"symbol": ""}),
        (price_bar, {"date": date(2026, 1, 5)}),
        (price_bar, {"date": "2026-01-05"}),
        (price_bar, {"close": float("nan")}),
        (price_bar, {"close": Decimal("sNaN")}),
        (price_bar, {"close": Decimal("1e999")}),
        (price_bar, {"close": None}),
        (price_bar, {"close": True}),
        (price_bar, {"volume": -1}),
        (price_bar, {"volume": 2**53 + 1}),
        (price_bar, {"volume": 10**400}),
        (decision, {"action": "SHORT"}),
        (decision, {"target_weight": 1.01}),
        (decision, {"confidence": -0.01}),
        (decision, {"confidence": None}),
        (order, {"quantity": 0}),
        (order, {"limit_price": float("inf")}),
        (fact, {"value": None}),
        (fact, {"value": 2**60 + 1}),
        (fact, {"known_at": date(2026, 1, 5)}),
    ],
    ids=lambda value: getattr(value, "__name__", None) or repr(value)[:60],
)
def test_what_no_store_should_keep_is_refused(make: Callable[..., object], changed: dict[str, Any]) -> None:
    assert make()
    with pytest.raises(RejectedError):
        make(**changed)


def test_words_become_enums() -> None:
    assert decision().action is Action.BUY
    assert OrderResult(1, "filled").status is OrderStatus.FILLED  # type: ignore[arg-type]
    with pytest.raises(RejectedError, match="submitted, filled, rejected, cancelled"):
        OrderResult(1, "lost")  # type: ignore[arg-type]


def test_an_event_has_a_mapping() -> None:
    with pytest.raises(RejectedError, match="give a mapping"):
        Event("t", None, NOON, NOON, "s", [1])  # type: ignore[arg-type]


def test_a_snapshot_is_known_when_it_was_so_unless_it_says_otherwise() -> None:
    later = datetime(2026, 2, 1, tzinfo=UTC)
    assert FundamentalData("X", NOON.replace(tzinfo=None), "n", "1").known == NOON
    assert FundamentalData("X", NOON, "n", "1", known_at=later).known == later
