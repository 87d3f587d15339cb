"""A manifest made definite: every default filled in, stages found, parameters typed, and the hashes of all that."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ticklake.base.errors import UsageError
from ticklake.silver.code_hash import code_hash
from ticklake.silver.manifest import ColumnEntry, ExtraStage, Manifest, column_entries, without_places
from ticklake.silver.pipeline import Pipeline, check_order, output_columns
from ticklake.silver.pipelines import find_pipeline
from ticklake.silver.stage import AnyStage, ColumnSpec, StageParameters
from ticklake.silver.user_stages import load_extra_stage


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a build does, exactly.

    Attributes:
        manifest: with every default filled in; without `columns` and `built`.
        pipeline: the stages that run.
        parameters: stage -> its parameters.
        columns: file -> its declared columns.
        manifest_hash: of everything in the manifest that shapes the data.
        code_hash: of the code of the stages.
    """

    manifest: Manifest
    pipeline: Pipeline
    parameters: dict[str, StageParameters]
    columns: dict[str, tuple[ColumnSpec, ...]]
    manifest_hash: str
    code_hash: str

    @property
    def column_entries(self) -> dict[str, list[ColumnEntry]]:
        """The declared columns as text."""
        return column_entries(self.columns)

    @property
    def schema_hash(self) -> str:
        """sha256 of names, types and roles of the declared columns."""
        return _hash({file: [(c.name, c.dtype, c.role) for c in specs] for file, specs in self.column_entries.items()})


def resolve(manifest: Manifest) -> Recipe:
    """Fill in what the manifest leaves to defaults, and check that its stages fit together.

    Raises:
        UsageError: an unknown pipeline, stage, table frame or parameter; or stages that do not fit.
    """
    known = find_pipeline(manifest.pipeline)
    if unknown := sorted(set(manifest.tables) - set(known.tables)):
        raise UsageError(f"{known.name} reads no frame {unknown[0]!r}; `tables` may name {', '.join(known.tables)}")
    pipeline, stages = _stages(known, manifest.stages)
    parameters = {stage.name: _parameters(stage, manifest.parameters.get(stage.name, {})) for stage in pipeline.stages}
    if unknown := sorted(set(manifest.parameters) - set(parameters)):
        raise UsageError(f"parameters for {unknown[0]!r}, which is no stage; there are {', '.join(parameters)}")
    check_order(pipeline, parameters)
    full = msgspec.structs.replace(
        manifest,
        symbol=manifest.symbol or known.symbol,
        tables={**known.tables, **manifest.tables},
        calendar=manifest.calendar or known.calendar,
        stages=stages,
        parameters=_as_written({name: msgspec.to_builtins(own) for name, own in parameters.items()}),
        columns={},
        built=None,
    )
    stages = without_places(full).stages
    wanted = [full.pipeline, full.symbol, full.tables, full.calendar, stages, full.parameters]
    return Recipe(
        manifest=full,
        pipeline=pipeline,
        parameters=parameters,
        columns=output_columns(pipeline, parameters),
        manifest_hash=_hash(msgspec.to_builtins(wanted)),
        code_hash=code_hash(pipeline.stages),
    )


def _stages(known: Pipeline, wanted: Sequence[str | ExtraStage]) -> tuple[Pipeline, list[str | ExtraStage]]:
    """The pipeline that runs, and the manifest's list of its stages."""
    names = [item for item in wanted if isinstance(item, str)]
    for name in names:
        known.position(name)
    stages: list[AnyStage] = [stage for stage in known.stages if not names or stage.name in names]
    entries: list[str | ExtraStage] = [stage.name for stage in stages]
    for extra in (item for item in wanted if isinstance(item, ExtraStage)):
        stage, entry = load_extra_stage(extra)
        current = known.with_stages(stages)
        place = current.position(extra.after) + 1 if extra.after else len(stages)
        stages.insert(place, stage)
        entries.insert(place, entry)
    return known.with_stages(stages), entries


def _parameters(stage: AnyStage, given: dict[str, Any]) -> StageParameters:
    try:
        parameters: StageParameters = msgspec.convert(given, stage.parameters)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(stage.parameters)) or "none"
        raise UsageError(f"parameters of stage {stage.name!r}: {error}; it has {known}") from error
    return parameters


def _as_written(parameters: dict[str, Any]) -> dict[str, Any]:
    """As they come back from a file: lists for tuples. A manifest equals the one that was written of it."""
    written: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(parameters))
    return written


def _hash(value: Any) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()
