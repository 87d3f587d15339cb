"""es_levels and book_flow as shipped, on thin simulated sessions, through the builder and on into a training set."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from tests.integration.silver.test_engine_build import causes, sums
from tests.integration.silver.thin_market import (
    DAYS,
    MONDAY,
    SHORT,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    flow,
    lay_thin_market,
    levels,
    play,
)
from tests.integration.small_lake import SmallLake
from typer.testing import CliRunner

from ticklake.cli.gold import app
from ticklake.readers.gold import GoldReader
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.manifest import dump_manifest
from ticklake.silver.record import VersionStatus

VERSIONS = ("levels", "flow")
BUILD = """
import sys
from pathlib import Path
from ticklake.silver.builder import SilverFeatureBuilder

if __name__ == "__main__":
    root, workers, versions, *days = sys.argv[1:]
    for version in versions.split(","):
        manifest = Path(root) / f"{version}.yaml"
        result = SilverFeatureBuilder(root).build_feature_set(manifest, days, workers=int(workers))
        assert (result.status, result.certificate_passed) == ("complete", True), result.errors
"""


def build(
    root: Path, days: tuple[date, ...], workers: int, versions: tuple[str, ...] = VERSIONS, **environment: str
) -> None:
    """By processes of their own."""
    script = root / "build_it.py"
    script.write_text(BUILD)
    for manifest in (levels(), flow()):
        (root / f"{manifest.version}.yaml").write_text(dump_manifest(manifest))
    subprocess.run(
        [sys.executable, str(script), str(root), str(workers), ",".join(versions), *map(str, days)],
        env={**os.environ, **environment},
        check=True,
        timeout=300,
    )


def all_sums(root: Path) -> dict[str, dict[str, str]]:
    return {version: sums(root, version) for version in VERSIONS}


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> SmallLake:
    """Trades of the week before; then sessions of Monday, Tuesday and Thursday, built by one worker."""
    lake = lay_thin_market(tmp_path_factory.mktemp("market"), (MONDAY, TUESDAY, THURSDAY))
    build(lake.root, (MONDAY, TUESDAY, THURSDAY), 1)
    return lake


def copy_of(lake: SmallLake, root: Path) -> Path:
    for folder in ("bronze", "catalog"):
        shutil.copytree(lake.root / folder, root / folder)
    return root


def test_four_workers_in_another_order_and_time_zone_write_the_same_bytes(lake: SmallLake, tmp_path: Path) -> None:
    root = copy_of(lake, tmp_path)
    build(root, (THURSDAY,), 1, TZ="Asia/Tokyo")
    build(root, (TUESDAY, THURSDAY, MONDAY), 4, TZ="Pacific/Auckland", PYTHONHASHSEED="7")
    found = all_sums(root)
    assert found == all_sums(lake.root)
    for version, tables in (("levels", ("signals", "state", "episodes")), ("flow", ("signals",))):
        assert {name for name in found[version] if name.startswith("date=")} == {
            f"date={day}/{table}.parquet" for day in (MONDAY, TUESDAY, THURSDAY) for table in tables
        }


def test_a_date_in_between_is_built_with_what_depends_on_it_then_promoted(lake: SmallLake, tmp_path: Path) -> None:
    builder = SilverFeatureBuilder(lake.root)
    asked = (MONDAY, TUESDAY, THURSDAY)
    assert causes(builder.build_feature_set("levels", asked)) == [""] * 3, "nothing changed, nothing is stale"
    before = builder.load_features("levels", [MONDAY, TUESDAY])
    few = ("--date", str(MONDAY), "--date", str(TUESDAY), "--min-rows", "50")
    promote = ("promote", "levels", "--name", "live", "--min-cuts", str(SHORT.cuts))
    command(lake.root, *promote, *few)
    play(lake, WEDNESDAY)
    for version, later in (("levels", "bronze changed"), ("flow", "")):  # levels look back on three sessions
        result = builder.build_feature_set(version, WEDNESDAY)
        assert (result.status, causes(result)) == (VersionStatus.COMPLETE, ["", "", "missing", later])
        assert result.certificate_passed, result.reason

    fresh = copy_of(lake, tmp_path)
    for manifest in (levels(), flow()):
        assert SilverFeatureBuilder(fresh).build_feature_set(manifest, DAYS, workers=0).certificate_passed
    assert all_sums(fresh) == all_sums(lake.root)

    reader = GoldReader(lake.root)
    command(lake.root, *promote)
    command(lake.root, "validate", "live")
    assert reader.load_training_data("live").equals(builder.load_features("levels"))
    assert json.loads(command(lake.root, "rollback", "live", "-o", "json"))[0]["version"] == 1
    command(lake.root, "validate", "live")
    assert reader.load_training_data("live").equals(before)


def command(root: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--data", str(root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout
