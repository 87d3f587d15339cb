"""Decision -> order -> fill -> outcome: linked by ids, joined by one query."""

from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ticklake.files.errors import AlreadyStoredError, NotStoredError
from ticklake.stores.decision_ids import MissingIdError
from ticklake.stores.decision_trail import TRADE_SCHEMA
from ticklake.stores.decisions import DecisionStore

FIRST = {"fill_id": "f-1", "price": Decimal("97000.10"), "quantity": 1, "filled_at": "2024-12-01T00:01"}
SECOND = {"fill_id": "f-2", "price": 97001, "quantity": 2, "filled_at": "2024-12-01T00:02"}


@pytest.fixture
def store(tmp_path: Path) -> DecisionStore:
    store = DecisionStore({"storage_path": tmp_path})
    store.save_decision({"id": "d-1", "timestamp": "2024-12-01", "asset_pair": "BTCUSD", "action": "BUY"})
    store.save_decision({"id": "d-2", "timestamp": "2024-12-02", "asset_pair": "ETHUSD", "action": "HOLD"})
    store.record_order("d-1", {"order_id": "o-1", "quantity": Decimal("3"), "timestamp": "2024-12-01T00:00:01Z"})
    store.record_order("d-1", {"order_id": "o-2", "quantity": 1, "timestamp": "2024-12-01T00:00:02Z"})
    store.record_fill("o-1", FIRST)
    store.record_fill("o-1", SECOND)
    store.record_outcome("d-1", {"result": "win", "pnl": "12.5", "timestamp": "2024-12-03"})
    return store


def test_one_query_joins_all_four(store: DecisionStore) -> None:
    joined = store.join_trades()
    assert joined.schema == TRADE_SCHEMA
    shown = joined.select("decision_id", "order_id", "order_quantity", "fill_id", "fill_price", "outcome", "pnl").rows()
    assert shown == [
        ("d-2", None, None, None, None, None, None),
        ("d-1", "o-1", 3.0, "f-1", 97000.1, "win", 12.5),
        ("d-1", "o-1", 3.0, "f-2", 97001.0, "win", 12.5),
        ("d-1", "o-2", 1.0, None, None, "win", 12.5),
    ]
    assert store.join_trades("ETHUSD")["decision_id"].to_list() == ["d-2"]
    assert store.join_trades(limit=1)["decision_id"].to_list() == ["d-2"]


def test_a_trail_keeps_what_was_recorded_exactly(store: DecisionStore) -> None:
    trail = store.get_trail("d-1")
    assert [order.link_id for order in trail.orders] == ["o-1", "o-2"]
    assert [fill.body["price"] for fill in trail.fills] == [Decimal("97000.10"), 97001]
    assert trail.fills[0].order_id == "o-1"
    assert trail.decision["asset_pair"] == "BTCUSD"


def test_a_fact_delivered_again_counts_once_and_other_content_is_refused(store: DecisionStore) -> None:
    assert not store.record_fill("o-1", SECOND)
    with pytest.raises(AlreadyStoredError, match="f-2"):
        store.record_fill("o-1", {"fill_id": "f-2", "price": 1})
    assert len(store.get_trail("d-1").fills) == 2


def test_a_later_outcome_counts_and_the_earlier_stays(store: DecisionStore) -> None:
    store.record_outcome("d-1", {"outcome_id": "audit", "result": "loss", "timestamp": "2024-12-05"})
    assert set(store.join_trades("BTCUSD")["outcome"]) == {"loss"}
    assert [outcome.body["result"] for outcome in store.get_trail("d-1").outcomes] == ["win", "loss"]


def test_what_hangs_in_the_air_is_refused(store: DecisionStore) -> None:
    with pytest.raises(NotStoredError, match="nobody"):
        store.record_order("nobody", {"order_id": "o-9"})
    with pytest.raises(NotStoredError, match="o-9"):
        store.record_fill("o-9", {"fill_id": "f-9"})
    with pytest.raises(MissingIdError, match="order_id"):
        store.record_order("d-1", {"quantity": 1})
    with pytest.raises(NotStoredError):
        store.get_trail("nobody")


def test_the_link_survives_an_edit_and_a_deletion_of_the_decision(store: DecisionStore) -> None:
    store.update_decision({"id": "d-1", "asset_pair": "BTCUSD", "status": "closed"})
    assert store.join_trades("BTCUSD").height == 3
    store.delete_decision("d-1")
    assert store.join_trades("BTCUSD").is_empty()
    store.save_decision({"id": "d-1", "asset_pair": "BTCUSD"})
    assert store.join_trades("BTCUSD").filter(pl.col("fill_id").is_not_null()).height == 2
