"""Retention of feature versions that the builder made, and of what was promoted from them."""

from __future__ import annotations

from pathlib import Path

from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.catalog.lineage import Lineage
from ticklake.catalog.retention import Retention
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.catalog.runs import RunRegistry
from ticklake.gold.curator import GoldCurator
from ticklake.readers.silver import SilverReader
from ticklake.silver.builder import SilverFeatureBuilder


def purge(root: Path, kind: str, **limits: int) -> dict[str, tuple[bool, str]]:
    report = Retention(root).purge([RetentionPolicy(kind, **limits)], dry_run=False)  # type: ignore[arg-type]
    return {row["path"]: (row["deletes"], row["detail"]) for row in report.rows()}


def test_what_was_built_goes_unless_a_training_set_was_made_from_it(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder, curator = SilverFeatureBuilder(tmp_path), GoldCurator(tmp_path)
    for version in ("v1", "v2", "v3"):
        builder.build_feature_set(toy_manifest(version, cuts=20))
    for version in ("v1", "v2"):
        assert curator.promote_to_training(version, notes=version).passed
    inputs = [item.path for record in SilverReader(tmp_path).get_version("v1").records() for item in record.inputs]
    assert purge(tmp_path, "silver", max_count=0) == {
        "silver/features/v1": (False, "training set signals_production@v000001"),
        "silver/features/v2": (False, "training set signals_production"),
        "silver/features/v3": (True, ""),
    }
    assert [version.name for version in SilverReader(tmp_path).list_versions()] == ["v1", "v2"]
    kept = purge(tmp_path, "bronze", max_count=0)
    assert inputs
    assert not any(kept[path][0] for path in inputs)
    assert purge(tmp_path, "training_sets", max_count=0)["gold/history/signals_production/v000001"][0]
    assert purge(tmp_path, "silver", max_count=0) == {
        "silver/features/v1": (True, ""),
        "silver/features/v2": (False, "training set signals_production"),
    }
    assert SilverReader(tmp_path).read("v2").equals(curator.load_training_data())
    assert curator.validate_dataset().passed
    assert builder.build_feature_set(toy_manifest("v1", cuts=20)).certificate_passed
    assert curator.promote_to_training("v1", notes="v1").version == 3


def test_lineage_names_bronze_and_silver_that_retention_removed(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest(cuts=20))
    GoldCurator(tmp_path).promote_to_training("v1")
    (tmp_path / "gold/training/signals_production_metadata.json").rename(tmp_path / "pointer.json")
    (tmp_path / "gold/history").rename(tmp_path / "history")
    (run,) = RunRegistry(tmp_path).find_runs(kind="promotion")
    (tmp_path / f"catalog/runs/{run.run_id}.json").unlink()
    assert not any(deletes for deletes, _ in purge(tmp_path, "runs", max_count=0).values())
    purge(tmp_path, "silver", max_count=0)
    assert not any(deletes for deletes, _ in purge(tmp_path, "bronze", max_count=0).values())
    assert all(deletes for deletes, _ in purge(tmp_path, "runs", max_count=0).values())
    assert all(deletes for deletes, _ in purge(tmp_path, "bronze", max_count=0).values())
    (tmp_path / "history").rename(tmp_path / "gold/history")
    (tmp_path / "pointer.json").rename(tmp_path / "gold/training/signals_production_metadata.json")
    steps = Lineage(tmp_path).trace("signals_production", files=True)
    silver = [step for step in steps if step.name == "silver/features/v1" or step.kind == "date"]
    bronze = [step for step in steps if step.kind == "file"]
    assert silver
    assert bronze
    assert all(", retired 20" in step.detail and "(exceeds_max_count)" in step.detail for step in silver + bronze)
    short = [step.detail for step in Lineage(tmp_path).trace("signals_production") if step.kind == "table"]
    assert all(detail.endswith(f", {detail.split()[0]} retired") for detail in short)
    (head, *_) = Lineage(tmp_path).trace(bronze[0].name)
    assert (head.kind, head.detail[:10]) == ("file", "retired 20")
