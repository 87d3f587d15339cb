"""The calls of the original document on decisions and time series, with only the import changed.

Every class and method that it lists is called as it is described there: names, order of arguments, defaults.
"""

import inspect
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from ticklake.stores import DecisionStore, TimeSeriesDataStore

SIGNATURES = {
    "save_decision": ["decision"],
    "get_decision_by_id": ["decision_id"],
    "get_decisions": ["asset_pair", "limit"],
    "get_recent_decisions": ["limit", "asset_pair"],
    "update_decision": ["decision"],
    "delete_decision": ["decision_id"],
    "cleanup_old_decisions": ["days"],
    "wipe_all_decisions": [],
    "get_decision_count": [],
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_call_takes_its_arguments_in_the_documented_order(name: str) -> None:
    parameters = list(inspect.signature(getattr(DecisionStore, name)).parameters.values())[1:]
    positional = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    assert positional == SIGNATURES[name]


def test_decisions_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = {
        "storage_path": "data/decisions",
        "max_decisions": 1000,
    }
    store = DecisionStore(config)
    decision = {
        "id": "decision_uuid",
        "timestamp": "2024-12-29T10:30:00.000000",
        "asset_pair": "BTCUSD",
        "action": "BUY",
        "confidence": 0.85,
    }
    store.save_decision(decision)
    assert store.get_decision_by_id("decision_uuid")["confidence"] == 0.85
    assert store.get_decision_by_id("another") is None
    assert [found["id"] for found in store.get_decisions(asset_pair="BTCUSD", limit=10)] == ["decision_uuid"]
    assert [found["id"] for found in store.get_recent_decisions(5, "BTCUSD")] == ["decision_uuid"]
    store.update_decision(decision | {"action": "HOLD"})
    assert store.get_decision_by_id("decision_uuid")["action"] == "HOLD"
    assert store.get_decision_count() == 1
    assert (tmp_path / "data" / "decisions" / "2024-12-29_decision_uuid.json").is_file()
    assert store.delete_decision("decision_uuid") is True
    assert store.delete_decision("decision_uuid") is False
    store.save_decision(decision)
    assert store.cleanup_old_decisions(days=30) == 1
    store.save_decision(decision)
    assert store.wipe_all_decisions() == 1


def test_time_series_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = TimeSeriesDataStore(storage_path="data/time_series_data")
    store.save_data("BTCUSD", {"symbol": "BTCUSD", "timestamp": "2024-12-29T10:00:00", "price": 42500.50})
    store.save_data("BTCUSD", {"symbol": "BTCUSD", "timestamp": "2024-12-29T11:00:00", "price": 42510.75})
    assert [entry["price"] for entry in store.load_data("BTCUSD")] == [42500.50, 42510.75]
    lines = (tmp_path / "data/time_series_data/btcusd_timeseries.jsonl").read_text().splitlines()
    assert len(lines) == 2
    start, end = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)
    bars = pl.DataFrame({"timestamp": [start, end], "open": [1.0, 2.0], "close": [1.5, 2.5], "volume": [10, 20]})
    store.save_dataframe("BTCUSD", bars, start, end, "1d")
    assert store.load_dataframe("BTCUSD", start, end, "1d").equals(bars)
    assert store.load_dataframe("ETHUSD", start, end, "1d") is None
