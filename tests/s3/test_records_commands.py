"""The commands over records, catalog and training sets, with a lake in a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.s3.laid import let_reach, upload
from tests.unit.gold.small_version import lay_version

from ticklake.assemble.lake import open_lake
from ticklake.catalog.runs import RunRegistry
from ticklake.cli.main import main
from ticklake.files.object_path import ObjectPath
from ticklake.stores.lake_stores import LakeStores
from ticklake.stores.models import Action, Decision, Event
from ticklake.testing.s3_server import S3Server

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
CANDLE = {"start": "1767600000", "open": "1", "high": "2", "low": "0.5", "close": "1.5", "volume": "7"}

Run = Callable[..., Any]


@pytest.fixture
def run(bucket: ObjectPath, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Run:
    """Runs a command that must succeed; gives its output, decoded where it is JSON."""
    let_reach(s3_server, monkeypatch, tmp_path / "home")
    monkeypatch.setenv("TICKLAKE_DATA_ROOT", str(bucket))
    monkeypatch.setenv("TICKLAKE_STATE_DIR", str(tmp_path / "state"))

    def run(*words: object, code: int = 0) -> Any:
        capsys.readouterr()
        assert main([*map(str, words)]) == code, capsys.readouterr()
        said = capsys.readouterr()
        assert "lake-secret" not in said.out + said.err
        return json.loads(said.out) if "json" in words else said.out

    return run


def test_records(run: Run, bucket: ObjectPath, tmp_path: Path) -> None:
    assert run("bars", "ls", "-o", "json") == []
    (tmp_path / "candles.json").write_text(json.dumps({"candles": [CANDLE]}))
    run("bars", "import", tmp_path / "candles.json", "--symbol", "BTC/USD", "-t", "1h")
    assert [(row["symbol"], row["rows"]) for row in run("bars", "ls", "-o", "json")] == [("BTC/USD", 1)]
    assert run("bars", "show", "BTC/USD", "-t", "1h", "-o", "json")[0]["close"] == 1.5
    stores = LakeStores(bucket)
    stores.data.write_event(Event("earnings", "AAPL", NOON, NOON, "wire", {}))
    stores.data.save_strategy_state("value", {"n": 1})
    stores.data.log_decision("value", Decision("AAPL", Action.BUY, 0.5, 0.5, "why"))
    stores.decisions.save_decision({"id": "d-1", "timestamp": "2026-01-05", "asset_pair": "BTCUSD", "action": "BUY"})
    assert run("events", "ls", "-o", "json")[0]["type"] == "earnings"
    assert run("state", "ls", "-o", "json")[0]["strategy"] == "value"
    assert [row["id"] for row in run("decisions", "ls", "-o", "json")] == ["d-1"]
    assert len(run("decisions", "history", "d-1", "-o", "json")) == 1
    run("decisions", "ls", "--store", bucket / "records/decisions")
    run("decisions", "check")
    assert run("audit", "ls", "-o", "json")
    run("audit", "verify")


def test_catalog_and_training_sets(run: Run, bucket: ObjectPath, tmp_path: Path) -> None:
    lay_version(tmp_path / "laid", "v1")
    upload(tmp_path / "laid", bucket)
    run("gold", "promote", "v1", "--name", "small", "--min-rows", 1, "--min-coverage", 0)
    told = run(
        "gold", "promote", "v1", "--name", "small", "--notes", "again", "--min-rows", 1, "--min-coverage", 0,
        "-o", "json",
    )  # fmt: skip
    assert told["path"] == f"{bucket}/gold/history/small/v000002/data.parquet"
    assert run("gold", "ls", "-o", "json")[0]["version"] == 2
    run("gold", "rollback", "small")
    assert [row["is_current"] for row in run("gold", "ls", "small", "-o", "json")] == [True, False]
    run("gold", "validate", "small")
    assert json.loads(run("gold", "metadata", "small"))["version"] == 1
    assert {row["name"] for row in run("registry", "ls", "-o", "json")} == {"gold/training/small", "silver/features/v1"}
    [row, *_] = run("runs", "ls", "-o", "json")
    assert row["run_id"] in {found.run_id for found in RunRegistry(bucket).find_runs()}
    assert "v1" in run("lineage", "show", "small")
    assert run("retention", "ls", "-o", "json")
    run("retention", "run", "training_sets", "--max-count", 1, "--apply")
    assert [row["version"] for row in run("gold", "ls", "small", "-o", "json")] == [1]
    lake = open_lake(str(bucket))
    assert lake.catalog.runs.find_runs(kind="promotion")
    assert lake.stores.decisions.get_decision_count() == 0
    assert lake.gold.load_training_data("small").height == 180
