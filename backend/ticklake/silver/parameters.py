"""What can be set in a manifest, told from the declarations: type, default, unit and meaning of each parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import inspect as types

from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.pipelines import find_pipeline

_ATTRIBUTE: Final = re.compile(r"^ {4}(\w+)(?: \(([^)]+)\))?: (.*(?:\n {5,}.*)*)", re.MULTILINE)
_UNITS: Final[Mapping[str, str]] = {
    "s": "s", "ms": "ms", "min": "min", "points": "points", "ticks": "ticks", "atr": "ATR", "bars": "bars",
    "sessions": "sessions", "contracts": "contracts", "ratio": "ratio",
}  # fmt: skip
"""Last word of a parameter's name -> its unit, unless its docstring names one: `kyle_steps_min (steps): ...`."""
_LISTED_MAX: Final = 8
_BOUNDS: Final = (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
_SIMPLE: Final[Mapping[type[types.Type], str]] = {
    types.IntType: "int", types.FloatType: "float", types.BoolType: "bool", types.StrType: "text",
    types.TimeType: "time",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParameterDoc:
    """One parameter of one stage.

    Attributes:
        stage: which stage.
        parameter: its name in the manifest, below `parameters` and the stage.
        type: what it may be, with bounds.
        default: what holds when it is left out, as a manifest writes it.
        baseline: what `ticklake silver manifest` prints where that is another value; else None.
        unit: of the value; "" for words and flags.
        meaning: what it does.
    """

    stage: str
    parameter: str
    type: str
    default: Any
    baseline: Any
    unit: str
    meaning: str


def parameter_docs(pipeline: str) -> list[ParameterDoc]:
    """Every parameter of a pipeline, in the order of its stages.

    Args:
        pipeline: its name, or `module:ATTRIBUTE`.

    Raises:
        UsageError: there is no such pipeline.
    """
    written = baseline_manifest(pipeline).parameters
    found = []
    for stage in find_pipeline(pipeline).stages:
        kind = stage.parameters
        told, defaults = attributes_of(kind), msgspec.json.decode(msgspec.json.encode(kind()))
        described = types.type_info(kind)
        for field in described.fields if isinstance(described, types.StructType) else ():
            unit, meaning = told.get(field.name, ("", ""))
            default, baseline = defaults[field.name], written[stage.name][field.name]
            found.append(
                ParameterDoc(
                    stage=stage.name,
                    parameter=field.name,
                    type=_type(field.type),
                    default=default,
                    baseline=None if baseline == default else baseline,
                    unit=unit or _unit(field.name, field.type),
                    meaning=meaning,
                )
            )
    return found


def short_value(value: Any) -> str:
    """A default as text; of a long list only how many it has."""
    if isinstance(value, list) and len(value) > _LISTED_MAX:
        return f"{len(value)} names"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def attributes_of(kind: type) -> dict[str, tuple[str, str]]:
    """Name -> unit ("" when none is named) and meaning, from the docstrings of a class and its bases."""
    found = {}
    for base in reversed(kind.__mro__):
        _, _, part = (inspect.cleandoc(base.__doc__ or "")).partition("Attributes:\n")
        for name, unit, text in _ATTRIBUTE.findall(part):
            found[name] = (unit, " ".join(text.split()))
    return found


def _unit(name: str, kind: types.Type) -> str:
    if isinstance(kind, types.VarTupleType):
        kind = kind.item_type
    return _UNITS.get(name.rpartition("_")[2], "") if isinstance(kind, types.IntType | types.FloatType) else ""


def _type(kind: types.Type) -> str:
    if isinstance(kind, types.VarTupleType):
        return f"list of {_type(kind.item_type)}"
    if isinstance(kind, types.LiteralType):
        return " or ".join(map(str, kind.values))
    bounds = [f"{sign} {bound:g}" for name, sign in _BOUNDS if (bound := getattr(kind, name, None)) is not None]
    return " ".join([_SIMPLE.get(type(kind), type(kind).__name__), ", ".join(bounds)]).strip()
