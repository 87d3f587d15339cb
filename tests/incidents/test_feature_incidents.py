"""Incidents of feature versions and training sets. As their runbooks say; no service has to run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.e2e.harness import Service, run_ticklake
from tests.incidents.site import try_block
from tests.integration.silver.test_engine_build import flip_pages, sums
from tests.integration.silver.toy import toy_lake

from ticklake.base.clock import SystemClock
from ticklake.gold.curator import GoldCurator
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.folder import VersionFolder
from ticklake.silver.lease import hold_version

TOYS = "tests.integration.silver"
DAYS = 2
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """A lake of two days, and what the operator has in the environment."""
    toy_lake(tmp_path / "lake", DAYS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(REPOSITORY), *sys.path]))
    monkeypatch.setenv("TOY_MARK", str(tmp_path / "died"))
    monkeypatch.setenv("VERSION", "v1")
    monkeypatch.setenv("MANIFEST", str(tmp_path / "m.yaml"))
    monkeypatch.setenv("SET", "signals")
    return Service(tmp_path, "nats://127.0.0.1:1")


def write_manifest(lake: Service, pipeline: str) -> str:
    path = lake.log_path.parent / "m.yaml"
    path.write_text(f"version: v1\npipeline: {TOYS}.{pipeline}\n")
    return str(path)


def build(lake: Service, pipeline: str = "toy:TOY", *options: str) -> int:
    manifest = write_manifest(lake, pipeline)
    return run_ticklake("silver", "build", manifest, *options, settings=lake.settings).returncode


def test_a_date_fails_by_a_damaged_bronze_file_and_is_built_when_that_is_back(lake: Service) -> None:
    whole = {path: path.read_bytes() for path in (lake.data_root / "bronze").rglob("*.parquet")}
    damaged = flip_pages(lake.data_root, 0)
    assert build(lake) == 3
    assert "2 of 2 dates failed" in try_block("feature-build", "look", lake)
    told = try_block("feature-build", "dates", lake, code=3)
    assert str(damaged) in told
    damaged.write_bytes(whole[damaged])
    assert "2 of 2 dates built" in try_block("feature-build", "dates", lake)


def test_a_certificate_fails_and_no_force_helps(lake: Service) -> None:
    assert build(lake, "toy:LEAKY") == 3
    assert "v1.html" in try_block("feature-build", "certificate", lake)
    assert "distance_points" in (lake.log_path.parent / "v1.html").read_text()
    assert "certificate" in try_block("training-set", "refused", lake, code=3)
    assert "know the future" in try_block("training-set", "forced", lake, code=3)
    write_manifest(lake, "toy:TOY")
    assert "2 of 2 dates built" in try_block("feature-build", "dates", lake)


def test_a_build_is_killed_and_another_one_is_in_the_way(lake: Service) -> None:
    assert build(lake, "fragile:DEADLY") == -9
    assert "building" in try_block("feature-build", "look", lake)
    with hold_version(VersionFolder(lake.data_root, "v1"), clock=SystemClock()):
        assert f"is being built by process {os.getpid()}" in try_block("feature-build", "busy", lake, code=75)
    told = try_block("feature-build", "killed", lake)
    assert "crashed" in told
    assert "1 of 2 dates built" in told
    assert "1 run marked" in told


def test_a_file_and_a_document_are_damaged(lake: Service) -> None:
    assert build(lake) == 0
    before = sums(lake.data_root)
    path = VersionFolder(lake.data_root, "v1").path / "date=2024-12-17/signals.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    assert "1 of 2 dates built" in try_block("feature-build", "file", lake)
    (path.parents[1] / "state.json").write_text("{")
    assert "damaged" in try_block("feature-build", "look", lake, code=65)
    assert "complete" in try_block("feature-build", "document", lake)
    assert sums(lake.data_root) == before
    assert SilverFeatureBuilder(lake.data_root).list_versions() == ["v1"]


def test_a_gate_refuses_and_a_promotion_was_a_mistake(lake: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build(lake, "toy:TOY", "--date", "2024-12-16") == 0
    curator = GoldCurator(lake.data_root)
    assert "80 rows, at least 100 wanted" in try_block("training-set", "refused", lake, code=3)
    assert "forced" in try_block("training-set", "forced", lake)
    assert curator.get_dataset_metadata("signals")["notes"] == "few rows on purpose: a trial"
    assert build(lake) == 0
    assert curator.promote_to_training("v1", "signals", "two").version == 2
    assert "promotion" in try_block("training-set", "look", lake)
    try_block("training-set", "back", lake)
    assert curator.get_dataset_metadata("signals")["version"] == 1
    monkeypatch.setenv("NUMBER", "2")
    try_block("training-set", "choose", lake)
    assert curator.get_dataset_metadata("signals")["version"] == 2
    told = try_block("training-set", "made-of", lake)
    assert "silver/features/v1" in told
    assert "training_set" in told


def test_the_plain_file_the_pointer_and_the_rows_are_damaged(lake: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build(lake) == 0
    curator, gold = GoldCurator(lake.data_root), lake.data_root / "gold"
    for notes in ("one", "two"):
        assert curator.promote_to_training("v1", "signals", notes).passed
    monkeypatch.setenv("NUMBER", "2")
    for name in ("signals.parquet", "signals_metadata.json"):
        (gold / "training" / name).write_text("{")
        try_block("training-set", "choose", lake)
        assert curator.validate_dataset("signals").passed
    (gold / "history/signals/v000002/data.parquet").unlink()
    try_block("training-set", "anew", lake)
    assert curator.get_dataset_metadata("signals")["version"] == 3
