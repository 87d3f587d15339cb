"""Same inputs, same bytes: whatever the workers, the order of dates, the time zone or the hash seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.silver.test_engine_build import sums
from tests.integration.silver.toy import add_day, day_text, toy_lake, toy_manifest
from tests.integration.small_lake import SmallLake

from ticklake.silver.builder import SilverFeatureBuilder

DAYS = 5
BUILD = """
import sys
from tests.integration.silver.toy import toy_manifest
from ticklake.silver.builder import SilverFeatureBuilder

if __name__ == "__main__":
    result = SilverFeatureBuilder(sys.argv[1]).build_feature_set(toy_manifest(), workers=int(sys.argv[2]))
    assert result.status == "complete", result.errors
"""


def build_elsewhere(root: Path, workers: int, **environment: str) -> None:
    script = root / "build_it.py"
    script.write_text(BUILD)
    subprocess.run(
        [sys.executable, str(script), str(root), str(workers)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        check=True,
        timeout=200,
    )


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("reference")
    toy_lake(root, DAYS)
    assert SilverFeatureBuilder(root).build_feature_set(toy_manifest()).status == "complete"
    return sums(root)


def test_four_workers_in_another_time_zone_write_the_same_bytes(tmp_path: Path, reference: dict[str, str]) -> None:
    toy_lake(tmp_path, DAYS)
    build_elsewhere(tmp_path, 4, TZ="Asia/Tokyo", PYTHONHASHSEED="7", POLARS_MAX_THREADS="3")
    assert sums(tmp_path) == reference


def test_dates_in_another_order_write_the_same_bytes(tmp_path: Path, reference: dict[str, str]) -> None:
    toy_lake(tmp_path, DAYS)
    builder = SilverFeatureBuilder(tmp_path)
    for days in ([3], [4, 0], None):
        builder.build_feature_set(toy_manifest(), None if days is None else [day_text(day) for day in days])
    assert sums(tmp_path) == reference


def test_a_lake_written_in_another_order_gives_the_same_features(tmp_path: Path, reference: dict[str, str]) -> None:
    lake = SmallLake(tmp_path)
    for day in reversed(range(DAYS)):
        add_day(lake, day)
    SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest())
    data = {name: sha256 for name, sha256 in sums(tmp_path).items() if name.endswith(".parquet")}
    assert data == {name: sha256 for name, sha256 in reference.items() if name.endswith(".parquet")}


def test_a_worker_that_is_killed_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: dict[str, str]
) -> None:
    toy_lake(tmp_path, DAYS)
    monkeypatch.setenv("TOY_MARK", str(tmp_path / "died"))
    deadly = toy_manifest(pipeline="tests.integration.silver.fragile:DEADLY")
    result = SilverFeatureBuilder(tmp_path).build_feature_set(deadly, workers=2)
    assert (tmp_path / "died").exists()
    assert (result.status, result.errors) == ("complete", ())
    data = {name: sha256 for name, sha256 in sums(tmp_path).items() if name.endswith(".parquet")}
    assert data == {name: sha256 for name, sha256 in reference.items() if name.endswith(".parquet")}
