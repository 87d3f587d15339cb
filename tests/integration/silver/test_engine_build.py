"""The builder on a real lake: what is built, what is left alone, what fails and what that leaves."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from tests.integration.silver.toy import add_day, day_text, toy_lake, toy_manifest

from ticklake.base.clock import SystemClock
from ticklake.base.errors import NoDataError, RetryableError, UsageError
from ticklake.catalog.lineage import Lineage
from ticklake.catalog.runs import RunRegistry
from ticklake.schema.lookup import TableCatalog
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.folder import VersionFolder
from ticklake.silver.lease import hold_version
from ticklake.silver.record import VersionState, VersionStatus
from ticklake.silver.result import BuildResult

LEAKY = "tests.integration.silver.toy:LEAKY"
LATE = "tests.integration.silver.toy:LATE"
FRAGILE = "tests.integration.silver.fragile:FRAGILE"


def outcomes(result: BuildResult) -> list[str]:
    return [item.outcome.value for item in result.dates]


def causes(result: BuildResult) -> list[str]:
    return [item.cause for item in result.dates]


def sums(root: Path, version: str = "v1") -> dict[str, str]:
    place = root / "silver/features" / version
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(place.rglob("*"))
        if path.is_file() and path.name not in ("state.json", "LOCK")
    }


def test_a_lake_that_was_deleted_and_made_again_is_built_by_the_same_process(tmp_path: Path) -> None:
    for days in (1, 2):
        toy_lake(tmp_path / "lake", days)
        builder = SilverFeatureBuilder(tmp_path / "lake")
        assert builder.build_feature_set(toy_manifest()).status == "complete"
        assert builder.load_features("v1")["date"].n_unique() == days
        shutil.rmtree(tmp_path / "lake")


@pytest.mark.parametrize("workers", [0, 1])
def test_whoever_builds_knows_the_tables_that_the_builder_was_given(tmp_path: Path, workers: int) -> None:
    toy_lake(tmp_path, 1)
    known = TableCatalog()
    own = replace(known.get("futures.trades"), name="desk.trades", subject="desk.trades", stream="DESK")
    (tmp_path / own.folder).parent.mkdir(parents=True)
    (tmp_path / known.get("futures.trades").folder).rename(tmp_path / own.folder)
    builder = SilverFeatureBuilder(tmp_path, tables=TableCatalog((*known, own)))
    manifest = toy_manifest(tables={"bronze_trades": "desk.trades"})
    result = builder.build_feature_set(manifest, workers=workers)
    assert (result.status, result.errors, result.certificate_passed) == ("complete", (), True)


def test_a_build_writes_the_version_that_the_contract_shows(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    seen: list[tuple[str, int, int]] = []
    builder = SilverFeatureBuilder(tmp_path)
    result = builder.build_feature_set(
        toy_manifest(), progress=lambda item, done, total: seen.append((item.date, done, total))
    )
    assert (result.status, result.errors, result.dates_processed, result.signals_total) == ("complete", (), 3, 240)
    assert result.certificate_passed
    assert seen == [(day_text(0), 1, 3), (day_text(1), 2, 3), (day_text(2), 3, 3)]
    place = tmp_path / "silver/features/v1"
    assert sorted(path.name for path in place.iterdir()) == [
        "LOCK", "date=2024-12-16", "date=2024-12-17", "date=2024-12-18", "manifest.yaml", "records", "request.yaml",
        "state.json", "validation.json",
    ]  # fmt: skip
    assert sorted(path.name for path in (place / "date=2024-12-16").iterdir()) == [
        "episodes.parquet",
        "signals.parquet",
    ]
    assert not list((tmp_path / "silver/staging/v1").iterdir())
    manifest = builder.get_manifest("v1")
    assert manifest.built is not None
    assert manifest.built.rows == dict.fromkeys((day_text(0), day_text(1), day_text(2)), 80)
    assert manifest.built.warmup[day_text(0)].sessions_found == 0
    assert manifest.built.warmup[day_text(1)].sessions_found == 1
    assert {file.path.split("/")[1] for file in manifest.built.inputs} == {"futures"}
    assert [entry.role for entry in manifest.columns["signals"]] == [
        "key", "key", "key", "info", "feature", "feature", "label",
    ]  # fmt: skip
    assert json.loads((place / "validation.json").read_bytes())["causality"]["passed"]


def test_features_come_back_as_they_were_made(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    builder.build_feature_set(toy_manifest())
    rows = builder.load_features("v1")
    assert rows.height == 240
    assert rows["ts_event_ns"].is_sorted()
    one = builder.load_features("v1", day_text(1))
    assert one.equals(rows.filter(pl.col("date").cast(pl.String) == day_text(1)))
    assert one["distance_points"].null_count() == 0, "the look-back session warms the first rows up"
    assert rows["distance_points"].null_count() == 1, "the very first date has none"
    assert builder.load_features("v1", table="episodes").height == 240
    with pytest.raises(NoDataError, match="no feature version 'v2'"):
        builder.load_features("v2")


def test_nothing_changed_nothing_built(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    first = builder.build_feature_set(toy_manifest())
    before = sums(tmp_path)
    again = builder.build_feature_set("v1")
    assert outcomes(again) == ["skipped"] * 3
    assert (again.status, again.dates_processed, again.run_id) == ("complete", 0, None)
    assert again.certificate_passed
    assert sums(tmp_path) == before
    assert builder.get_state("v1").build == 1
    assert [run.run_id for run in RunRegistry(tmp_path).find_runs(kind="silver_build")] == [first.run_id]


def test_only_what_is_stale_is_built_and_the_bytes_are_those_of_a_fresh_build(tmp_path: Path) -> None:
    lake = toy_lake(tmp_path / "a")
    builder = SilverFeatureBuilder(tmp_path / "a")
    builder.build_feature_set(toy_manifest())
    add_day(lake, 3)
    assert causes(builder.build_feature_set("v1")) == ["", "", "", "missing"]
    add_day(lake, 1, rows=900)  # more trades of a day that was built, which is the look-back of the next
    assert causes(builder.build_feature_set("v1")) == ["", "bronze changed", "bronze changed", ""]
    VersionFolder(tmp_path / "a", "v1").data_path(day_text(0), "signals.parquet").write_bytes(b"")
    assert causes(builder.build_feature_set("v1")) == ["files changed", "", "", ""]
    assert causes(builder.build_feature_set(toy_manifest(parameters={"move": {"rows": 4}}))) == ["manifest changed"] * 4
    assert causes(builder.build_feature_set("v1", force=True)) == ["forced"] * 4

    fresh = toy_lake(tmp_path / "b")
    add_day(fresh, 3)
    add_day(fresh, 1, rows=900)
    SilverFeatureBuilder(tmp_path / "b").build_feature_set(toy_manifest(parameters={"move": {"rows": 4}}))
    assert sums(tmp_path / "a") == sums(tmp_path / "b")


def test_other_code_makes_a_date_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_lake(tmp_path, 1)
    builder = SilverFeatureBuilder(tmp_path)
    builder.build_feature_set(toy_manifest())
    monkeypatch.setattr("ticklake.silver.recipe.code_hash", lambda stages: "other")
    assert causes(builder.build_feature_set("v1")) == ["code changed"]


def test_asked_dates_join_those_there_are(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    builder.build_feature_set(toy_manifest(), day_text(2))
    assert builder.load_features("v1").height == 80
    last = sums(tmp_path)[f"date={day_text(2)}/episodes.parquet"]
    result = builder.build_feature_set("v1", [day_text(0)])
    assert [(item.date, item.cause) for item in result.dates] == [(day_text(0), "missing"), (day_text(2), "")]
    assert sums(tmp_path)[f"date={day_text(2)}/episodes.parquet"] != last, "an earlier date changes its statistics"


def test_the_second_pass_knows_earlier_dates_and_not_its_own(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    builder.build_feature_set(toy_manifest())
    days = [builder.load_features("v1", day_text(day), table="episodes") for day in range(3)]
    for number, own in enumerate(days):
        earlier = pl.concat(days[:number])["raw"].mean() if number else 0.0
        assert (own["raw"] - own["scaled"]).drop_nulls().to_numpy() == pytest.approx(earlier)


def test_a_date_that_fails_says_why_and_leaves_the_others(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    result = builder.build_feature_set(toy_manifest(pipeline=FRAGILE))
    assert outcomes(result) == ["built", "failed", "built"]
    assert "stage 'fragile' failed on 2024-12-17: ValueError: not a Tuesday" in result.dates[1].reason
    assert result.errors[1].startswith("1 of 3 dates failed")
    assert result.status == "failed"
    assert builder.list_versions() == []
    assert builder.list_versions(complete_only=False) == ["v1"]
    with pytest.raises(NoDataError, match="version v1 is failed"):
        builder.load_features("v1")
    assert not (tmp_path / "silver/features/v1/manifest.yaml").exists()
    run = RunRegistry(tmp_path).find_runs(kind="silver_build")[0]
    assert (run.status.value, run.datasets) == ("failed", ())
    assert causes(builder.build_feature_set(toy_manifest(pipeline=FRAGILE))) == ["", "failed before", ""]
    assert builder.build_feature_set(toy_manifest()).status == "complete"
    assert builder.load_features("v1").height == 240


def test_damaged_bronze_fails_its_date(tmp_path: Path) -> None:
    toy_lake(tmp_path, 2)
    path = next((tmp_path / "bronze/futures/trades/symbol=ES/date=2024-12-17").rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    result = SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest())
    assert outcomes(result) == ["built", "failed"]
    assert path.name in result.dates[1].reason


def test_a_leak_is_readable_and_marked(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    result = builder.build_feature_set(toy_manifest(pipeline=LEAKY))
    assert (result.status, result.certificate_passed) == ("complete", False)
    assert "the causality certificate failed: distance_points, episodes.raw know the future" in result.reason
    manifest = builder.get_manifest("v1")
    assert manifest.built is not None
    assert not manifest.built.certificate_passed
    assert not builder.build_feature_set("v1").certificate_passed


def test_a_leak_in_another_file_than_the_signals_is_seen(tmp_path: Path) -> None:
    toy_lake(tmp_path, 2)
    result = SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest(pipeline=LATE))
    assert (result.status, result.certificate_passed) == ("complete", False)
    assert "the causality certificate failed: episodes.raw know the future" in result.reason


def test_failing_checks_fail_the_version(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    result = builder.build_feature_set(toy_manifest(pipeline="tests.integration.silver.fragile:CONSTANT"))
    assert result.status == "failed"
    assert "constant_feature signals.always_one" in result.reason
    assert builder.list_versions() == []


def test_a_second_builder_is_refused(tmp_path: Path) -> None:
    toy_lake(tmp_path, 1)
    builder = SilverFeatureBuilder(tmp_path)
    with (
        hold_version(VersionFolder(tmp_path, "v1"), clock=SystemClock()),
        pytest.raises(RetryableError, match=r"version v1 is being built by process \d+ on .*; wait for it"),
    ):
        builder.build_feature_set(toy_manifest())
    assert builder.build_feature_set(toy_manifest()).status == "complete"


def test_a_build_is_a_run_and_lineage_walks_to_the_sequences(tmp_path: Path) -> None:
    toy_lake(tmp_path, 2)
    result = SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest())
    steps = Lineage(tmp_path).trace("silver/features/v1")
    assert steps[0].name == "silver/features/v1"
    assert [step.name for step in steps if step.kind == "run"] == [result.run_id]
    assert "bronze/futures/trades" in {step.name for step in steps}
    assert any("sequences 1 to 800" in step.detail for step in steps if step.kind == "stream")


def test_versions_are_compared_and_experiments_registered(tmp_path: Path) -> None:
    toy_lake(tmp_path, 1)
    builder = SilverFeatureBuilder(tmp_path)
    builder.build_feature_set(toy_manifest("a"))
    builder.build_feature_set(toy_manifest("b", parameters={"move": {"rows": 9}}, parent="a"))
    found = builder.compare_versions("a", "b")
    assert (found.parameters_a, found.parameters_b) == ({"move.rows": 5}, {"move.rows": 9})
    assert found.same_code
    assert found.features_common == ("step_points", "distance_points")
    with pytest.raises(NoDataError, match="'c'"):
        builder.compare_versions("a", "c")
    builder.register_experiment("a", "e1", metrics={"auc": 0.6})
    assert builder.experiments.get("e1").metrics == {"auc": 0.6}
    again = builder.register_experiment("a", "e2", "running", {"auc": 0.7}, "model.bin", "by position", parent="e1")
    assert (again.status, again.metrics, again.parent) == ("running", {"auc": 0.7}, "e1")
    assert (again.model_path, again.notes) == ("model.bin", "by position")
    with pytest.raises(NoDataError, match="'c'"):
        builder.register_experiment("c", "e1")


def test_a_table_without_the_columns_is_refused(tmp_path: Path) -> None:
    toy_lake(tmp_path, 1)
    builder = SilverFeatureBuilder(tmp_path)
    with pytest.raises(UsageError, match="no table"):
        builder.build_feature_set(toy_manifest(tables={"bronze_trades": "futures.tradez"}))


def test_the_inspection_shows_each_stage_and_changes_nothing(tmp_path: Path) -> None:
    toy_lake(tmp_path, 2)
    builder = SilverFeatureBuilder(tmp_path)
    found = builder.inspect(toy_manifest(), day_text(1))
    assert [report.stage for report in found.reports] == ["load", "events", "move", "label", "episodes"]
    load, events = found.reports[0], found.reports[1]
    assert (load.rows, events.rows, found.reports[2].columns_added) == (1600, 80, ("distance_points",))
    assert load.size_bytes > events.size_bytes > 0
    assert not (tmp_path / "silver").exists()
    folder = tmp_path / "frames"
    builder.inspect(toy_manifest(), day_text(1), stop_at="move", checkpoint=folder)
    rest = builder.inspect(toy_manifest(), day_text(1), resume_after="move", checkpoint=folder)
    with pytest.raises(NoDataError, match="holds no frames"):
        builder.inspect(toy_manifest(), day_text(0), resume_after="move", checkpoint=folder)
    assert [report.stage for report in rest.reports] == ["label", "episodes"]
    assert rest.frames["events"].collect().equals(found.frames["events"].collect())
    with pytest.raises(NoDataError, match="no session on 2024-12-21"):
        builder.inspect(toy_manifest(), "2024-12-21")


def test_a_feature_that_nobody_knows_yet_only_warns_until_a_date_had_its_whole_look_back(tmp_path: Path) -> None:
    toy_lake(tmp_path, 2)
    builder = SilverFeatureBuilder(tmp_path)
    manifest = toy_manifest(parameters={"move": {"rows": 3_000}})  # more trades than there are in two sessions
    assert builder.build_feature_set(manifest, day_text(0)).status == "complete"
    found = json.loads((tmp_path / "silver/features/v1/validation.json").read_bytes())["checks"]
    warned = [check["column"] for check in found if check["name"] == "never_known" and check["status"] == "failed"]
    assert "distance_points" in warned
    result = builder.build_feature_set(manifest, day_text(1))
    assert result.status == "failed"
    assert "never_known signals.distance_points (160 of 160" in result.reason


def flip_pages(root: Path, day: int, file: int = 0) -> Path:
    """Damage every page of a file of trades of a day; the footer stays as it was."""
    path = sorted((root / f"bronze/futures/trades/symbol=ES/date={day_text(day)}").rglob("*.parquet"))[file]
    content = bytearray(path.read_bytes())
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[4:footer] = bytes(byte ^ 0xFF for byte in content[4:footer])
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("workers", "file"), [(0, 0), (0, -1), (1, 0)])
def test_damaged_pages_under_a_good_footer_fail_their_date_and_leave_the_others(
    tmp_path: Path, workers: int, file: int
) -> None:
    toy_lake(tmp_path, 2)
    path = flip_pages(tmp_path, 1, file)
    builder = SilverFeatureBuilder(tmp_path)
    result = builder.build_feature_set(toy_manifest(), workers=workers)
    assert outcomes(result) == ["built", "failed"]
    assert path.name in result.dates[1].reason
    assert builder.get_state("v1").state == "failed"


def test_pages_damaged_before_the_certificate_fail_the_version(tmp_path: Path) -> None:
    toy_lake(tmp_path, 1)
    builder = SilverFeatureBuilder(tmp_path)
    result = builder.build_feature_set(toy_manifest(), workers=0, progress=lambda *_: flip_pages(tmp_path, 0) and None)
    assert (result.status, builder.get_state("v1").state) == ("failed", "failed")
    assert "the causality certificate could not be drawn" in result.reason
    assert "verify" in result.reason


def test_what_shapes_no_date_can_be_changed_without_building_one(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    first = builder.build_feature_set(toy_manifest(cuts=0))
    assert (first.status, first.certificate_passed) == ("complete", False)
    data = {name: sha256 for name, sha256 in sums(tmp_path).items() if name.endswith(".parquet")}

    VersionFolder(tmp_path, "v0").write_state(VersionState(VersionStatus.BUILDING))
    changed = toy_manifest(cuts=4, notes="now with a certificate", tags=["new"], parent="v0")
    result = builder.build_feature_set(changed)
    assert (outcomes(result), result.reason, result.certificate_passed) == (["skipped"] * 3, "", True)
    manifest = builder.get_manifest("v1")
    assert (manifest.notes, manifest.tags, manifest.parent) == ("now with a certificate", ["new"], "v0")
    assert manifest.certificate.cuts == 4
    assert {name: sha256 for name, sha256 in sums(tmp_path).items() if name.endswith(".parquet")} == data
    SilverFeatureBuilder(tmp_path).build_feature_set(changed)
    assert builder.get_state("v1").build == 2, "nothing changed since"
