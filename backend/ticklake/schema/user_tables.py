"""Tables people define in TOML: `[tables."fx.quotes"]` into a `TableSpec`, or an error that names the line to fix."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn

from ticklake.base.errors import ConfigError
from ticklake.schema.kinds import INT_BOUNDS, Kind
from ticklake.schema.lookup import BUILTIN_TABLES
from ticklake.schema.table import SYSTEM_COLUMNS, TIME_MAX_NS, TIME_MIN_NS, TIME_PARTS, Column, TableSpec

_TABLE_KEYS = (
    "subject", "stream", "tier", "version", "partition", "event_time", "event_time_fallback",
    "flush_rows", "flush_seconds", "columns", "doc",
)  # fmt: skip
_COLUMN_KEYS = ("type", "unit", "null", "wire", "default", "min", "max", "allowed", "text", "doc")
_KINDS = tuple(kind for kind in Kind if kind is not Kind.BYTES)  # JSON has no bytes
_PARTITION_KINDS = (*INT_BOUNDS, Kind.STRING, Kind.BOOL, Kind.DATE32)
_STREAMS = {"market": "MARKET_DATA", "levels": "LEVEL_SIGNALS"}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TABLE_NAME = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern}){{0,3}}")
_SUBJECT = re.compile(r"[^\s.*>]+(\.[^\s.*>]+)*")
_TAKEN_TABLES = {"quarantine", "unknown"}  # rejected rows, and those whose subject belongs to no table
_TAKEN_GOLD = ("training", "history")  # folders of training sets
_RESERVED = {column.name for column in SYSTEM_COLUMNS} | set(TIME_PARTS)


def parse_user_tables(tables: Mapping[str, Any]) -> list[TableSpec]:
    """The tables of the `tables` part of a TOML file, in its order.

    Raises:
        ConfigError: the first mistake, by table and column, and what would be right.
    """
    return [_parse_table(name, raw) for name, raw in tables.items()]


def _parse_table(name: str, raw: Any) -> TableSpec:
    where = f'tables."{name}"'
    if _TABLE_NAME.fullmatch(name) is None:
        _fail(where, "a table is named like fx.quotes: lower-case letters, digits and _, up to four words with dots")
    if name in {table.name for table in BUILTIN_TABLES}:
        _fail(where, "is a built-in table; choose another name")
    if name in _TAKEN_TABLES:
        _fail(where, "the house itself calls rejected rows so; choose another name")
    table = _mapping(where, raw, _TABLE_KEYS)
    subject = _text(where, table, "subject")
    if _SUBJECT.fullmatch(subject) is None:
        _fail(
            f"{where}.subject", f"{subject!r} is no plain subject; leave out spaces, * and >: one more token is allowed"
        )
    columns = _columns(where, table)
    names = {column.name: column for column in columns}
    partition_by = _partition(where, table, names)
    event_time = _time_column(where, table, "event_time", names)
    fallback = _time_column(where, table, "event_time_fallback", names) if "event_time_fallback" in table else None
    if names[event_time].null and fallback is None:
        _fail(f"{where}.event_time", f"{event_time!r} may be null; set null = false or name an event_time_fallback")
    tier = _text(where, table, "tier", default="bronze")
    if tier not in ("bronze", "gold"):
        _fail(f"{where}.tier", f"must be bronze or gold, got {tier!r}")
    if tier == "gold" and name.partition(".")[0] in _TAKEN_GOLD:
        _fail(where, f"gold/{name.partition('.')[0]} holds the training sets; choose another name")
    return TableSpec(
        name=name,
        version=_number(where, table, "version", default=1),
        tier=tier,
        subject=subject,
        stream=_stream(where, table, subject),
        columns=columns,
        partition_by=partition_by,
        event_time=event_time,
        event_time_fallback=fallback,
        flush_rows=_number(where, table, "flush_rows", default=None),
        flush_seconds=_seconds(where, table, "flush_seconds"),
        doc=_text(where, table, "doc", default="Defined in the settings."),
    )


def _columns(where: str, table: Mapping[str, Any]) -> tuple[Column, ...]:
    raw = table.get("columns")
    if not isinstance(raw, Mapping) or not raw:
        _fail(f"{where}.columns", 'needs at least one column, such as price = { type = "float64" }')
    columns = tuple(_parse_column(f"{where}.columns.{name}", name, value) for name, value in raw.items())
    taken: dict[str, str] = {}
    for column in columns:
        for key in column.keys:
            if taken.setdefault(key, column.name) != column.name:
                _fail(f"{where}.columns.{column.name}", f"{key!r} already means column {taken[key]!r}; change wire")
    return columns


def _parse_column(where: str, name: str, raw: Any) -> Column:
    if _NAME.fullmatch(name) is None:
        _fail(where, "a column is named with lower-case letters, digits and _")
    if name in _RESERVED:
        _fail(where, "the house adds a column or folder of that name itself; choose another")
    column = _mapping(where, {"type": raw} if isinstance(raw, str) else raw, _COLUMN_KEYS)
    kind = _kind(where, column)
    unit = _text(where, column, "unit", default="")
    is_time = unit == "ns" and kind is Kind.INT64
    allowed = column.get("allowed", [])
    if not isinstance(allowed, list) or not all(isinstance(word, str) for word in allowed):
        _fail(f"{where}.allowed", "must be a list of strings")
    if allowed and kind is not Kind.STRING:
        _fail(f"{where}.allowed", f"only strings may have allowed words, not {kind}")
    low, high = _bound(where, column, "min", kind), _bound(where, column, "max", kind)
    if low is not None and high is not None and low > high:
        _fail(f"{where}.min", f"{low!r} is above max {high!r}: no value would do")
    parsed = Column(
        name=name,
        kind=kind,
        unit=unit,
        null=_flag(where, column, "null"),
        wire=_text(where, column, "wire", default=""),
        minimum=TIME_MIN_NS if is_time and low is None else low,
        maximum=TIME_MAX_NS - 1 if is_time and high is None else high,
        allowed=tuple(allowed),
        text=_flag(where, column, "text"),
        default=column.get("default"),
        doc=_text(where, column, "doc", default=""),
    )
    _check_default(where, parsed)
    return parsed


def _kind(where: str, column: Mapping[str, Any]) -> Kind:
    word = column.get("type")
    if word not in _KINDS:
        near = get_close_matches(str(word), _KINDS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        _fail(f"{where}.type", f"must be one of {', '.join(_KINDS)}, got {word!r}{hint}")
    return Kind(word)


def _check_default(where: str, column: Column) -> None:
    if column.default is None:
        return
    wanted: tuple[type, ...] = (str,)
    if column.kind.is_float:
        wanted = (float, int)
    elif column.kind.is_integer or column.kind is Kind.AGGRESSOR:
        wanted = (int,)
    elif column.kind is Kind.BOOL:
        wanted = (bool,)
    elif column.kind is not Kind.STRING:
        _fail(f"{where}.default", f"{column.kind} columns have no default")
    low, high = (-1, 1) if column.kind is Kind.AGGRESSOR else INT_BOUNDS.get(column.kind, (-math.inf, math.inf))
    fits = not isinstance(column.default, int | float) or low <= column.default <= high
    if type(column.default) not in wanted or not fits:
        _fail(f"{where}.default", f"{column.default!r} is no {column.kind}")
    if column.allowed and column.default not in column.allowed:
        _fail(f"{where}.default", f"{column.default!r} is none of the allowed words")


def _partition(where: str, table: Mapping[str, Any], names: Mapping[str, Column]) -> tuple[str, ...]:
    where = f"{where}.partition"
    raw = table.get("partition", ["date", "hour"])
    if not isinstance(raw, list) or not all(isinstance(name, str) for name in raw) or len(set(raw)) != len(raw):
        _fail(where, 'must be a list of different names, such as ["pair", "date", "hour"]')
    times = tuple(name for name in raw if name in TIME_PARTS)
    if times not in (("date",), ("date", "hour")) or tuple(raw[-len(times) :]) != times:
        _fail(where, 'must end with "date" or with "date", "hour"')
    for name in raw[: -len(times)]:
        column = next((column for column in names.values() if name in column.keys), None)
        if column is None:
            _fail(where, f"{name!r} is no column of the table; add it to columns")
        if column.kind not in _PARTITION_KINDS:
            _fail(where, f"{name!r} is {column.kind}; folders are named after strings, integers, dates or booleans")
    return tuple(raw)


def _time_column(where: str, table: Mapping[str, Any], key: str, names: Mapping[str, Column]) -> str:
    name = _text(where, table, key)
    column = names.get(name)
    if column is None:
        _fail(f"{where}.{key}", f"{name!r} is no column of the table; it has {', '.join(names)}")
    if not column.is_time:
        _fail(f"{where}.{key}", f'{name!r} must be {{ type = "int64", unit = "ns" }}: nanoseconds since 1970, UTC')
    return name


def _stream(where: str, table: Mapping[str, Any], subject: str) -> str:
    default = _STREAMS.get(subject.partition(".")[0])
    stream = _text(where, table, "stream", default=default)
    if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", stream) is None:
        _fail(f"{where}.stream", f"{stream!r} is no stream name; use letters, digits, _ and -")
    return stream


def _mapping(where: str, raw: Any, known: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        _fail(where, f"must be a table of settings, got {raw!r}")
    for key in raw:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            _fail(f"{where}.{key}", f"is no setting; {hint}")
    return raw


_REQUIRED = "\0required"


def _text(where: str, table: Mapping[str, Any], key: str, *, default: str | None = _REQUIRED) -> str:
    value = table.get(key, default)
    if value in (_REQUIRED, None):
        _fail(f"{where}.{key}", "is required")
    if not isinstance(value, str) or (not value and default != ""):
        _fail(f"{where}.{key}", f"must be text, got {value!r}")
    return value


def _number(where: str, table: Mapping[str, Any], key: str, *, default: Any) -> Any:
    value = table.get(key, default)
    if value is not default and (type(value) is not int or value < 1):
        _fail(f"{where}.{key}", f"must be a whole number from 1, got {value!r}")
    return value


def _seconds(where: str, table: Mapping[str, Any], key: str) -> float | None:
    value = table.get(key)
    if value is None:
        return None
    if type(value) not in (int, float) or not value > 0:
        _fail(f"{where}.{key}", f"must be seconds above 0, got {value!r}")
    return float(value)


def _flag(where: str, column: Mapping[str, Any], key: str) -> bool:
    value = column.get(key, False)
    if not isinstance(value, bool):
        _fail(f"{where}.{key}", f"must be true or false, got {value!r}")
    return value


def _bound(where: str, column: Mapping[str, Any], key: str, kind: Kind) -> float | int | None:
    value: float | int | None = column.get(key)
    if value is None:
        return None
    if not (kind.is_integer or kind.is_float):
        _fail(f"{where}.{key}", f"only numbers have bounds, not {kind}")
    if type(value) is not int and not (kind.is_float and type(value) is float):
        _fail(f"{where}.{key}", f"must be a number like the column's {kind}, got {value!r}")
    low, high = INT_BOUNDS.get(kind, (-sys.float_info.max, sys.float_info.max))
    if not low <= value <= high:
        _fail(f"{where}.{key}", f"{value!r} does not fit {kind}")
    return value


def _fail(where: str, what: str) -> NoReturn:
    raise ConfigError(f"{where}: {what}; fix the settings file")
