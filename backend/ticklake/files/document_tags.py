"""The tagged form of values that JSON cannot carry, both ways. The forms are described in `documents`."""

from __future__ import annotations

import base64
import binascii
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ticklake.base.errors import UsageError
from ticklake.files.errors import UnreadableError

TAG: Final = "$type"
_PLAIN_DTYPES: Final = frozenset("biufcSUmMV")  # every kind whose bytes are the value; objects are pointers

Tagged = dict[str, Any]


def tag_value(value: Any) -> Any:
    """The value as something `json.dumps` takes.

    Raises:
        UsageError: the type is not supported.
    """
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {TAG: "float", "value": repr(value)}
    if type(value) is list:
        return [tag_value(item) for item in value]
    if type(value) is dict:
        return _tag_dict(value)
    return _tag_special(value)


def untag_value(tree: Any, *, path: str, enums: Sequence[type[Enum]] = ()) -> Any:
    """The value of what `json.loads` gave.

    Raises:
        UnreadableError: a tag is unknown, or its value makes no sense.
    """
    if isinstance(tree, list):
        return [untag_value(item, path=path, enums=enums) for item in tree]
    if not isinstance(tree, dict):
        return tree
    items = {key: untag_value(item, path=path, enums=enums) for key, item in tree.items()}
    if TAG not in items:
        return items
    try:
        return _enum_of(items, enums) if items[TAG] == "enum" else _READERS[items[TAG]](items)
    except (
        LookupError, TypeError, ValueError, AttributeError, InvalidOperation, OverflowError, binascii.Error,
        ImportError, ZoneInfoNotFoundError,
    ) as error:  # fmt: skip
        raise UnreadableError(
            f"{path}: cannot turn {json.dumps(tree)[:200]} back into a value "
            f"({type(error).__name__}: {error}); restore the file, or read it with the program that wrote it",
            path=path,
        ) from error


def _tag_dict(value: Mapping[Any, Any]) -> Tagged:
    if all(type(key) is str for key in value) and TAG not in value:
        return {key: tag_value(item) for key, item in value.items()}
    return {TAG: "dict", "value": [[tag_value(key), tag_value(item)] for key, item in value.items()]}


def _tag_special(value: Any) -> Tagged:
    if isinstance(value, Enum):
        return _tag_enum(value)
    package = type(value).__module__.partition(".")[0]
    if package == "pandas":
        return _tag_pandas(value)
    if package == "numpy":
        return _tag_numpy(value)
    for kind, name, writer in _WRITERS:
        if isinstance(value, kind) and (type(value) is kind or kind is PurePath):
            return {TAG: name, **writer(value)}
    raise UsageError(
        f"cannot keep a {type(value).__module__}.{type(value).__qualname__} in a document; "
        "turn it into a dict, list, text or number first"
    )


def _tag_enum(value: Enum) -> Tagged:
    kind = type(value)
    if "<locals>" in kind.__qualname__ or _find_class(kind.__module__, kind.__qualname__) is not kind:
        raise UsageError(
            f"{kind.__qualname__} is not found in its module {kind.__module__}; declare it at module level"
        )
    if value.name is None:
        raise UsageError(f"{value!r} is a combination of flags without a name; keep its value instead")
    return {TAG: "enum", "class": f"{kind.__module__}:{kind.__qualname__}", "name": value.name}


def _tag_datetime(value: datetime) -> Tagged:
    zone = {"zone": value.tzinfo.key} if isinstance(value.tzinfo, ZoneInfo) else {}
    return {"value": value.isoformat(), **zone, **({"fold": 1} if value.fold else {})}


def _tag_time(value: time) -> Tagged:
    if isinstance(value.tzinfo, ZoneInfo):
        raise UsageError(f"{value!r}: a time of day in a named zone has no offset; keep a datetime, or the zone apart")
    return {"value": value.isoformat(), **({"fold": 1} if value.fold else {})}


