"""Every capability of the old trading stores, by name: decisions, series, bars, fundamentals, events, state, audit."""

# ruff: noqa: DTZ001 - times without a zone are what the old stores had
from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from ticklake.catalog.retention import Retention
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.files.errors import PersistentStoreError
from ticklake.stores import (
    Action,
    AuditKind,
    DataStore,
    Decision,
    DecisionStore,
    Event,
    FileDataStore,
    FundamentalData,
    FundamentalFact,
    Order,
    OrderResult,
    PriceBar,
    ReadOnlyDataStore,
    ReadOnlyError,
    TimeSeriesDataStore,
)
from ticklake.stores.decision_ids import normalize_decision_id
from ticklake.stores.decision_record import normalize_decision_record
from ticklake.stores.retention import record_shelves
from ticklake.testing.clock import ManualClock

NOW = datetime(2025, 1, 10, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9


def decisions_of(folder: Path, **config: object) -> DecisionStore:
    """Three decisions on three days."""
    store = DecisionStore({"storage_path": folder, **config}, clock=ManualClock(wall_ns=NOW_NS))
    for number, (pair, action) in enumerate([("BTCUSD", "BUY"), ("ETHUSD", "SELL"), ("BTCUSD", "HOLD")]):
        store.save_decision(
            {"id": f"d{number}", "timestamp": f"2025-01-0{number + 1}T10:00:00", "asset_pair": pair, "action": action,
             "status": "open", "strategy": f"s{number}", "confidence": 0.85}
        )  # fmt: skip
    return store


def ids(found: list[dict[str, object]]) -> list[object]:
    return [record["id"] for record in found]


def test_decision_store_crud(tmp_path: Path) -> None:
    store = decisions_of(tmp_path)
    assert (tmp_path / "2025-01-01_d0.json").exists()
    found = store.get_decision_by_id("d0")
    assert found is not None
    assert found["asset_pair"] == "BTCUSD"
    store.update_decision({**found, "status": "closed"})
    store.modify_decision("d0", lambda record: {**record, "note": "x"})
    assert [record["status"] for record in store.get_history("d0")] == ["open", "closed", "closed"]
    assert (store.delete_decision("d0"), store.delete_decision("d0"), store.get_decision_by_id("d0")) == (
        True, False, None,
    )  # fmt: skip


def test_decision_store_filters(tmp_path: Path) -> None:
    store = decisions_of(tmp_path)
    assert ids(store.get_decisions()) == ids(store.get_recent_decisions()) == ["d2", "d1", "d0"]
    assert ids(store.get_decisions("BTCUSD", 1)) == ["d2"]
    assert ids(store.get_decisions(action="SELL")) == ids(store.get_decisions(strategy="s1")) == ["d1"]
    assert ids(store.get_decisions(start=date(2025, 1, 2), end=date(2025, 1, 3))) == ["d1"]
    assert ids(store.get_decisions(status="open", limit=2)) == ["d2", "d1"]


def test_decision_store_cleanup_wipe_and_count(tmp_path: Path) -> None:
    store = decisions_of(tmp_path)
    assert store.get_decision_count() == 3
    assert (store.cleanup_old_decisions(days=8), store.get_decision_count()) == (2, 1)
    assert (store.wipe_all_decisions(), store.get_decision_count()) == (1, 0)
    assert decisions_of(tmp_path / "two", max_decisions=2).get_decision_count() == 2


def test_decision_store_forgets_what_retention_names(tmp_path: Path) -> None:
    store = decisions_of(tmp_path / "records/decisions")
    clock = ManualClock(wall_ns=NOW_NS)
    retention = Retention(tmp_path, shelves=record_shelves(tmp_path, clock=clock), clock=clock)
    report = retention.purge([RetentionPolicy("decisions", max_age_days=8, pins=("*_d1.json",))], dry_run=False)
    assert report.deleted == ["records/decisions/2025-01-01_d0.json"]
    assert ids(store.get_decisions()) == ["d2", "d1"]
    assert store.forget_decisions(["2025-01-02_d1.json", "none.json"]) == 1
    assert ids(store.get_decisions()) == ["d2"]


def test_decision_store_links_orders_fills_and_outcomes(tmp_path: Path) -> None:
    store = decisions_of(tmp_path)
    store.record_order("d0", {"order_id": "o1", "quantity": 1})
    store.record_fill("o1", {"fill_id": "f1", "price": 42_500.5, "quantity": 1})
    store.record_outcome("d0", {"pnl": 12.5})
    trail = store.get_trail("d0")
    assert (len(trail.orders), len(trail.fills), len(trail.outcomes)) == (1, 1, 1)
    assert store.join_trades(asset_pair="BTCUSD").height == 2


def test_decision_store_rebuilds_its_index(tmp_path: Path) -> None:
    store = decisions_of(tmp_path)
    store.close()
    shutil.rmtree(tmp_path / "_index")
    again = DecisionStore({"storage_path": tmp_path})
    assert ids(again.get_decisions("BTCUSD")) == ["d2", "d0"]
    again.rebuild_index()
    assert (again.get_decision_count(), again.unreadable()) == (3, {})


def test_id_aliases(tmp_path: Path) -> None:
    for shape in ("x", {"id": "x"}, {"decision_id": "x"}, {"decision": "x"}, {"decision": {"id": "x"}}):
        assert normalize_decision_id(shape) == "x"
    record = normalize_decision_record({"decision_id": "x", "action": "BUY"}, now_ns=NOW_NS)
    assert (record["id"], record["decision_id"], record["_schema_version"]) == ("x", "x", 1)
    store = decisions_of(tmp_path)
    assert store.get_decision_by_id({"decision_id": "d1"}) == store.get_decision_by_id("d1")


def test_recovery_matching(tmp_path: Path) -> None:
    store = decisions_of(tmp_path)
    position = {"asset_pair": "BTCUSD", "action": "BUY", "entry_price": 100.0, "position_size": 2.0}
    store.save_decision({"id": "r", "ai_provider": "recovery", **position})
    found = store.find_equivalent_recovery_decision("BTCUSD", "BUY", 100.0, 2.0)
    assert found is not None
    assert found["id"] == "r"
    assert store.find_equivalent_recovery_decision("BTCUSD", "BUY", 100.1, 2.0) is None
    again = store.find_recent_decision_for_position("BTC-USD", "LONG", 100.5, 2.0)
    assert again is not None
    assert again["id"] == "r"


def test_time_series_jsonl(tmp_path: Path) -> None:
    store = TimeSeriesDataStore(tmp_path)
    for hour in (10, 11):
        store.save_data("BTCUSD", {"timestamp": f"2024-12-29T{hour}:00:00", "price": 42_500.5})
    assert [entry["timestamp"] for entry in store.load_data("btcusd")] == ["2024-12-29T10:00:00", "2024-12-29T11:00:00"]
    assert store.load_data("IBM") == []


def test_time_series_parquet(tmp_path: Path) -> None:
    store = TimeSeriesDataStore(tmp_path)
    start, end = datetime(2024, 12, 1), datetime(2024, 12, 2)
    index = pd.date_range(start, end, freq="h")
    store.save_dataframe("BTC/USD", pd.DataFrame({"close": range(25)}, index=index), start, end, "1h")
    found = store.load_dataframe("BTC/USD", start, datetime(2024, 12, 1, 5), "1h")
    assert found is not None
    assert found.height == 6
    assert store.load_dataframe("BTCUSD", start, end, "1h") is None


def bar(minute: int, close: float) -> PriceBar:
    return PriceBar("AAPL", datetime(2026, 1, 5, 10, minute), close, close, close, close, 10, "1m")


def test_bars(tmp_path: Path) -> None:
    store = FileDataStore(tmp_path / "data")
    assert isinstance(store, DataStore)
    store.write_bars("AAPL", [bar(0, 1.0), bar(1, 2.0)])
    store.write_bars("AAPL", [bar(1, 3.0)])
    found = store.read_bars("AAPL", datetime(2026, 1, 5), datetime(2026, 1, 6), timeframe="1m")
    assert [one.close for one in found] == [1.0, 3.0]
    frame = store.read_bar_frame("AAPL", timeframe="1m")
    assert store.write_bar_frame("MSFT", frame, timeframe="1m") == 2
    assert [series.symbol for series in store.list_bars()] == ["AAPL", "MSFT"]
    assert store.read_bars("MISSING", datetime(2026, 1, 5), datetime(2026, 1, 6)) == []


def test_fundamentals_as_of(tmp_path: Path) -> None:
    store = FileDataStore(tmp_path / "data")
    for employees, known in ((1, datetime(2026, 1, 2)), (2, datetime(2026, 2, 2))):
        data = FundamentalData("AAPL", datetime(2026, 1, 1), "Apple", "1", employees, known_at=known)
        store.write_fundamental("AAPL", data)
        fact = FundamentalFact("AAPL", "Revenues", "USD", employees, date(2025, 12, 31), known)
        store.write_facts("AAPL", [fact])
    for as_of, employees in (
        (datetime(2026, 1, 2), 1),
        (datetime(2026, 2, 1), 1),
        (datetime(2026, 2, 2), 2),
        (None, 2),
    ):
        found = store.read_fundamental("AAPL", as_of)
        assert found is not None
        assert found.employees == employees
        assert [fact.value for fact in store.read_facts("AAPL", as_of)] == [employees]
    assert store.read_fundamental("AAPL", datetime(2026, 1, 1)) is None
    assert len(store.read_fundamental_history("AAPL")) == len(store.read_fact_history("AAPL")) == 2
    assert store.count_fundamentals() == store.count_facts() == {"AAPL": 2}


def test_events(tmp_path: Path) -> None:
    store = FileDataStore(tmp_path / "data")
    for kind in ("earnings", "split"):
        store.write_event(Event(kind, "AAPL", datetime(2026, 1, 5), datetime(2026, 1, 6), "feed", {"eps": 1.5}))
    assert [event.type for event in store.read_events(date(2026, 1, 5), date(2026, 1, 5), ["split"])] == ["split"]
    assert store.count_events() == {("2026-01-05", "earnings"): 1, ("2026-01-05", "split"): 1}


def test_strategy_state(tmp_path: Path) -> None:
    store = FileDataStore(tmp_path / "data")
    assert store.load_strategy_state("value") is None
    assert store.save_strategy_state("value", {"cash": 1.0}, expected_version=0) == 1
    with pytest.raises(PersistentStoreError):
        store.save_strategy_state("value", {"cash": 2.0}, expected_version=0)
    assert (store.load_strategy_state("value"), store.list_strategies()) == ({"cash": 1.0}, ["value"])


def test_decision_and_order_audit(tmp_path: Path) -> None:
    store = FileDataStore(tmp_path / "data")
    store.log_decision("value", Decision("AAPL", Action.BUY, 0.05, 0.8, "why", decision_id="d1"))
    store.log_order("value", Order("value", "AAPL", "BUY", 100, "MARKET", decision_id="d1"), OrderResult(1, "filled"))
    (decision,), (order,) = store.read_decisions(strategy_name="value"), store.read_orders()
    assert decision.decision.decision_id == order.order.decision_id == "d1"
    assert store.verify_audit(AuditKind.DECISIONS).is_ok
    (path,) = (tmp_path / "data/audit/orders").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"100", b"900"))
    assert not store.verify_audit(AuditKind.ORDERS).is_ok


