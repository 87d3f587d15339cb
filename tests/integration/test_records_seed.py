"""The usage examples of the reference data store, with only the import changed."""

# ruff: noqa: DTZ001 - the reference uses naive times; here they mean UTC
from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from ticklake.stores import DataStore, Decision, FileDataStore, FundamentalData, Order, OrderResult, PriceBar
from ticklake.stores.models import Action


@pytest.fixture
def temp_store() -> Iterator[FileDataStore]:
    with tempfile.TemporaryDirectory() as tmpdir:
        yield FileDataStore(base_path=tmpdir)


def test_data_store_is_protocol() -> None:
    assert hasattr(DataStore, "__protocol_attrs__") or hasattr(DataStore, "_is_protocol")


def test_file_data_store_implements_protocol(temp_store: FileDataStore) -> None:
    assert isinstance(temp_store, DataStore)


def test_directories_are_created(temp_store: FileDataStore) -> None:
    for name in ("prices", "fundamentals", "events", "state", "audit/decisions", "audit/orders"):
        assert (temp_store.base_path / name).is_dir()


def bars(*days: int) -> list[PriceBar]:
    return [
        PriceBar(
            symbol="AAPL",
            date=datetime(2026, 1, day),
            open=150.0 + number,
            high=152.0 + number,
            low=149.0 + number,
            close=151.0 + number,
            volume=1000000 + 100000 * number,
        )
        for number, day in enumerate(days)
    ]


def test_write_and_read_bars(temp_store: FileDataStore) -> None:
    temp_store.write_bars("AAPL", bars(5, 6))

    result = temp_store.read_bars("AAPL", datetime(2026, 1, 1), datetime(2026, 1, 31))

    assert len(result) == 2
    assert result[0].symbol == "AAPL"
    assert result[0].close == 151.0
    assert result[1].close == 152.0
    assert result == bars(5, 6)
    assert type(result[0].volume) is int


def test_read_bars_with_date_filter(temp_store: FileDataStore) -> None:
    temp_store.write_bars("AAPL", bars(5, 10, 15))

    result = temp_store.read_bars("AAPL", datetime(2026, 1, 8), datetime(2026, 1, 12))

    assert len(result) == 1
    assert result[0].date == datetime(2026, 1, 10)


def test_read_bars_empty_for_missing_symbol(temp_store: FileDataStore) -> None:
    result = temp_store.read_bars("MISSING", datetime(2026, 1, 1), datetime(2026, 1, 31))
    assert result == []


def test_write_and_read_fundamental(temp_store: FileDataStore) -> None:
    data = FundamentalData(
        symbol="AAPL",
        timestamp=datetime(2026, 1, 5, 10, 0, 0),
        company_name="Apple Inc",
        cik="0000320193",
        employees=166000,
        shares_outstanding=14776353000.0,
        float_shares=14525947723.0,
        industry="Technology",
        category="Computers",
        subcategory="Consumer Electronics",
        raw_xml="<test/>",
    )

    temp_store.write_fundamental("AAPL", data)

    result = temp_store.read_fundamental("AAPL")

    assert result is not None
    assert result.symbol == "AAPL"
    assert result.company_name == "Apple Inc"
    assert result.employees == 166000
    assert result == data


def test_read_fundamental_returns_latest(temp_store: FileDataStore) -> None:
    old_data = FundamentalData(
        symbol="AAPL", timestamp=datetime(2026, 1, 1),
        company_name="Apple Inc", cik="123", employees=160000,
        shares_outstanding=None, float_shares=None,
        industry=None, category=None, subcategory=None, raw_xml=""
    )  # fmt: skip

    new_data = FundamentalData(
        symbol="AAPL", timestamp=datetime(2026, 1, 5),
        company_name="Apple Inc", cik="123", employees=166000,
        shares_outstanding=None, float_shares=None,
        industry=None, category=None, subcategory=None, raw_xml=""
    )  # fmt: skip

    temp_store.write_fundamental("AAPL", old_data)
    temp_store.write_fundamental("AAPL", new_data)

    result = temp_store.read_fundamental("AAPL")
    assert result is not None
    assert result.employees == 166000
    assert temp_store.read_fundamental("AAPL", as_of=datetime(2026, 1, 4)) == old_data


def test_read_fundamental_missing_returns_none(temp_store: FileDataStore) -> None:
    result = temp_store.read_fundamental("MISSING")
    assert result is None


def test_save_and_load_strategy_state(temp_store: FileDataStore) -> None:
    state = {"positions": {"AAPL": 100, "MSFT": 50}, "cash": 10000.0, "last_updated": "2026-01-05T10:00:00"}

    temp_store.save_strategy_state("value_strategy", state)

    result = temp_store.load_strategy_state("value_strategy")

    assert result == state


def test_load_strategy_state_missing_returns_none(temp_store: FileDataStore) -> None:
    result = temp_store.load_strategy_state("missing_strategy")
    assert result is None


def test_log_decision(temp_store: FileDataStore) -> None:
    decision = Decision(
        symbol="AAPL", action=Action.BUY, target_weight=0.05, confidence=0.8, reasoning="Strong fundamentals"
    )

    before = datetime.now(UTC)
    temp_store.log_decision("value_strategy", decision)

    # Verify file exists and contains the decision; the file is that of the UTC day.
    days = {f"{moment:%Y-%m-%d}" for moment in (before, datetime.now(UTC))}
    [log_file] = (temp_store.base_path / "audit" / "decisions").glob("*.jsonl")
    assert log_file.stem in days
    line = json.loads(log_file.read_text())
    found = {name: line[name] for name in ("strategy", "symbol", "action", "target_weight", "confidence", "reasoning")}
    assert found == {
        "strategy": "value_strategy",
        "symbol": "AAPL",
        "action": "BUY",
        "target_weight": 0.05,
        "confidence": 0.8,
        "reasoning": "Strong fundamentals",
    }


def test_log_order(temp_store: FileDataStore) -> None:
    order = Order(strategy_name="value_strategy", symbol="AAPL", action="BUY", quantity=100, order_type="MARKET")

    result = OrderResult(order_id=123, status="filled", fill_price=150.25, fill_quantity=100, message=None)  # type: ignore[arg-type]

    temp_store.log_order("value_strategy", order, result)

    [log_file] = (temp_store.base_path / "audit" / "orders").glob("*.jsonl")
    line = json.loads(log_file.read_text())
    assert line["strategy"] == "value_strategy"
    assert line["order"]["quantity"] == 100
    assert line["result"]["status"] == "filled"


def test_two_decisions_are_two_lines_of_one_file(temp_store: FileDataStore) -> None:
    decision = Decision("AAPL", "HOLD", 0, 1, "")  # type: ignore[arg-type]
    temp_store.log_decision("value_strategy", decision)
    temp_store.log_decision("value_strategy", decision)
    lines = [
        line
        for path in (temp_store.base_path / "audit" / "decisions").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert len(lines) == 2
