"""`open_lake`: one object for reading, for the catalog, and for the records."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

from ticklake import Lake, open_lake
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.schema.lookup import TableCatalog
from ticklake.stores.models import Action, Decision


def lake_at(root: Path) -> Lake:
    return open_lake(root, tables=TableCatalog())


def test_opening_makes_nothing(tmp_path: Path) -> None:
    lake = lake_at(tmp_path / "lake")
    assert lake.catalog.datasets.list_datasets() == []
    assert lake.catalog.runs.find_runs() == []
    assert repr(lake.stores)
    assert not (tmp_path / "lake").exists()


def test_the_catalog_holds_tables_datasets_runs_artifacts_rules_and_lineage(tmp_path: Path) -> None:
    catalog = lake_at(tmp_path).catalog
    assert "futures.trades" in catalog.tables
    ref = catalog.artifacts.save_dataframe(pl.DataFrame({"x": [1]}), "features", "x.parquet")
    catalog.rules.register_rule_version("setup", "1", {"a": 1})
    run_id = catalog.runs.register_run("backtest", setup_id="setup", rule_version="1")
    catalog.runs.attach_artifact(run_id, ref)
    catalog.datasets.register_dataset("d", ref.path)
    assert catalog.datasets.list_datasets() == ["d"]
    assert [step.name for step in catalog.lineage.trace(ref.path)] == [ref.path, run_id]
    catalog.provenance.create_snapshot(run_id, "setup", "1", ref.path)
    assert catalog.provenance.load_snapshot(run_id)["run_id"] == run_id
    assert lake_at(tmp_path).catalog.runs.get_run(run_id).artifacts == (ref,)


def test_the_stores_lie_in_the_records_of_the_lake(tmp_path: Path) -> None:
    stores = lake_at(tmp_path).stores
    stores.decisions.save_decision({"id": "d", "asset_pair": "BTCUSD", "action": "BUY"})
    stores.data.log_decision("value", Decision("AAPL", Action.BUY, 0.5, 0.5, "why"))
    stores.timeseries.save_data("BTCUSD", {"timestamp": "2024-12-29T10:00:00", "price": 1.5})
    again = lake_at(tmp_path).stores
    assert again.decisions.get_decision_count() == 1
    assert len(again.data.read_decisions()) == 1
    assert len(again.timeseries.load_data("BTCUSD")) == 1
    assert stores.cache.root == tmp_path / "records/cache"
    assert {path.name for path in tmp_path.iterdir()} == {"records"}


def test_retention_of_a_lake_knows_tables_and_records(tmp_path: Path) -> None:
    retention = lake_at(tmp_path).retention
    assert {"bronze", "silver", "runs", "decisions", "events"} <= set(retention.kinds)
    assert retention.purge([RetentionPolicy("decisions", max_count=0)]).deleted == []


def test_who_reads_a_lake_loads_neither_nats_nor_the_stores() -> None:
    heavy = ("nats", "starlette", "ticklake.stores.decisions")
    program = f"import sys; from ticklake import open_lake; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=200)
    assert done.stdout == "[]\n"
