"""Inclusive date bounds as a filter that Parquet readers can push down. Pure."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from ticklake.files.frames import FrameError

_TIME_NAMES: Final = ("timestamp", "time", "datetime", "date")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DAY_NS: Final = 86_400_000_000_000


def find_time_column(schema: pa.Schema) -> str | None:
    """The column that tells when: as recorded, else the pandas time index, else the only or the plainly named one."""
    recorded = (schema.metadata or {}).get(b"ticklake.time_column", b"").decode()
    if recorded and recorded in schema.names:
        return str(recorded)
    times: list[str] = [
        field.name for field in schema if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)
    ]
    index = [name for name in _pandas_index(schema) if name in times]
    if len(index) == 1:
        return index[0]
    if len(times) == 1:
        return times[0]
    named = [name for name in _TIME_NAMES if name in times]
    return named[0] if named else None


def time_filter(
    schema: pa.Schema, start: str | date | None, end: str | date | None, *, path: str
) -> pc.Expression | None:
    """`start <= time <= end` in the unit of the column; None without bounds.

    Raises:
        FrameError: there is no time column, or a bound is no date.
    """
    if start is None and end is None:
        return None
    name = find_time_column(schema)
    kind = None if name is None else schema.field(name).type
    if kind is None or not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        found = "no single time column" if kind is None else f"{name} of type {kind}"
        raise FrameError(
            f"Date filtering requires DatetimeIndex or a time column. Got {found} in {path}; "
            "save it with time_column=..., or filter the frame"
        )
    unit_ns = _UNIT_NS[kind.unit] if pa.types.is_timestamp(kind) else _DAY_NS
    column, bounds = pc.field(name), []
    if start is not None:
        bounds.append(column >= _scalar(-(-_instant_ns(start) // unit_ns), kind))
    if end is not None:
        bounds.append(column <= _scalar(_last_ns(end) // unit_ns, kind))
    return bounds[0] if len(bounds) == 1 else bounds[0] & bounds[1]


def _scalar(value: int, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_date32(kind):
        return pa.scalar(value, pa.int32()).cast(kind)
    if pa.types.is_date64(kind):
        return pa.scalar(value * 86_400_000, pa.int64()).cast(kind)
    return pa.scalar(value, pa.int64()).cast(kind)


def _last_ns(end: str | date) -> int:
    """The last ns that `end` includes: of the whole day when it has no time of day."""
    whole_day = (isinstance(end, str) and len(end) == len("2024-10-25")) or type(end) is date
    return _instant_ns(end) + (_DAY_NS - 1 if whole_day else 0)


def _instant_ns(bound: str | date) -> int:
    """UTC ns of a bound; a naive one counts as UTC."""
    if isinstance(bound, str):
        try:
            bound = datetime.fromisoformat(bound)
        except ValueError as error:
            raise FrameError(f"{bound!r} is no date; write 2024-10-25 or 2024-10-25T14:30:00+00:00") from error
    if not isinstance(bound, datetime):
        if not isinstance(bound, date):
            raise FrameError(f"{bound!r} is no date; pass a date, a datetime or ISO text")
        bound = datetime(bound.year, bound.month, bound.day, tzinfo=UTC)
    extra_ns = getattr(bound, "nanosecond", 0)  # a pandas Timestamp is finer than a datetime
    if bound != bound:
        raise FrameError("NaT is no date; leave the bound out")
    plain = datetime(
        bound.year, bound.month, bound.day, bound.hour, bound.minute, bound.second, bound.microsecond,
        tzinfo=bound.tzinfo or UTC, fold=bound.fold,
    )  # fmt: skip
    return (plain - _EPOCH) // timedelta(microseconds=1) * 1_000 + extra_ns


def _pandas_index(schema: pa.Schema) -> list[str]:
    described = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    return [name for name in described.get("index_columns", []) if isinstance(name, str)]
