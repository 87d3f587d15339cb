"""Baseline manifests: whole, readable again, and fit for the instrument they are made for."""

from __future__ import annotations

import pytest

from ticklake.base.errors import UsageError
from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.manifest import dump_manifest, parse_manifest
from ticklake.silver.pipeline import default_parameters
from ticklake.silver.pipelines import PIPELINES, find_pipeline
from ticklake.silver.recipe import resolve
from ticklake.silver.stages.zones import ZoneParameters


@pytest.mark.parametrize("name", PIPELINES)
def test_it_spells_out_every_parameter_and_comes_back_from_yaml(name: str) -> None:
    manifest = baseline_manifest(name, "mine-v1")
    assert (manifest.version, manifest.pipeline) == ("mine-v1", name)
    stages = default_parameters(find_pipeline(name))
    for stage, parameters in stages.items():
        assert set(manifest.parameters.get(stage, {})) == set(parameters.__struct_fields__), stage
    again = parse_manifest(dump_manifest(manifest))
    assert resolve(again).manifest_hash == resolve(manifest).manifest_hash
    whole = resolve(manifest).manifest
    assert resolve(parse_manifest(dump_manifest(whole))).manifest == whole, "a build of it has nothing to do"


def test_the_tape_of_es_levels_reaches_beyond_the_edge_of_the_zone_where_price_enters() -> None:
    physics = baseline_manifest("es_levels").parameters["compute_physics"]
    assert physics["tape_points"] > ZoneParameters().zone_points
    assert physics["sweep_notional"] == 30_000_000.0


def test_there_is_none_for_a_pipeline_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="no pipeline"):
        baseline_manifest("nothing")
