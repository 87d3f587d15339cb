"""Room 2: features, built from bronze in batches, that cannot look ahead.

SilverFeatureBuilder     build, list, load, compare versions; register experiments
Manifest                 what a version is: pipeline, stages, parameters
Stage, ColumnSpec, Role  what a stage of your own is made of
run_pipeline             one session through the stages, without a lake
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ticklake.silver.baselines import baseline_manifest
    from ticklake.silver.builder import SilverFeatureBuilder
    from ticklake.silver.manifest import Manifest
    from ticklake.silver.pipeline import Pipeline, run_pipeline
    from ticklake.silver.stage import ColumnSpec, LookBack, Role, Stage, StageParameters

_HOMES = {
    "ColumnSpec": "stage",
    "LookBack": "stage",
    "Manifest": "manifest",
    "Pipeline": "pipeline",
    "Role": "stage",
    "SilverFeatureBuilder": "builder",
    "Stage": "stage",
    "StageParameters": "stage",
    "baseline_manifest": "baselines",
    "run_pipeline": "pipeline",
}

__all__ = [
    "ColumnSpec",
    "LookBack",
    "Manifest",
    "Pipeline",
    "Role",
    "SilverFeatureBuilder",
    "Stage",
    "StageParameters",
    "baseline_manifest",
    "run_pipeline",
]


def __getattr__(name: str) -> Any:
    """Import a part on first use: a worker process must set its threads before Polars starts."""
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(f"ticklake.silver.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
