"""Every capability of the old file and run libraries, by name: files, datasets, artifacts, runs, rules, retention."""

# ruff: noqa: DTZ001 - times without a zone are what the old libraries had
from __future__ import annotations

import os
import time
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from ticklake.catalog import (
    ArtifactRef,
    ArtifactStore,
    DataRegistry,
    DatasetEntry,
    PersistentStoreError,
    Retention,
    RuleRegistry,
    RunProvenance,
    RunRegistry,
)
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.catalog.run_record import RunStatus
from ticklake.files import atomic
from ticklake.schema.json_schema import json_schema
from ticklake.schema.lookup import TableCatalog
from ticklake.stores import ProviderCache, list_parquet_files, load_json, load_parquet, save_json, save_parquet
from ticklake.stores.cache import Question
from ticklake.testing.clock import ManualClock

DAYS = pd.date_range("2024-10-01", periods=10, freq="D")


def spreads() -> pd.DataFrame:
    return pd.DataFrame({"spread": np.arange(10.0), "volume": range(10)}, index=DAYS)


def test_parquet_io(tmp_path: Path) -> None:
    path = save_parquet(spreads(), tmp_path / "raw/ig.parquet", compression="zstd")
    assert path.is_absolute()
    assert list_parquet_files(tmp_path / "raw", "*.parquet") == [path]
    pd.testing.assert_frame_equal(load_parquet(path, as_pandas=True), spreads(), check_freq=False)
    some = load_parquet(path, columns=["spread"], start_date=DAYS[2], end_date=DAYS[4], as_pandas=True)
    assert some["spread"].tolist() == [2.0, 3.0, 4.0]
    with pytest.raises(FileNotFoundError):
        load_parquet(tmp_path / "none.parquet")


def test_json_io(tmp_path: Path) -> None:
    value = {"at": datetime(2024, 10, 1, 12), "day": date(2024, 10, 1), "cash": Decimal("1.10"), "x": np.arange(3),
             "where": Path("a/b"), "raw": b"\0"}  # fmt: skip
    path = save_json(value, tmp_path / "logs/run.json", indent=2, sort_keys=True)
    found = load_json(path)
    assert found["x"].tolist() == [0, 1, 2]
    assert {**found, "x": 0} == {**value, "x": 0}


