"""The decision behind a position, found again after a restart."""

from pathlib import Path
from typing import Any

import pytest

from ticklake.stores.decision_recovery import Position, RecoveryKey, canonical_pair, canonical_side
from ticklake.stores.decisions import DecisionStore


@pytest.fixture
def store(tmp_path: Path) -> DecisionStore:
    return DecisionStore({"storage_path": tmp_path})


def recovered(decision_id: str = "r-1", **fields: Any) -> dict[str, Any]:
    return {
        "id": decision_id, "timestamp": "2024-12-01", "ai_provider": "recovery", "asset_pair": "BTCUSD",
        "action": "BUY", "entry_price": 97000.5, "position_size": 0.25, "platform": "coinbase",
        "product_id": "BTC-USD", **fields,
    }  # fmt: skip


SAME = ("BTCUSD", "BUY", 97000.5, 0.25, "coinbase", "BTC-USD")


def test_the_same_position_is_not_invented_twice(store: DecisionStore) -> None:
    store.save_decision(recovered())
    assert store.find_equivalent_recovery_decision(*SAME)["id"] == "r-1"
    assert store.find_equivalent_recovery_decision("btc-usd", "LONG", 97000.5 + 1e-10, 0.25, *SAME[4:])["id"] == "r-1"


@pytest.mark.parametrize(
    "other",
    [
        {"ai_provider": "ensemble"}, {"asset_pair": "ETHUSD", "product_id": "ETH-USD"}, {"action": "SELL"},
        {"entry_price": 97000.5 + 1e-6}, {"entry_price": None}, {"position_size": 0.26}, {"platform": "kraken"},
        {"product_id": "BTC-PERP"},
    ],
    ids=str,
)  # fmt: skip
def test_another_position_is_another(store: DecisionStore, other: dict[str, Any]) -> None:
    store.save_decision(recovered(**other))
    assert store.find_equivalent_recovery_decision(*SAME) is None
    assert not RecoveryKey(*SAME).matches(recovered(**other))


def test_the_newest_of_the_last_ones_is_taken(store: DecisionStore) -> None:
    for day in (1, 3, 2):
        store.save_decision(recovered(f"r-{day}", timestamp=f"2024-12-0{day}"))
    store.save_decision(recovered("r-9", timestamp="2024-12-09", position_size=9))
    assert store.find_equivalent_recovery_decision(*SAME)["id"] == "r-3"
    assert store.find_equivalent_recovery_decision(*SAME, lookback=1) is None


@pytest.mark.parametrize(
    ("position", "is_it"),
    [
        (Position("BTC/USD", "LONG", 97900.0, 0.25), True),
        (Position("BTC-USD", "long"), True),
        (Position("BTCUSD", "SHORT", 97000.5, 0.25), False),
        (Position("BTCUSD", "FLAT"), False),
        (Position("ETHUSD", "LONG"), False),
        (Position("BIP-20DEC30-CDE", "LONG", aliases=("BTCUSD",)), True),
        (Position("BTCUSD", "LONG", 98100.0, 0.25), False),
        (Position("BTCUSD", "LONG", 97000.5, 0.3), False),
        (Position("BTCUSD", "LONG", 97000.5, 25), True),
        (Position("BTCUSD", "LONG", 97000.5, 25, contract_size=0.01), True),
        (Position("BTCUSD", "LONG", 97000.5, 24, contract_size=0.01), False),
        (Position("BTCUSD", "LONG", 97000.5, 25.5), False),
        (Position("BTCUSD", "LONG", 97000.5, -0.25), True),
    ],
)
def test_a_position_finds_the_decision_that_can_have_opened_it(position: Position, is_it: bool) -> None:
    assert position.matches(recovered()) is is_it


def test_cheap_assets_may_be_off_by_one_unit() -> None:
    record = recovered(entry_price=1.5)
    assert Position("BTCUSD", "BUY", 2.4).matches(record)
    assert not Position("BTCUSD", "BUY", 2.6).matches(record)


def test_the_newest_fitting_decision_of_a_position_is_found(store: DecisionStore) -> None:
    store.save_decision(recovered("a", timestamp="2024-12-01", ai_provider="ensemble"))
    store.save_decision(recovered("b", timestamp="2024-12-02", ai_provider="ensemble"))
    store.save_decision(recovered("c", timestamp="2024-12-03", action="SELL"))
    assert store.find_recent_decision_for_position("BTC-USD", "LONG", 97000.0, 0.25)["id"] == "b"
    assert store.find_recent_decision_for_position("BTC-USD", "LONG", lookback=1) is None


def test_spellings() -> None:
    assert {canonical_pair(name) for name in ("BTC/USD", "btc-usd", "BTC_USD", "BTCUSD", "btc usd")} == {"BTCUSD"}
    assert [canonical_side(name) for name in ("buy", "LONG", "Sell", "short", "HOLD", None)] == [
        "BUY", "BUY", "SELL", "SELL", None, None,
    ]  # fmt: skip
