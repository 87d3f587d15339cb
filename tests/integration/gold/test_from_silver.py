"""Both rooms together, through files only: what the builder leaves is what the curator promotes."""

from __future__ import annotations

from pathlib import Path

from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.catalog.lineage import Lineage
from ticklake.gold.curator import GoldCurator
from ticklake.gold.promotion import PromotionStatus
from ticklake.readers.silver import SilverReader
from ticklake.silver.builder import SilverFeatureBuilder

LEAKY = "tests.integration.silver.toy:LEAKY"


def test_a_build_is_promoted_with_all_it_knows(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    builder.build_feature_set(toy_manifest(cuts=20))
    builder.register_experiment("v1", "first", metrics={"auc": 0.6})
    curator = GoldCurator(tmp_path)
    done = curator.promote_best_experiment("auc")
    assert done.status is PromotionStatus.SUCCESS, done.reason
    assert curator.load_training_data().equals(SilverReader(tmp_path).read("v1"))
    assert curator.validate_dataset().passed
    steps = Lineage(tmp_path).trace("signals_production")
    assert {step.kind for step in steps} == {"version", "dataset", "date", "table", "stream", "run"}
    inputs = SilverReader(tmp_path).get_version("v1").records()[0].inputs
    uses = Lineage(tmp_path).uses_of_file(inputs[0].path)
    assert [use.kind for use in uses] == ["feature_version", "training_set"]


def test_a_leaky_version_is_refused_even_with_force(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest(pipeline=LEAKY))
    done = GoldCurator(tmp_path).promote_to_training("v1", force=True)
    assert done.status is PromotionStatus.REFUSED
    assert "certificate: the causality certificate did not pass: distance_points" in done.reason


def test_a_damaged_file_beside_the_signals_is_refused(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest(cuts=20))
    path = next((tmp_path / "silver/features/v1").rglob("episodes.parquet"))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    done = GoldCurator(tmp_path).promote_to_training("v1", force=True)
    assert done.status is PromotionStatus.REFUSED
    assert "episodes.parquet is not as recorded" in done.reason