def test_binary_io(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    ref = store.save_binary(b"\x89PNG", "chart", "chart.png", "r1")
    assert store.load_binary(ref) == b"\x89PNG"
    assert (ref.format, ref.media_type) == ("png", "image/png")


def test_files_that_are_whole_or_not_there(tmp_path: Path) -> None:
    atomic.replace(tmp_path / "a", b"1")
    atomic.replace(tmp_path / "a", b"2")
    with pytest.raises(FileExistsError):
        atomic.write_new(tmp_path / "a", b"3")
    assert ((tmp_path / "a").read_bytes(), atomic.remove(tmp_path / "a"), atomic.remove(tmp_path / "a")) == (
        b"2", True, False,
    )  # fmt: skip


def registry_of(tmp_path: Path) -> DataRegistry:
    registry = DataRegistry(tmp_path / "registry.json", tmp_path)
    save_parquet(spreads(), tmp_path / "ig.parquet")
    registry.register_dataset("ig", tmp_path / "ig.parquet", "CDX.NA.IG", "5Y", {"source": "x"}, tags=["daily"])
    registry.register_dataset("hy", "none.parquet", "CDX.NA.HY", "5Y", table="spreads")
    return registry


def test_dataset_registry_filters(tmp_path: Path) -> None:
    registry = registry_of(tmp_path)
    assert registry.list_datasets() == ["hy", "ig"]
    assert registry.list_datasets("CDX.NA.IG") == registry.list_datasets(tags=["daily"]) == ["ig"]
    assert registry.list_datasets(table="spreads") == registry.list_datasets("CDX.NA.HY", "5Y") == ["hy"]
    registry.set_status("hy", "deprecated")
    assert registry.list_datasets(status="active") == ["ig"]
    assert repr(registry).endswith("datasets=2)")


def test_dataset_registry_stats_refresh(tmp_path: Path) -> None:
    registry = registry_of(tmp_path)
    info = registry.get_dataset_info("ig")
    assert (info["row_count"], info["start_date"][:10], info["end_date"][:10]) == (10, "2024-10-01", "2024-10-10")
    save_parquet(pl.DataFrame({"x": range(30)}), tmp_path / "ig.parquet")
    assert registry.is_stale("ig")
    assert registry.update_dataset_stats("ig").stats.row_count == 30
    entry = registry.get_dataset_entry("ig")
    assert DatasetEntry.from_dict(entry.to_dict()) == entry
    assert registry.rebuild() == 2


def test_dataset_registry_delete_file(tmp_path: Path) -> None:
    registry = registry_of(tmp_path)
    registry.remove_dataset("hy")
    registry.remove_dataset("ig", delete_file=True)
    assert (registry.list_datasets(), (tmp_path / "ig.parquet").exists()) == ([], False)
    with pytest.raises(KeyError, match="'ig' not found in registry"):
        registry.get_dataset_info("ig")


def test_provider_cache_with_ttl(tmp_path: Path) -> None:
    clock = ManualClock()
    registry = DataRegistry(tmp_path / "registry.json", tmp_path)
    cache = ProviderCache(tmp_path / "cache", ttl=timedelta(minutes=10), clock=clock, registry=registry)
    question = Question("bloomberg", "CDX.NA.IG", datetime(2024, 10, 1), datetime(2024, 10, 10))
    assert cache.get(question) is None
    times = pl.DataFrame({"timestamp": DAYS, "spread": range(10)})
    path = cache.put(question, times)
    found = cache.get(question)
    assert found is not None
    assert found["spread"].to_list() == list(range(10))
    assert len(registry) == 1
    cache.update_current_day(question, times)
    clock.advance(601)
    assert cache.get(question) is None
    assert (cache.purge_expired(), path.exists()) == (1, False)


def test_artifact_refs(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    frame = pl.DataFrame({"x": [1, 2]})
    ref = store.save_dataframe(frame, "signals", "r1__signals.parquet", "r1", meta={"run_id": "r1"})
    notes = store.save_json({"at": date(2024, 10, 1)}, "summary", "r1.json")
    assert isinstance(ref, ArtifactRef)
    assert store.load_dataframe(ref).equals(frame)
    assert store.load_json(notes) == {"at": date(2024, 10, 1)}
    assert (store.file_exists(ref), ref.meta, ref.path) == (
        True, {"run_id": "r1"}, "catalog/artifacts/signals/r1/r1__signals.parquet",
    )  # fmt: skip
    with pytest.raises(PersistentStoreError):
        store.save_json({}, "summary", "r1.json", overwrite=False)
    store.verify(ref)
    store.path_of(ref).write_bytes(b"changed")
    with pytest.raises(PersistentStoreError):
        store.verify(ref)


def test_artifact_functions_of_the_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ticklake import catalog

    monkeypatch.setenv("TICKLAKE_DATA_ROOT", str(tmp_path))
    frame = catalog.save_dataframe(pl.DataFrame({"x": [1]}), "k", "x.parquet")
    value, raw = catalog.save_json({"a": 1}, "k", "x.json"), catalog.save_binary(b"1", "k", "x.bin")
    catalog.verify(frame)
    assert catalog.load_dataframe(frame)["x"].to_list() == [1]
    assert (catalog.load_json(value), catalog.load_binary(raw)) == ({"a": 1}, b"1")
    assert catalog.file_exists(raw)


def test_run_snapshot_and_verify_hash(tmp_path: Path) -> None:
    save_parquet(spreads(), tmp_path / "ig.parquet")
    provenance = RunProvenance(tmp_path)
    provenance.create_snapshot("r1", "setup", "1.0", "ig.parquet", ("2024-10-01", "2024-10-10"), {"why": "test"})
    snapshot = provenance.load_snapshot("r1")
    assert (snapshot["setup_id"], snapshot["rule_version"], len(snapshot["data_hash"])) == ("setup", "1.0", 64)
    assert provenance.verify_data_hash("r1", "ig.parquet")
    assert not provenance.verify_data_hash("r1", "none.parquet")
    save_parquet(spreads() * 2, tmp_path / "ig.parquet")
    assert not provenance.verify_data_hash("r1", "ig.parquet")
    assert provenance.changed_inputs("r1") == ["ig.parquet"]


def test_rule_versions_and_deprecate(tmp_path: Path) -> None:
    rules = RuleRegistry(tmp_path)
    rules.register_rule_version("breakout", "1.0", {"entry": 1}, "first", ["es"])
    rules.register_rule_version("breakout", "1.1", {"entry": 2})
    assert rules.load_rule_version("breakout", "1.0").rules == {"entry": 1}
    assert rules.latest("breakout").version == "1.1"
    rules.deprecate_version("breakout", "1.1")
    assert rules.latest("breakout").version == "1.0"
    assert rules.list_versions("breakout") == [("breakout", "1.0"), ("breakout", "1.1")]
    with pytest.raises(PersistentStoreError):
        rules.register_rule_version("breakout", "1.0", {"entry": 3})


def test_retention_with_dry_run_and_limits(tmp_path: Path) -> None:
    for age in range(4):
        file = tmp_path / f"cache/{age}.bin"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"12345")
        os.utime(file, (time.time() - age * 86_400,) * 2)
    retention = Retention(tmp_path)
    policies = [RetentionPolicy("cache", max_age_days=2.5, max_bytes=10, keep_last=1, pins=("2.bin",))]
    announced = retention.purge(policies)
    assert (announced.dry_run, announced.deleted, announced.freed_bytes) == (True, ["cache/1.bin", "cache/3.bin"], 10)
    assert [row["verdict"] for row in announced.rows()] == [
        "keep_last", "exceeds_max_bytes", "pinned", "older_than_max_age",
    ]  # fmt: skip
    assert retention.purge(policies, dry_run=False).deleted == announced.deleted
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["0.bin", "2.bin"]


def test_run_manifests(tmp_path: Path) -> None:
    save_parquet(spreads(), tmp_path / "ig.parquet")
    runs = RunRegistry(tmp_path)
    parent = runs.register_run("replay", parameters={"mode": "replay"})
    run_id = runs.register_run("backtest", inputs=["ig.parquet"], setup_id="s", rule_version="1", parent=parent)
    ref = ArtifactStore(tmp_path).save_json({}, "report", "r.json")
    runs.attach_artifact(run_id, ref)
    runs.attach_dataset(run_id, "ig")
    runs.heartbeat(run_id)
    assert runs.get_run(run_id).inputs[0].path == "ig.parquet"
    assert [run.run_id for run in runs.find_runs(setup_id="s", rule_version="1")] == [run_id]
    assert runs.finish(run_id, {"rows": 10}).outcome == {"rows": 10}
    assert runs.fail(parent, ValueError("no")).status is RunStatus.FAILED
    with runs.run("evaluation") as inner:
        assert runs.get_run(inner).status is RunStatus.RUNNING
    assert (runs.get_run(inner).status, runs.mark_crashed()) == (RunStatus.FINISHED, [])


def test_config_and_schema_snapshots_of_a_run(tmp_path: Path) -> None:
    runs, tables = RunRegistry(tmp_path), TableCatalog()
    parameters = {"config": {"flush_rows": 1000}, "schemas": {spec.name: spec.schema_id for spec in tables}}
    run = runs.get_run(runs.register_run("live", parameters=parameters))
    assert run.parameters == parameters
    assert run.parameters["schemas"]["futures.trades"] == tables.get("futures.trades").schema_id
    assert run.environment["python"].startswith("3.")


def test_registry_of_schemas() -> None:
    tables = TableCatalog()
    assert {"futures.trades", "futures.mbp10", "options.trades", "levels.signals"} <= {spec.name for spec in tables}
    assert tables.get("futures.trades").schema_id == "futures.trades/1"
    assert "price" in json_schema(tables.get("futures.trades"))["properties"]
