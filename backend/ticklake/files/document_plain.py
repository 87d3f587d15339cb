"""JSON for people: values in the nearest form that JSON has, one way. The forms are described in `documents`."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from ticklake.base.errors import UsageError
from ticklake.files.object_path import ObjectPath


def plain_value(value: Any) -> Any:
    """The value as something `json.dumps` takes.

    Raises:
        UsageError: the type is not supported, or two keys of a dict become the same text.
    """
    if isinstance(value, Enum):
        return plain_value(value.value)
    if type(value).__module__.partition(".")[0] == "numpy":
        return plain_value(value.tolist())
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return _plain_dict(value)
    if isinstance(value, list | tuple):
        return [plain_value(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain_value(item) for item in value), key=repr)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_value(getattr(value, field.name)) for field in fields(value)}
    return _plain_text(value)


def _plain_text(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return None if value != value else value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal | UUID | PurePath | ObjectPath):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return base64.b64encode(value).decode("ascii")
    raise UsageError(
        f"cannot write a {type(value).__module__}.{type(value).__qualname__} as JSON; "
        "turn it into a dict, list, text or number first"
    )


def _plain_dict(value: Mapping[Any, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, item in value.items():
        name = plain_value(key)
        text = name if isinstance(name, str) else str(name)
        if text in plain:
            raise UsageError(f"two keys of a dict become the same text {text!r}; use text keys, or the tagged form")
        plain[text] = plain_value(item)
    return plain
