"""What one message of a table must look like, as JSON Schema (draft 2020-12)."""

from __future__ import annotations

from typing import Any

from ticklake.schema.bronze import BOOK_LEVELS
from ticklake.schema.kinds import AGGRESSOR_WORDS, INT_BOUNDS, Kind
from ticklake.schema.table import Column, Shape, TableSpec

_DECIMAL = {"type": "string", "pattern": r"^-?([0-9]+\.?[0-9]*|\.[0-9]+)$"}
_INTEGER = {"type": "string", "pattern": r"^-?[0-9]+$"}


def json_schema(table: TableSpec) -> dict[str, Any]:
    """The schema of one JSON object published on the table's subject.

    Unknown keys are welcome: they are stored in `extra`. Of a column with two names the schema shows the preferred one.
    """
    body: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for column in table.columns:
        _place(body, table, column)
    if table.shape is Shape.RAW:
        body = {}
    elif table.shape is Shape.BOOK:
        body["properties"]["levels"] = _levels(table)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:ticklake:{table.schema_id}",
        "title": table.name,
        "description": table.doc,
        **_without_empty(body),
    }


def _place(body: dict[str, Any], table: TableSpec, column: Column) -> None:
    """Put a column where the wire has it: `a.b` inside an object, `a[].b` inside a list of objects."""
    node = body
    *path, last = (column.wire or column.name).split(".")
    for part in path:
        fresh: dict[str, Any] = {"type": ["object", "null"], "properties": {}, "required": []}
        if part.endswith("[]"):
            array = node["properties"].setdefault(part[:-2], {"type": ["array", "null"], "items": fresh})
            array["items"]["type"] = "object"
            node = array["items"]
        else:
            node = node["properties"].setdefault(part, fresh)
    node["properties"][last] = _value(column)
    if not column.null and column.default is None and not (table.event_time_fallback and column.is_time):
        node["required"].append(last)


def _levels(table: TableSpec) -> dict[str, Any]:
    level = {key: _value(table.by_name[f"{key}_1"]) for key in ("bid_px", "bid_sz", "ask_px", "ask_sz")}
    return {
        "description": "Instead of the flat columns: levels of the book, best first.",
        "type": ["array", "null"],
        "items": {"type": "object", "properties": level},
        "maxItems": BOOK_LEVELS,
    }


def _value(column: Column) -> dict[str, Any]:
    kind = column.kind
    if kind is Kind.JSON:
        return {"description": _doc(column)}
    forms = [_plain(column)]
    if kind.is_float:
        forms.append(dict(_DECIMAL))
    elif column.text:
        forms.append(dict(_INTEGER))
    elif kind is Kind.AGGRESSOR:
        forms.append({"enum": list(AGGRESSOR_WORDS)})
    if column.null or column.default is not None:
        forms.append({"type": "null"})
    shape = forms[0] if len(forms) == 1 else {"anyOf": forms}
    return {"description": _doc(column), **shape}


def _plain(column: Column) -> dict[str, Any]:
    kind = column.kind
    if kind is Kind.BOOL:
        return {"type": "boolean"}
    if kind is Kind.DATE32:
        return {"type": "string", "format": "date"}
    if kind is Kind.STRING:
        return {"type": "string", "enum": list(column.allowed)} if column.allowed else {"type": "string"}
    if kind is Kind.BYTES:
        return {"type": "string"}
    if kind is Kind.AGGRESSOR:
        return {"enum": [1, -1, 0]}
    if kind is Kind.LIST_INT16:
        low, high = INT_BOUNDS[Kind.INT16]
        return {"type": "array", "items": {"type": "integer", "minimum": low, "maximum": high}}
    return {"type": "number" if kind.is_float else "integer", **_bounds(column)}


def _bounds(column: Column) -> dict[str, Any]:
    lowest, highest = INT_BOUNDS.get(column.kind, (None, None))
    low = lowest if column.minimum is None else column.minimum
    high = highest if column.maximum is None else column.maximum
    if column.scale != 1:
        low, high = (bound if bound is None else bound // column.scale for bound in (low, high))
    found = {"minimum": low, "maximum": high, "exclusiveMinimum": column.above}
    return {key: value for key, value in found.items() if value is not None}


def _doc(column: Column) -> str:
    return f"{column.doc} Unit: {column.unit}." if column.unit and column.scale == 1 else column.doc


def _without_empty(node: dict[str, Any]) -> dict[str, Any]:
    """The schema without `required: []`."""
    cleaned: dict[str, Any] = {}
    for key, value in node.items():
        if key == "required" and not value:
            continue
        cleaned[key] = _without_empty(value) if isinstance(value, dict) else value
    return cleaned
