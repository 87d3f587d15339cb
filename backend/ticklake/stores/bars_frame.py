"""Bars as a Polars frame: checked, sorted, one row per start; and back to models. Pure.

Columns: start, Datetime(us, UTC), because every engine reads microseconds exactly; open, high, low, close, Float64 and
finite; volume, Float64, finite, not negative.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import MAXYEAR, UTC, datetime
from typing import Any, Final

import polars as pl

from ticklake.base.errors import RejectedError
from ticklake.stores.models import PriceBar
from ticklake.stores.spans import Span, as_utc, month_of

START: Final = "start"
START_TYPE: Final = pl.Datetime("us", "UTC")
PRICES: Final = ("open", "high", "low", "close")
NUMBERS: Final = (*PRICES, "volume")
BAR_SCHEMA: Final = pl.Schema({START: START_TYPE, **dict.fromkeys(NUMBERS, pl.Float64())})
_START_NAMES: Final = (START, "date", "timestamp", "time", "datetime")
"""How other programs call the start of a bar; the first that a frame has is taken."""


def frame_of(bars: Sequence[PriceBar]) -> pl.DataFrame:
    """Bars of one series as a frame: sorted by start, the last of equal starts kept."""
    columns: dict[str, list[Any]] = {START: [as_utc(bar.date) for bar in bars]}
    columns |= {name: [float(getattr(bar, name)) for bar in bars] for name in NUMBERS}
    return _one_per_start(pl.DataFrame(columns, schema=BAR_SCHEMA))


def checked_frame(frame: Any) -> pl.DataFrame:
    """Anything tabular as bars: sorted by start, the last of equal starts kept.

    Args:
        frame: a Polars frame or anything with the Arrow C stream interface (pandas, PyArrow, DuckDB). Naive times are
            UTC. Columns that are no part of a bar are left out.

    Raises:
        RejectedError: a column is missing or of another type, or a value is null, not finite or negative; nothing was
            stored.
    """
    rows = frame if isinstance(frame, pl.DataFrame) else pl.DataFrame(frame)
    start = next((name for name in _START_NAMES if name in rows.columns), None)
    missing = [name for name in NUMBERS if name not in rows.columns]
    if start is None or missing:
        lacking = [START] * (start is None) + missing
        raise RejectedError(f"bars lack {', '.join(lacking)}; the frame has {', '.join(rows.columns)}: rename columns")
    try:
        numbers = rows.select(_start_of(rows[start]).alias(START), *(pl.col(name).cast(pl.Float64) for name in NUMBERS))
    except pl.exceptions.PolarsError as error:
        raise RejectedError(f"bars: a column holds no numbers ({error}); convert it first") from error
    _refuse_bad_values(numbers)
    return _one_per_start(numbers)


def merge(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Both, sorted; of equal starts the new bar. Each of the two is sorted and has one row per start."""
    if old.is_empty() or new.is_empty():
        return new if old.is_empty() else old
    first, last = new[START][0], new[START][-1]
    # Only the part of the old rows below the new ones has to be compared; the usual write appends and compares nothing.
    low = old[START].search_sorted(first, side="left")
    high = old[START].search_sorted(last, side="right")
    kept = old[low:high].join(new.select(START), on=START, how="anti", maintain_order="left")
    within = new if kept.is_empty() else pl.concat([kept, new]).sort(START)
    return pl.concat([old[:low], within, old[high:]], rechunk=True)


def by_month(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """`("2026-01", rows)` for each UTC month of a sorted frame, without copying."""
    at, starts = 0, frame[START]
    while at < len(frame):
        start: datetime = starts[at]
        year, month = divmod(start.year * 12 + start.month, 12)  # of the next month, counted from 0
        if year > MAXYEAR:
            until = len(frame)
        else:
            until = int(starts.search_sorted(datetime(year, month + 1, 1, tzinfo=UTC), side="left"))
        yield month_of(start), frame[at:until]
        at = until


def within(frame: pl.DataFrame | pl.LazyFrame, span: Span) -> pl.LazyFrame:
    """The bars that start within the span."""
    rows = frame.lazy()
    if span.start is not None:
        rows = rows.filter(pl.col(START) >= pl.lit(span.start, START_TYPE))
    if span.end is not None:
        rows = rows.filter(pl.col(START) <= pl.lit(span.end, START_TYPE))
    return rows


def bars_of(frame: pl.DataFrame, *, symbol: str, timeframe: str, span: Span) -> list[PriceBar]:
    """The rows as models, with times in the form of the question."""
    return [
        PriceBar(symbol, span.present(start), first, high, low, close, _whole(volume), timeframe)
        for start, first, high, low, close, volume in frame.select(BAR_SCHEMA.names()).iter_rows()
    ]


def _whole(volume: float) -> int | float:
    return int(volume) if volume.is_integer() else volume


def _start_of(start: pl.Series) -> pl.Series:
    dtype = start.dtype
    if dtype == pl.Date:
        start = start.cast(pl.Datetime("us"))
    elif not isinstance(dtype, pl.Datetime):
        raise RejectedError(f"bars: {start.name} is {dtype}; give timestamps, such as pl.from_epoch(...)")
    elif dtype.time_unit == "ns" and (start.dt.nanosecond() % 1000 != 0).any():
        raise RejectedError(
            f"bars: {start.name} has parts of a microsecond; cut them first, and see that no bars collide"
        )
    zone = getattr(start.dtype, "time_zone", None)
    aware = start.dt.convert_time_zone("UTC") if zone else start.dt.replace_time_zone("UTC")
    return aware.cast(START_TYPE)


def _refuse_bad_values(rows: pl.DataFrame) -> None:
    good = pl.all_horizontal(
        pl.col(START).is_not_null(), *(pl.col(name).is_finite().fill_null(value=False) for name in NUMBERS)
    ) & (pl.col("volume") >= 0)
    verdict = rows.select(good.fill_null(value=False)).to_series()
    if not verdict.all():
        row = int((~verdict).arg_true()[0])
        raise RejectedError(
            f"bars: row {row} of {len(rows)} is {rows.row(row)}; a bar has a start, finite prices and a volume that is "
            "not negative: correct the row or leave it out"
        )


def _one_per_start(rows: pl.DataFrame) -> pl.DataFrame:
    if len(rows) < 2:
        return rows
    steps = rows[START].diff().dt.total_microseconds()[1:]
    if steps.min() > 0:  # type: ignore[operator]  # a diff without nulls has a minimum
        return rows
    return rows.unique(START, keep="last", maintain_order=True).sort(START)
