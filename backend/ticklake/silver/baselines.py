"""Manifests to start from: one per pipeline, with every parameter spelled out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ticklake.silver.manifest import Manifest
from ticklake.silver.pipelines import find_pipeline
from ticklake.silver.recipe import resolve

_VERSIONS: Final = {
    "es_levels": "v3.1.0",
    "book_flow": "book_flow-v1.0.0",
    "book_flow_quotes": "book_flow_quotes-v1.0.0",
}

_PARAMETERS: Final[Mapping[str, dict[str, dict[str, Any]]]] = {
    # Price enters the zone `zone_points` (5) away from the level, so hardly a trade before lies within the default 0.5
    # points of it; and 500,000 dollars, the default, are two contracts at 6,000: every run of trades would be a sweep.
    "es_levels": {"compute_physics": {"tape_points": 10.0, "sweep_notional": 30_000_000.0}},
}


def baseline_manifest(pipeline: str = "es_levels", version: str | None = None) -> Manifest:
    """The manifest of a pipeline: every parameter spelled out, all defaults but a few that suit the instrument.

    Args:
        pipeline: its name.
        version: name of the feature version; a usual one when None.

    Raises:
        UsageError: there is no such pipeline.
    """
    doc = find_pipeline(pipeline).doc
    name = version or _VERSIONS.get(pipeline, "v1.0.0")
    given = _PARAMETERS.get(pipeline, {})
    return resolve(
        Manifest(version=name, pipeline=pipeline, description=doc, parameters=given, tags=["baseline"])
    ).manifest
