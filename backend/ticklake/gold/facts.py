"""What is true of the rows that are to be promoted: counted once, one date at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import polars as pl

from ticklake.catalog.feature_versions import Column
from ticklake.readers.event_order import EVENT_ORDER, comes_too_late

TIME: Final = "ts_event_ns"
NO_DATA: Final = "NO_DATA"
_ID: Final = "event_id"


@dataclass(frozen=True, slots=True)
class LabelFacts:
    """One label over some rows.

    Attributes:
        classes: value -> rows, for labels in words; empty for numbers.
        missing: rows that are null or NO_DATA.
        low: smallest number; None for words, or when there is none.
        high: largest number.
    """

    classes: Mapping[str, int] = field(default_factory=dict)
    missing: int = 0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class DateFacts:
    """What is true of the rows of one date.

    Attributes:
        date: the trading day.
        rows: how many.
        schema_faults: columns that are missing, too many, or of another type, in words.
        nulls: column -> nulls, for columns that have any.
        unsorted: rows that come earlier than the row before them.
        first_ns: event time of the first row; None without rows or times.
        last_ns: event time of the last row.
        labels: label -> what it holds.
    """

    date: date
    rows: int
    schema_faults: tuple[str, ...] = ()
    nulls: Mapping[str, int] = field(default_factory=dict)
    unsorted: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    labels: Mapping[str, LabelFacts] = field(default_factory=dict)


def key_columns(columns: Sequence[Column]) -> tuple[str, ...]:
    """The columns that must be unique together: `event_id` alone when there is one, else all keys."""
    keys = tuple(column.name for column in columns if column.role == "key")
    return (_ID,) if _ID in keys else keys


def names_by_role(columns: Sequence[Column], role: str) -> tuple[str, ...]:
    """Names of the columns of a role, in their order."""
    return tuple(column.name for column in columns if column.role == role)


def gather_facts(day: date, rows: pl.DataFrame, columns: Sequence[Column]) -> DateFacts:
    """Count what the gates ask about the rows of one date.

    Args:
        day: the trading day.
        rows: in the order of the file.
        columns: what the manifest says they are.
    """
    faults = schema_faults(rows.schema, columns)
    there = [column for column in columns if column.name in rows.columns]
    nulls = {name: count for name, count in zip(rows.columns, rows.null_count().row(0), strict=True) if count}
    times = rows[TIME] if TIME in rows.columns and rows.schema[TIME] == pl.Int64 else None
    return DateFacts(
        date=day,
        rows=rows.height,
        schema_faults=faults,
        nulls=nulls,
        unsorted=_count_unsorted(rows),
        first_ns=None if times is None or not rows.height else times[0],
        last_ns=None if times is None or not rows.height else times[-1],
        labels={column.name: _label_facts(rows[column.name]) for column in there if column.role == "label"},
    )


def schema_faults(schema: Mapping[str, pl.DataType], columns: Sequence[Column]) -> tuple[str, ...]:
    """How a schema differs from what the manifest says, in words; empty when it does not."""
    told = {column.name: column.dtype for column in columns}
    return (
        *(f"{name} is missing" for name in told if name not in schema),
        *(f"{name} is not declared" for name in schema if name not in told),
        *(
            f"{name} is {schema[name]}, declared {dtype}"
            for name, dtype in told.items()
            if name in schema and str(schema[name]) != dtype
        ),
    )


def count_duplicates(frames: Iterable[pl.DataFrame], keys: Sequence[str]) -> tuple[int, list[str]]:
    """Rows beyond the first of their key over all frames, and a few of those keys.

    Args:
        frames: the key columns, date by date.
        keys: their names; without any, nothing is unique and nothing is counted.
    """
    parts = [frame.select(keys) for frame in frames if frame.height]
    if not parts or not keys:
        return 0, []
    counted = pl.concat(parts).group_by(keys, maintain_order=True).len().filter(pl.col("len") > 1)
    sample = [" ".join(map(str, row[:-1])) for row in counted.head(3).rows()]
    return int((counted["len"] - 1).sum()), sample


def merge_labels(facts: Sequence[DateFacts]) -> dict[str, LabelFacts]:
    """Each label over all dates."""
    names = dict.fromkeys(name for fact in facts for name in fact.labels)
    return {name: _merged([fact.labels[name] for fact in facts if name in fact.labels]) for name in names}


def _merged(parts: Sequence[LabelFacts]) -> LabelFacts:
    values = dict.fromkeys(sorted({value for part in parts for value in part.classes}))
    return LabelFacts(
        classes={value: sum(part.classes.get(value, 0) for part in parts) for value in values},
        missing=sum(part.missing for part in parts),
        low=min((part.low for part in parts if part.low is not None), default=None),
        high=max((part.high for part in parts if part.high is not None), default=None),
    )


def _label_facts(values: pl.Series) -> LabelFacts:
    if values.dtype.is_numeric():
        known = values.cast(pl.Float64).fill_nan(None).drop_nulls()
        return LabelFacts(
            missing=len(values) - len(known),
            low=None if known.is_empty() else float(known.min()),  # type: ignore[arg-type]
            high=None if known.is_empty() else float(known.max()),  # type: ignore[arg-type]
        )
    counts = values.cast(pl.String).drop_nulls().value_counts().rows()
    found = {str(value): int(count) for value, count in sorted(counts)}
    no_data = found.pop(NO_DATA, 0)
    return LabelFacts(classes=found, missing=values.null_count() + no_data)


def _count_unsorted(rows: pl.DataFrame) -> int:
    """Rows whose time, then stream sequence, then message row is below that of the row before; null comes first."""
    present = [name for name in EVENT_ORDER if name in rows.columns and rows.schema[name].is_integer()]
    if TIME not in present:
        return 0
    return int(rows.select(comes_too_late(present).sum()).item() or 0)
