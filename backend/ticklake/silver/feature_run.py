"""The part of a pipeline that makes features: what the causality certificate runs again. Pure."""

from __future__ import annotations

from collections.abc import Collection

from ticklake.silver.pipeline import INPUT_PREFIX, OUTPUTS, Parameters, Pipeline
from ticklake.silver.stage import AnyStage


def feature_pipeline(pipeline: Pipeline, parameters: Parameters, outputs: Collection[str] = tuple(OUTPUTS)) -> Pipeline:
    """The pipeline without label stages, without what needs labels, and without what only makes unwanted outputs.

    It gives the same events as the whole pipeline: stages that drop events stay.
    """
    others = frozenset(OUTPUTS).difference(outputs)
    known: dict[str, set[str]] = {}
    kept: list[AnyStage] = []
    for stage in pipeline.stages:
        own = parameters[stage.name]
        gives = stage.gives_with(own)
        served = all(
            frame.startswith(INPUT_PREFIX) or (frame in known and known[frame].issuperset(columns))
            for frame, columns in stage.needs_with(own).items()
        )
        if stage.knows_later or not served or (gives and others.issuperset(gives)):
            continue
        kept.append(stage)
        for frame, specs in gives.items():
            known.setdefault(frame, set()).update(spec.name for spec in specs)
    return pipeline.with_stages(kept)
