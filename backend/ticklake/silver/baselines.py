"""Manifests to start from: one per pipeline, with every parameter spelled out."""

from __future__ import annotations

from typing import Final

from ticklake.silver.manifest import Manifest
from ticklake.silver.pipelines import find_pipeline
from ticklake.silver.recipe import resolve

_VERSIONS: Final = {
    "es_levels": "v3.1.0",
    "book_flow": "book_flow-v1.0.0",
    "book_flow_quotes": "book_flow_quotes-v1.0.0",
}


def baseline_manifest(pipeline: str = "es_levels", version: str | None = None) -> Manifest:
    """The manifest of a pipeline with all its defaults.

    Args:
        pipeline: its name.
        version: name of the feature version; a usual one when None.

    Raises:
        UsageError: there is no such pipeline.
    """
    doc = find_pipeline(pipeline).doc
    name = version or _VERSIONS.get(pipeline, "v1.0.0")
    return resolve(Manifest(version=name, pipeline=pipeline, description=doc, tags=["baseline"])).manifest
