"""Every group of commands over records lists, shows and exports, each as JSON, CSV and table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import typer
from tests.integration.small_lake import SmallLake, at, trade
from typer.testing import CliRunner

from ticklake import open_lake
from ticklake.cli import (
    audit,
    bars,
    decisions,
    events,
    fundamentals,
    lineage,
    registry,
    retention,
    runs,
    state,
)
from ticklake.schema.lookup import TableCatalog
from ticklake.stores.models import Action, Decision, Event, FundamentalFact, PriceBar

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
TABLE = "bronze/futures/trades"
COMMANDS: dict[typer.Typer, tuple[tuple[str, ...], ...]] = {
    registry.app: (("ls",), ("show", TABLE), ("export",)),
    runs.app: (("ls",), ("show", "r"), ("export",)),
    lineage.app: (("ls",), ("show", TABLE), ("export",)),
    decisions.app: (("ls",), ("show", "d/1"), ("export",)),
    bars.app: (("ls",), ("show", "BTC/USD"), ("export", "BTC/USD")),
    fundamentals.app: (("ls",), ("show", "AAPL"), ("export", "AAPL")),
    events.app: (("ls",), ("show",), ("export",)),
    state.app: (("ls",), ("show", "value"), ("export", "value")),
    audit.app: (("ls",), ("show", "decisions"), ("export", "decisions")),
    retention.app: (("ls",), ("show", "bronze", "--max-count", "0"), ("export",)),
}
CALLS = [(app, words) for app, commands in COMMANDS.items() for words in commands]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with something of every kind."""
    root = tmp_path_factory.mktemp("lake")
    SmallLake(root).add("futures.trades", [trade(at(14))])
    lake = open_lake(root, tables=TableCatalog())
    run_id = lake.catalog.runs.register_run("backtest", run_id="r", inputs=[TABLE])
    lake.catalog.runs.attach_artifact(run_id, lake.catalog.artifacts.save_json({"a": 1}, "report", "r.json"))
    stores = lake.stores
    stores.decisions.save_decision({"id": "d/1", "asset_pair": "BTC/USD", "action": "BUY", "nested": {"x": NOON}})
    stores.data.write_bars("BTC/USD", [PriceBar("BTC/USD", NOON, 1.0, 2.0, 0.5, 1.5, 7)])
    stores.data.write_facts("AAPL", [FundamentalFact("AAPL", "Revenues", "USD", 1, date(2025, 12, 31), NOON)])
    stores.data.write_event(Event("split", "AAPL", NOON, NOON, "feed", {"ratio": 2}))
    stores.data.save_strategy_state("value", {"cash": 1, "at": NOON})
    stores.data.log_decision("value", Decision("AAPL", Action.BUY, 0.5, 0.5, "why"))
    return root


def rows_of(text: str) -> int:
    return len(list(csv.reader(io.StringIO(text)))) - 1


CHECKS: dict[str, Callable[[str], bool]] = {
    "json": lambda text: bool(json.loads(text)),
    "csv": lambda text: rows_of(text) > 0,
    "table": lambda text: len(text.splitlines()) > 1,
}


@pytest.mark.parametrize("form", CHECKS)
@pytest.mark.parametrize(("app", "words"), CALLS, ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_a_command_speaks_every_form(root: Path, app: typer.Typer, words: tuple[str, ...], form: str) -> None:
    called = [*words, "--output", form, "--data", str(root)]
    result = CliRunner().invoke(app, called, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert CHECKS[form](result.stdout), result.stdout


@pytest.mark.parametrize("suffix", ["json", "ndjson", "csv", "parquet"])
def test_an_export_goes_to_a_file_when_one_is_named(root: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"bars.{suffix}"
    result = CliRunner().invoke(
        bars.app, ["export", "BTC/USD", str(target), "--data", str(root)], catch_exceptions=False
    )
    assert (result.exit_code, result.stdout) == (0, "")
    assert target.stat().st_size > 0
