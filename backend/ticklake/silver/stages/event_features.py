"""What the feature stages share: rows known by an instant, sums over windows before events, and columns. Pure.

Sums are made in row order, one addition after the other (`numpy.bincount`, `numpy.cumsum`), or over rows of a fixed
length: a sum then never rounds by what comes later, by the number of threads or by the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from ticklake.base.errors import UsageError
from ticklake.silver.stage import ColumnSpec, Role

if TYPE_CHECKING:
    from ticklake.silver.stage import Frames

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

NS_PER_S: Final = 10**9
NS_PER_MIN: Final = 60 * NS_PER_S
BOOK_LEVELS: Final = 10
ASK, BID = "ask", "bid"


def check_ascending(name: str, numbers: Sequence[int]) -> None:
    """Refuse a list of windows or reaches that is not positive and strictly ascending.

    Raises:
        UsageError: names the parameter.
    """
    if any(low >= high for low, high in pairwise((0, *numbers))):
        raise UsageError(f"{name} is {list(numbers)}; give positive numbers in ascending order, each once")


def book_columns(*fields: str, levels: int = BOOK_LEVELS) -> list[str]:
    """Names such as `bid_px_1` ... `bid_px_10`, field by field."""
    return [f"{field}_{level}" for field in fields for level in range(1, levels + 1)]


def matrix(frame: pl.DataFrame, columns: Sequence[str]) -> Floats:
    """(rows, columns) of floats, NaN for null."""
    found = [frame[name].to_numpy() for name in columns]
    return np.column_stack(found).astype(np.float64) if found else np.empty((frame.height, 0))


def floats(frame: pl.DataFrame, column: str) -> Floats:
    """The column as floats, NaN for null."""
    values: Floats = frame[column].cast(pl.Float64).to_numpy()
    return values


def instants(frame: pl.DataFrame, column: str = "ts_event_ns") -> Ints:
    """The column as int64 ns; it has no nulls."""
    values: Ints = frame[column].to_numpy()
    return values


def rows_by(times_ns: Ints, at_ns: Ints) -> Ints:
    """How many rows of ascending `times_ns` are at or before each instant: the position after the last known row."""
    found: Ints = np.searchsorted(times_ns, at_ns, side="right").astype(np.int64)
    return found


def last_of(values: Floats, count: Ints) -> Floats:
    """The value of the last of the first `count` rows; NaN where there is none. Shape of `count` + that of a row."""
    if values.shape[0] == 0:
        return np.full(count.shape + values.shape[1:], np.nan)
    found: Floats = values[np.maximum(count - 1, 0)].astype(np.float64)
    found[count == 0] = np.nan
    return found


def sum_by(values: Floats, count: Ints) -> Floats:
    """Sum of the first `count` rows (along axis 0), added in row order; NaN counts as nothing."""
    totals = np.zeros((values.shape[0] + 1, *values.shape[1:]))
    np.cumsum(np.nan_to_num(values), axis=0, out=totals[1:])
    found: Floats = totals[count]
    return found


def pairs(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """Every (event, row) with start <= row < stop of the event, by event, then by row: two arrays of one length."""
    length = np.maximum(stop - start, 0)
    owner = np.repeat(np.arange(length.size), length)
    before = np.cumsum(length) - length
    row = np.arange(owner.size) - np.repeat(before - start, length)
    return owner, row


def total(owner: Ints, values: Floats, events: int) -> Floats:
    """Sum of the values of each event, added in row order; 0 for an event without any."""
    found: Floats = np.bincount(owner, weights=values, minlength=events).astype(np.float64)
    return found


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """The quotient; NaN where the denominator is 0 or either is NaN."""
    known = denominator != 0
    quotient: Floats = np.where(known, numerator / np.where(known, denominator, 1.0), np.nan)
    return quotient


def column(name: str, values: Floats) -> pl.Series:
    """A Float64 column, null for NaN."""
    return pl.Series(name, values, dtype=pl.Float64, nan_to_null=True)


def with_columns(events: pl.DataFrame, columns: Sequence[pl.Series]) -> Frames:
    """The frame `events` with more columns, as a stage returns it."""
    is_new = not any(values.name in events.columns for values in columns)
    return {"events": (events.hstack(list(columns)) if is_new else events.with_columns(columns)).lazy()}


def feature(
    name: str,
    unit: str,
    doc: str,
    *,
    dtype: type[pl.DataType] = pl.Float64,
    null: bool = True,
    low: float | None = None,
    high: float | None = None,
) -> ColumnSpec:
    """A feature column, Float64 unless told otherwise."""
    return ColumnSpec(name, dtype(), unit, Role.FEATURE, doc, null=null, low=low, high=high)
