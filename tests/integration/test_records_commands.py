"""bars, fundamentals, events, state and audit on the command line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from ticklake.base.errors import CheckFailedError, NoDataError, UsageError
from ticklake.cli import audit, bars, events, fundamentals, state
from ticklake.stores.file_store import FileDataStore
from ticklake.stores.json_files import load_json
from ticklake.stores.models import Action, Decision, Event, FundamentalData, Order, OrderResult, OrderStatus

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
CANDLES = {
    "candles": [
        {
            "start": str(1_767_600_000 + 3600 * hour),
            "open": "1",
            "high": "2",
            "low": "0.5",
            "close": f"1.{hour}",
            "volume": "7",
        }
        for hour in range(3)
    ]
}
YEAR = {"start": "2024-01-01", "end": "2024-12-31", "form": "10-K"}
STATEMENTS = [
    {**YEAR, "val": 10, "accn": "1", "filed": "2025-02-01"},
    {**YEAR, "val": 12, "accn": "2", "filed": "2026-02-01"},
]
FACTS = {"cik": 1, "facts": {"us-gaap": {"Revenues": {"units": {"USD": STATEMENTS}}}}}

Call = Callable[..., str]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    def call(app: typer.Typer, *words: str | Path) -> str:
        result = CliRunner().invoke(app, [*map(str, words), "--data", str(tmp_path)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


@pytest.fixture
def store(tmp_path: Path) -> FileDataStore:
    return FileDataStore(tmp_path / "records")


def listed(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(text)
    return rows


@pytest.mark.parametrize("app", [audit.app, bars.app, events.app, fundamentals.app, state.app])
def test_no_records_is_an_empty_table_and_nothing_is_made(app: typer.Typer, call: Call, tmp_path: Path) -> None:
    assert call(app, "ls").startswith(("log", "symbol", "day", "strategy"))
    assert list(tmp_path.iterdir()) == []


def test_bars_come_in_and_go_out(call: Call, tmp_path: Path) -> None:
    source, target = tmp_path / "candles.json.gz", tmp_path / "out.parquet"
    source.write_bytes(gzip.compress(json.dumps(CANDLES).encode()))
    call(bars.app, "import", source, "--symbol", "BTC/USD", "--timeframe", "1h")
    [series] = listed(call(bars.app, "ls", "-o", "json"))
    assert (series["symbol"], series["timeframe"], series["rows"]) == ("BTC/USD", "1h", 3)
    assert series["first"] == "2026-01-05T08:00:00+00:00"
    rows = listed(call(bars.app, "show", "BTC/USD", "-t", "1h", "--start", "2026-01-05T09:00Z", "-o", "json"))
    assert [row["close"] for row in rows] == [1.1, 1.2]
    assert call(bars.app, "show", "BTC/USD", "-t", "1h", "--limit", "1", "-o", "csv").count("\n") == 2
    call(bars.app, "export", "BTC/USD", target, "-t", "1h", "--end", "2026-01-05")
    assert pl.read_parquet(target)["close"].to_list() == [1.0, 1.1, 1.2]


def test_bars_that_are_not_there_are_told_from_an_empty_range(call: Call, tmp_path: Path) -> None:
    source = tmp_path / "candles.json"
    source.write_text(json.dumps(CANDLES))
    call(bars.app, "import", source, "-s", "BTCUSD", "-t", "1h")
    for command in ("show", "export"):
        with pytest.raises(NoDataError, match="no 1d bars of BTCUSD; there are: 1h"):
            call(bars.app, command, "BTCUSD")
        with pytest.raises(NoDataError, match=r"no bars of BTCUS; did you mean BTCUSD\?"):
            call(bars.app, command, "BTCUS", "-t", "1h")
    empty = call(bars.app, "show", "BTCUSD", "-t", "1h", "--end", "2020-01-01", "-o", "csv")
    assert empty == "start,open,high,low,close,volume\n"


def test_a_wrong_timeframe_or_file_is_refused_before_anything_is_stored(call: Call, tmp_path: Path) -> None:
    source = tmp_path / "candles.json"
    source.write_text(json.dumps(CANDLES))
    with pytest.raises(UsageError, match="right --timeframe"):
        call(bars.app, "import", source, "-s", "X", "-t", "1d")
    with pytest.raises(UsageError, match="no length"):
        call(bars.app, "import", source, "-s", "X", "-t", "hourly")
    with pytest.raises(UsageError, match="check the path"):
        call(bars.app, "import", tmp_path / "missing.json", "-s", "X", "-t", "1h")
    assert not (tmp_path / "records").exists()


def test_facts_come_in_and_are_asked_as_of(call: Call, tmp_path: Path) -> None:
    source, target = tmp_path / "facts.json", tmp_path / "out.csv"
    source.write_text(json.dumps(FACTS))
    call(fundamentals.app, "import", source, "--symbol", "AAPL")
    assert listed(call(fundamentals.app, "ls", "-o", "json")) == [{"symbol": "AAPL", "snapshots": 0, "facts": 2}]
    for day, values in (("2025-01-31", []), ("2025-02-01", [10.0]), ("2026-02-01", [12.0])):
        rows = listed(call(fundamentals.app, "show", "AAPL", "--as-of", day, "-o", "json"))
        assert [row["value"] for row in rows] == values
    assert len(listed(call(fundamentals.app, "show", "AAPL", "--history", "-o", "json"))) == 2
    call(fundamentals.app, "export", "AAPL", target, "--as-of", "2025-02-01")
    for command in ("show", "export"):
        with pytest.raises(NoDataError, match="no fundamentals of x; there are: AAPL"):
            call(fundamentals.app, command, "x")
    assert pl.read_csv(target)["value"].to_list() == [10.0]


def test_a_snapshot_is_shown_as_of(call: Call, store: FileDataStore) -> None:
    store.write_fundamental("AAPL", FundamentalData("AAPL", NOON, "Apple", "1", 5))
    [row] = listed(call(fundamentals.app, "show", "AAPL", "--snapshot", "-o", "json"))
    assert (row["company_name"], row["timestamp"]) == ("Apple", "2026-01-05T12:00:00+00:00")
    assert listed(call(fundamentals.app, "show", "AAPL", "--snapshot", "--as-of", "2026-01-04", "-o", "json")) == []


def test_events_are_listed_shown_and_written(call: Call, store: FileDataStore, tmp_path: Path) -> None:
    store.write_event(Event("earnings", "AAPL", NOON, NOON, "wire", {"eps": Decimal("1.10")}))
    store.write_event(Event("split", None, NOON, NOON, "wire", {}))
    assert [row["type"] for row in listed(call(events.app, "ls", "-o", "json"))] == ["earnings", "split"]
    [row] = listed(call(events.app, "show", "--type", "earnings", "-o", "json"))
    assert row["payload"] == {"eps": "1.10"}
    for name in ("out.json", "out.ndjson", "out.parquet"):
        call(events.app, "export", tmp_path / name, "--start", "2026-01-05", "--end", "2026-01-05")
    assert len(json.loads((tmp_path / "out.json").read_text())) == 2
    assert pl.read_ndjson(tmp_path / "out.ndjson")["type"].to_list() == ["earnings", "split"]
    assert pl.read_parquet(tmp_path / "out.parquet")["payload"].to_list() == ['{"eps":"1.10"}', "{}"]
    with pytest.raises(UsageError, match=r"what form\?"):
        call(events.app, "export", tmp_path / "out.xls")


def test_states_are_listed_shown_and_written(call: Call, store: FileDataStore, tmp_path: Path) -> None:
    store.save_strategy_state("value", {"cash": Decimal(1)})
    store.save_strategy_state("value", {"cash": Decimal(2)}, schema="value/1")
    assert [row["version"] for row in listed(call(state.app, "ls", "-o", "json"))] == [2]
    assert [row["version"] for row in listed(call(state.app, "ls", "value", "-o", "json"))] == [1, 2]
    assert json.loads(call(state.app, "show", "value", "--version", "1")) == {"cash": "1"}
    call(state.app, "export", "value", tmp_path / "out.json")
    assert load_json(tmp_path / "out.json")["state"] == {"cash": Decimal(2)}
    with pytest.raises(NoDataError, match="no version 3"):
        call(state.app, "show", "value", "--version", "3")


def test_the_audit_is_read_written_and_verified(call: Call, store: FileDataStore, tmp_path: Path) -> None:
    store.log_decision("value", Decision("AAPL", Action.BUY, 0.5, 0.5, "why", "d-1"))
    order = Order("value", "AAPL", "BUY", 1, "LIMIT", Decimal("1.10"), "d-1")
    store.log_order("value", order, OrderResult(7, OrderStatus.FILLED, 1.1, 1))
    [row] = listed(call(audit.app, "show", "decisions", "-o", "json"))
    assert (row["strategy"], row["action"], row["decision_id"]) == ("value", "BUY", "d-1")
    call(audit.app, "export", "orders", tmp_path / "orders.parquet")
    assert pl.read_parquet(tmp_path / "orders.parquet")["status"].to_list() == ["filled"]
    assert [row["whole"] for row in listed(call(audit.app, "ls", "-o", "json"))] == [True, True]
    head = call(audit.app, "head", "decisions").strip()
    store.log_decision("value", Decision("AAPL", Action.EXIT, 0, 0.5, "why"))
    assert listed(call(audit.app, "verify", "decisions", "--anchor", head, "-o", "json")) == []
    [path] = (tmp_path / "records" / "audit" / "decisions").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"BUY", b"BYE"))
    with pytest.raises(CheckFailedError):
        call(audit.app, "verify")
    with pytest.raises(UsageError, match="belongs to one log"):
        call(audit.app, "verify", "--anchor", head)
    assert [row["whole"] for row in listed(call(audit.app, "ls", "-o", "json"))] == [False, True]


def test_a_time_that_is_none_is_a_usage_error(call: Call, store: FileDataStore) -> None:
    assert store.list_bars() == []
    with pytest.raises(UsageError, match="is no time"):
        call(bars.app, "show", "X", "--start", "yesterday")
