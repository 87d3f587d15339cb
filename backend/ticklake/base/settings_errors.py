"""PURE: what is wrong with a setting, in the words of the person who must fix it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ticklake.base.redact import MASK, redact_url

VALUE_CHARS_MAX = 80
_USER_INFO = re.compile(r"""[^\s/,'"]*@""")
_PREFIXES = ("Input should be ", "Value error, ", "String should ")
_EXPECTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "byte_size": "a size such as 1048576 or 64MiB",
    "byte_size_unit": "a size such as 1048576 or 64MiB",
    "dict_type": "a table of values",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "at least {ge}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "less_than_equal": "at most {le}",
    "model_type": "a table of values",
    "path_type": "a path",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_type": "text",
}


def explain_invalid(
    error: ValidationError, model: type[BaseModel], values: Mapping[str, Any], origins: Mapping[str, str]
) -> str:
    """One line per wrong setting: key, value, where it came from, what is expected, next step."""
    lines = [
        _line(detail["type"], [str(part) for part in detail["loc"]], _expected(detail), model, values, origins)
        for detail in error.errors(include_url=False)
        if detail["type"] != "default_factory_not_called"  # follows from another error in the list
    ]
    return "\n".join([*lines, "fix the above; `ticklake config show` prints every setting, its unit and its origin"])


def suggest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` when a known name is close, else an empty text."""
    close = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def find_field(model: type[BaseModel], path: list[str]) -> FieldInfo | None:
    """The field at a dotted path, or None."""
    field = model.model_fields.get(path[0])
    if field is None or len(path) == 1:
        return field
    inner = field.annotation
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return find_field(inner, path[1:])
    return None


def is_secret(field: FieldInfo | None) -> bool:
    """Whether the field's values must not be shown."""
    return field is not None and "SecretStr" in str(field.annotation)


def show_value(value: object, field: FieldInfo | None) -> str:
    """The value as a person may see it: secrets masked, addresses without user-info, cut at a length."""
    if isinstance(value, SecretStr) or (is_secret(field) and value is not None):
        return MASK
    text = str(value)
    if not isinstance(value, PurePath):  # an address without its scheme, or inside a list, still holds a password
        text = _USER_INFO.sub(f"{MASK}@", redact_url(text))
    return text if len(text) <= VALUE_CHARS_MAX else f"{text[:VALUE_CHARS_MAX]}..."


def _expected(detail: ErrorDetails) -> str:
    if detail["type"] in _EXPECTED:
        return _EXPECTED[detail["type"]].format_map(detail.get("ctx", {}))
    message = detail["msg"]
    return next((message.removeprefix(prefix) for prefix in _PREFIXES if message.startswith(prefix)), message)


def _line(
    kind: str,
    path: list[str],
    expected: str,
    model: type[BaseModel],
    values: Mapping[str, Any],
    origins: Mapping[str, str],
) -> str:
    key = ".".join(path)
    origin = origins.get(".".join(path[:2])) or origins.get(path[0]) or _origin_below(key, origins)
    if kind == "extra_forbidden":
        return f"{key} (from {origin}): no such setting{suggest(key, _keys(model))}"
    field = find_field(model, path)
    if isinstance(field_type := field.annotation if field else None, type) and issubclass(field_type, BaseModel):
        return f"{key}: expected {expected}"  # several keys of a group do not fit together
    value = _at(values, path)
    shown = show_value(value, field)
    return f"{key} = {repr(shown) if isinstance(value, str) else shown} (from {origin}): expected {expected}"


def _origin_below(key: str, origins: Mapping[str, str]) -> str:
    """Where the first setting of a group comes from."""
    return next((origin for name, origin in origins.items() if name.startswith(f"{key}.")), "default")


def _keys(model: type[BaseModel]) -> list[str]:
    keys = []
    for name, field in model.model_fields.items():
        keys.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys.extend(f"{name}.{inner}" for inner in field.annotation.model_fields)
    return keys


def _at(values: Any, path: list[str]) -> Any:
    for name in path:
        values = values.get(name) if isinstance(values, Mapping) else None
    return values
