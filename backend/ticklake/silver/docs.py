"""The reference page of the features, written from the pipelines' declarations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from ticklake.silver.manifest import Certificate, Manifest
from ticklake.silver.parameters import attributes_of, parameter_docs, short_value
from ticklake.silver.pipeline import OUTPUTS, Parameters, Pipeline, columns_given, default_parameters
from ticklake.silver.pipelines import PIPELINES, find_pipeline
from ticklake.silver.stage import AnyStage, ColumnSpec

_INTRO = """\
# Features

Written from the declarations of the stages in `ticklake.silver`; do not edit.

A pipeline gives files per trading day: `signals` has a row per event; of `es_levels` there are also `state`, a row per
instant and level, and `episodes`, a vector per event. Names and windows are those of the default parameters; a manifest
may choose others.
A `key` names a row, a `feature` is known at `ts_event_ns`, a `label` is known later and feeds no feature, `info` is
neither. Formulas, with their null rules, stand in the docstrings of the stage's file; where they come from a paper or
book, it is named beside it.
A manifest sets parameters as `parameters: {stage: {parameter: value}}`. One that is left out has its default; where
`ticklake silver manifest` writes another value, that is the baseline. `ticklake silver parameters` prints them, too.
"""

_CONT = "Cont, Kukanov, Stoikov (2014)"
_DEEP = "Xu, Gould, Howison (2018)"
_SOURCES: Final[Mapping[str, str]] = {
    "init_market_state": "Black (1976)",
    "multiwindow_ofi": f"{_CONT}; {_DEEP}",
    "force_mass": _CONT,
    "label_outcomes": "Lopez de Prado (2018)",
    "construct_episodes": "Ahmed, Natarajan, Rao (1974)",
    "sample_grid": f"{_CONT}; {_DEEP}",
    "book_shape": "Gould and Bonart (2016); Stoikov (2018)",
    "order_and_trade_flow": f"Andersen, Bollerslev, Diebold, Labys (2001); {_CONT}; Kyle (1985)",
}


def render_features() -> str:
    """The page as Markdown: what holds for all pipelines, then one part per pipeline."""
    return "\n".join([_INTRO, *_manifest(), *("\n".join(_pipeline(find_pipeline(name))) for name in PIPELINES)])


def _pipeline(pipeline: Pipeline) -> list[str]:
    parameters = default_parameters(pipeline)
    given = columns_given(pipeline, parameters)
    tables = ", ".join(f"`{table}`" for table in pipeline.tables.values())
    lines = [
        f"## {pipeline.name}",
        "",
        f"{pipeline.doc}",
        "",
        f"From {tables}; calendar `{pipeline.calendar}`.",
        "",
        "| stage | file | source |",
        "|---|---|---|",
    ]
    lines += [f"| {stage.name} | `{_file(stage)}` | {_SOURCES.get(stage.name, '')} |" for stage in pipeline.stages]
    lines += ["", f"### {pipeline.name}: parameters", "", *_parameters(pipeline.name)]
    units = {frame: {spec.name: spec.unit for spec in specs.values()} for frame, specs in given.items()}
    for frame, file in OUTPUTS.items():
        rows = [row for stage in pipeline.stages for row in _rows(stage, frame, parameters, units)]
        if rows:
            lines += ["", f"### {pipeline.name}: {file}", ""]
            lines += ["| column | type | unit | role | null | range | stage | meaning |"]
            lines += ["|---|---|---|---|---|---|---|---|", *rows]
    return [*lines, ""]


def _manifest() -> list[str]:
    """What a manifest says beside the parameters of its stages."""
    told = attributes_of(Manifest)
    rows = [f"| {name} | {meaning} |" for name, (_, meaning) in told.items()]
    rows += [f"| certificate.{name} | {meaning} |" for name, (_, meaning) in attributes_of(Certificate).items()]
    return ["## Manifest", "", "| field | meaning |", "|---|---|", *rows, ""]


def _parameters(pipeline: str) -> list[str]:
    rows = [
        f"| {doc.stage} | {doc.parameter} | {doc.type} | {short_value(doc.default)} "
        f"| {'' if doc.baseline is None else short_value(doc.baseline)} | {doc.unit} | {doc.meaning} |"
        for doc in parameter_docs(pipeline)
    ]
    return [
        "| stage | parameter | type | default | baseline | unit | meaning |",
        "|---|---|---|---|---|---|---|",
        *rows,
    ]


def _rows(stage: AnyStage, frame: str, parameters: Parameters, units: Mapping[str, Mapping[str, str]]) -> list[str]:
    given = stage.gives_with(parameters[stage.name]).get(frame, ())
    return [
        f"| {spec.name} | {spec.dtype} | {units[frame][spec.name]} | {spec.role} | {'yes' if spec.null else 'no'} "
        f"| {_range(spec)} | {stage.name} | {spec.doc.replace('|', '&#124;')} |"
        for spec in given
    ]


def _range(spec: ColumnSpec) -> str:
    low = "" if spec.low is None else f">= {spec.low:g}"
    high = "" if spec.high is None else f"<= {spec.high:g}"
    return ", ".join(filter(None, (low, high)))


def _file(stage: AnyStage) -> str:
    run = stage.run.func if isinstance(stage.run, partial) else stage.run
    return f"backend/{run.__module__.replace('.', '/')}.py"