def test_snapshots_list_load_and_delete_old(tmp_path: Path) -> None:
    store = FileDataStore(tmp_path / "data")
    for number in range(12):
        store.save_strategy_state("memory", {"n": number})
    assert store.delete_old_states("memory", keep_count=10) == 2
    assert store.list_state_versions("memory") == list(range(3, 13))
    found = store.read_strategy_state("memory", version=3)
    assert found is not None
    assert (found.state, found.version, found.saved_at.tzinfo) == ({"n": 2}, 3, UTC)


def test_readonly_mode(tmp_path: Path) -> None:
    inner = FileDataStore(tmp_path / "data")
    inner.save_strategy_state("value", {"n": 1})
    store = ReadOnlyDataStore(inner)
    assert isinstance(store, DataStore)
    assert store.load_strategy_state("value") == {"n": 1}
    now = datetime(2026, 1, 5)
    refused = [
        lambda: store.save_strategy_state("value", {"n": 2}), lambda: store.delete_old_states("value", 1),
        lambda: store.write_bars("AAPL", [bar(0, 1.0)]), lambda: store.write_bar_frame("AAPL", pd.DataFrame()),
        lambda: store.write_fundamental("AAPL", FundamentalData("AAPL", now, "Apple", "1")),
        lambda: store.write_facts("AAPL", []), lambda: store.write_event(Event("x", None, now, now, "s", {})),
        lambda: store.log_decision("value", Decision("AAPL", Action.BUY, 0.5, 0.5, "why")),
        lambda: store.log_order("v", Order("v", "AAPL", "BUY", 1, "MARKET"), OrderResult(1, "filled")),
    ]  # fmt: skip
    for call in refused:
        with pytest.raises(ReadOnlyError, match="read-only"):
            call()
    writes = {name for name in dir(DataStore) if name.split("_")[0] in ("write", "save", "log", "delete")}
    assert len(writes) == len(refused)
    decisions_of(tmp_path / "decisions").close()
    before = {path: path.read_bytes() for path in (tmp_path / "decisions").glob("*.json")}
    decisions = DecisionStore({"storage_path": tmp_path / "decisions", "read_only": True})
    assert decisions.get_decision_count() == 3
    changes = (
        lambda: decisions.save_decision({"id": "n"}), lambda: decisions.update_decision({"id": "d0"}),
        lambda: decisions.delete_decision("d0"), decisions.wipe_all_decisions, decisions.cleanup_old_decisions,
        lambda: decisions.forget_decisions([]), lambda: decisions.record_order("d0", {"order_id": "o"}),
        lambda: decisions.record_fill("o", {"fill_id": "f"}), lambda: decisions.record_outcome("d0", {"pnl": 1}),
        lambda: decisions.modify_decision("d0", lambda record: record),
    )  # fmt: skip
    for change in changes:
        with pytest.raises(ReadOnlyError):
            change()
    assert {path: path.read_bytes() for path in (tmp_path / "decisions").glob("*.json")} == before