def _tag_set(value: set[Any] | frozenset[Any]) -> Tagged:
    return {"value": sorted((tag_value(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))}


def _tag_pandas(value: Any) -> Tagged:
    name = type(value).__name__
    if name == "NaTType":
        return {TAG: "nat"}
    if name == "Timestamp":
        wide = value.as_unit("ns")
        zone = None if value.tzinfo is None else str(value.tzinfo)
        return {TAG: "timestamp", "ns": int(wide.value), "zone": zone, "unit": value.unit}
    raise UsageError(f"cannot keep a pandas {name} in a document; save frames with `save_parquet`")


def _tag_numpy(value: Any) -> Tagged:
    dtype = value.dtype
    if dtype.kind not in _PLAIN_DTYPES or dtype.names is not None:
        raise UsageError(f"cannot keep a numpy {dtype} in a document; turn it into a list first")
    content = base64.b64encode(value.tobytes()).decode("ascii")
    shape = {"shape": list(value.shape)} if type(value).__name__ == "ndarray" else {}
    return {TAG: "numpy", "dtype": dtype.str, **shape, "value": content}


def _untag_numpy(items: Tagged) -> Any:
    import numpy as np

    dtype = np.dtype(items["dtype"])
    if dtype.hasobject:
        raise ValueError("pointers are no values")
    flat = np.frombuffer(base64.b64decode(items["value"], validate=True), dtype=dtype)
    if "shape" in items:
        return flat.reshape(items["shape"]).copy()
    if flat.shape != (1,):
        raise ValueError(f"{flat.size} numbers where one belongs")
    return flat[0]


def _untag_timestamp(items: Tagged) -> Any:
    import pandas as pd

    stamp = pd.Timestamp(items["ns"], unit="ns", tz="UTC").as_unit(items.get("unit", "ns"))
    return stamp.tz_localize(None) if items["zone"] is None else stamp.tz_convert(items["zone"])


def _untag_nat(_: Tagged) -> Any:
    import pandas as pd

    return pd.NaT


def _untag_datetime(items: Tagged) -> datetime:
    value = datetime.fromisoformat(items["value"])
    if "zone" in items:
        value = value.astimezone(UTC).astimezone(ZoneInfo(items["zone"]))
    return value.replace(fold=items.get("fold", 0))


def _enum_of(items: Tagged, enums: Sequence[type[Enum]]) -> Enum:
    module, _, name = items["class"].partition(":")
    offered = [kind for kind in enums if (kind.__module__, kind.__qualname__) == (module, name)]
    kind = offered[0] if offered else _find_class(module, name)
    if kind is None or not issubclass(kind, Enum):
        raise LookupError(f"no enum {items['class']} in the modules imported so far; import it, or pass it as `enums`")
    return kind[items["name"]]


def _find_class(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _text(value: object) -> Tagged:
    return {"value": str(value)}


_WRITERS: Final[tuple[tuple[type, str, Callable[[Any], Tagged]], ...]] = (
    (datetime, "datetime", _tag_datetime),
    (date, "date", lambda value: {"value": value.isoformat()}),
    (time, "time", _tag_time),
    (timedelta, "timedelta", lambda value: {"value": [value.days, value.seconds, value.microseconds]}),
    (Decimal, "decimal", _text),
    (UUID, "uuid", _text),
    (PurePath, "path", _text),
    (bytes, "bytes", lambda value: {"value": base64.b64encode(value).decode("ascii")}),
    (bytearray, "bytearray", lambda value: {"value": base64.b64encode(value).decode("ascii")}),
    (tuple, "tuple", lambda value: {"value": [tag_value(item) for item in value]}),
    (set, "set", _tag_set),
    (frozenset, "frozenset", _tag_set),
)

_READERS: Final[Mapping[str, Callable[[Tagged], Any]]] = {
    "float": lambda items: float(items["value"]),
    "datetime": _untag_datetime,
    "date": lambda items: date.fromisoformat(items["value"]),
    "time": lambda items: time.fromisoformat(items["value"]).replace(fold=items.get("fold", 0)),
    "timedelta": lambda items: timedelta(*items["value"]),
    "decimal": lambda items: Decimal(items["value"]),
    "uuid": lambda items: UUID(items["value"]),
    "path": lambda items: Path(items["value"]),
    "bytes": lambda items: base64.b64decode(items["value"], validate=True),
    "bytearray": lambda items: bytearray(base64.b64decode(items["value"], validate=True)),
    "tuple": lambda items: tuple(items["value"]),
    "set": lambda items: set(items["value"]),
    "frozenset": lambda items: frozenset(items["value"]),
    "dict": lambda items: dict(items["value"]),
    "numpy": _untag_numpy,
    "timestamp": _untag_timestamp,
    "nat": _untag_nat,
}
