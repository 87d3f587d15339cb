"""Input frames with another future, or with fewer rows. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl

from ticklake.base.errors import UsageError
from ticklake.silver.certificate import Variant
from ticklake.silver.frames import Frames

ABSURD_REACH_NS: Final = 30 * 60 * 1_000_000_000
"""How far absurd values reach beyond a cut; longer than every window and horizon of the built-in stages."""

NEAR_NS: Final = 15 * 1_000_000_000
"""Around a moment of interest, thinning keeps every row this near."""

ROWS_KEPT_MIN: Final = 5_000
"""Thinning leaves frames alone that have no more rows than this."""

_BLOCK_NS: Final = 1_000_000_000  # drawn whole, so that a burst stays a burst and a bucket of the book full
_CONTEXT_BLOCK_NS: Final = 1_000_000
_CONTEXT_SHARE: Final = 8  # of so many rows of the context one is kept
_MIX: Final = 40_503  # odd, so that neighbouring blocks are drawn as if by chance (Knuth, TAOCP 3, 6.4)
_MIX_RANGE: Final = 2**16 + 1
_PRICE_FACTORS: Final = 7.0, 0.125  # of every other row, so that new highs and new lows appear
_SIZE_FACTOR: Final = 1_000
_OTHER_CONTRACT_FACTOR: Final = 1_000_000
_HUGE: Final = 2.0**62  # a float that every 64-bit integer type holds
_LARGEST: Final[Mapping[pl.DataType, float]] = {
    pl.Int8(): 2.0**7 - 1,
    pl.UInt8(): 2.0**8 - 1,
    pl.Int16(): 2.0**15 - 1,
    pl.UInt16(): 2.0**16 - 1,
    pl.Int32(): 2.0**31 - 1,
    pl.UInt32(): 2.0**32 - 1,
}
_TIMES: Final = ("ts_event_ns", "ts_recv_ns")
NO_TIMES: Final[Mapping[str, str]] = {}
_KEPT: Final = frozenset({"stream_seq", "message_row", "seq", "hour"})
_SWAPPED: Final[Mapping[str, tuple[str, str]]] = {"right": ("C", "P"), "action": ("A", "C"), "side": ("B", "A")}


def time_of(frame: pl.LazyFrame, name: str, column: str | None = None) -> pl.Expr:
    """When each row was known, ns UTC: `column`; when None the event time, that of receipt where there is none.

    Raises:
        UsageError: the frame has no such column.
    """
    wanted = _TIMES if column is None else (column,)
    known = frame.collect_schema()
    times = [each for each in wanted if each in known]
    if not times:
        raise UsageError(f"input frame {name!r} has neither {' nor '.join(wanted)}; give it an event time")
    return pl.col(times[0]) if len(times) == 1 else pl.coalesce(times)  # a bare column lets a reader skip whole files


def times_of(inputs: Frames, columns: Mapping[str, str]) -> dict[str, pl.Expr]:
    """`time_of` of each frame, by the column that is named for it."""
    return {name: time_of(frame, name, columns.get(name)) for name, frame in inputs.items()}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows by event time, and what stands for each in an absurd future."""

    frame: pl.DataFrame
    times_ns: pl.Series
    absurd: pl.DataFrame

    def until(self, cut_ns: int) -> int:
        """How many rows are at or before the cut."""
        return int(self.times_ns.search_sorted(cut_ns, side="right"))


class Futures:
    """Inputs whose future can be changed at any cut. What is costly is done once; a cut only slices."""

    def __init__(self, inputs: Mapping[str, pl.DataFrame], times: Mapping[str, str] = NO_TIMES) -> None:
        self._rows = {name: _rows(frame, name, times.get(name)) for name, frame in inputs.items()}

    def truth(self) -> Frames:
        """The rows as they are, by event time."""
        return {name: rows.frame.lazy() for name, rows in self._rows.items()}

    def at(self, cut_ns: int, variant: Variant) -> Frames:
        """The inputs with the same rows up to the cut, included, and another future.

        Absurd values: prices times 7 and 1/8 in turns, sizes times 1,000 (1,000,000 for all but the main contract, so
        that another contract rules the volume), aggressor, option right, action and side flipped, flags negated. Times,
        sequences and names stay.
        """
        return {name: _at(rows, cut_ns, variant).lazy() for name, rows in self._rows.items()}


def absurd_after(inputs: Frames, cut_ns: int, columns: Mapping[str, str] = NO_TIMES) -> Frames:
    """The inputs with an absurd future, as `Futures.at` makes it, where only that future is read here."""
    times = times_of(inputs, columns)
    later = [
        frame.filter(times[name].is_between(cut_ns + 1, cut_ns + ABSURD_REACH_NS)) for name, frame in inputs.items()
    ]
    absurd = (_absurd_rows(rows) for rows in pl.collect_all(later))
    return {
        name: pl.concat([frame.filter(times[name] <= cut_ns), rows.lazy()])
        for (name, frame), rows in zip(inputs.items(), absurd, strict=True)
    }


def thinned(
    inputs: Frames,
    density: float,
    near: Sequence[int] = (),
    *,
    context_until_ns: int | None = None,
    columns: Mapping[str, str] = NO_TIMES,
) -> dict[str, pl.DataFrame]:
    """Some rows of each frame: a share of its seconds, whole, and all rows within `NEAR_NS` of `near`.

    Before `context_until_ns` every cut and event is far away; an eighth of that share is kept there, evenly, by
    milliseconds. Which blocks of time depends on their time alone, so a reader of files need not decode the other rows.
    """
    times = times_of(inputs, columns)
    enough = math.ceil(ROWS_KEPT_MIN / density)  # from so many rows on the share alone says how many remain
    heads = [frame.select(times[name]).head(enough).select(pl.len()) for name, frame in inputs.items()]
    steps = [
        int(1 / density if count.item() == enough else count.item() / ROWS_KEPT_MIN) for count in pl.collect_all(heads)
    ]
    some = {
        name: _some(frame, times[name], step, near, context_until_ns) if step > 1 else frame
        for (name, frame), step in zip(inputs.items(), steps, strict=True)
    }
    return dict(zip(some, pl.collect_all(list(some.values())), strict=True))


def _some(
    frame: pl.LazyFrame, time: pl.Expr, step: int, near: Sequence[int], context_until_ns: int | None
) -> pl.LazyFrame:
    is_near = (time.is_between(moment - NEAR_NS, moment + NEAR_NS) for moment in near)
    is_kept = pl.any_horizontal(_is_drawn(time // _BLOCK_NS, step), *is_near)
    if context_until_ns is None:
        return frame.filter(is_kept)
    is_context_kept = _is_drawn(time // _CONTEXT_BLOCK_NS, step * _CONTEXT_SHARE)
    context = frame.filter(time < context_until_ns, is_context_kept)
    return pl.concat([context, frame.filter(time >= context_until_ns, is_kept)])


def _is_drawn(block: pl.Expr, step: int) -> pl.Expr:
    return block * _MIX % _MIX_RANGE % step == 0


def _rows(frame: pl.DataFrame, name: str, column: str | None) -> _Rows:
    time = time_of(frame.lazy(), name, column)
    times_ns = frame.select(time.alias("time")).to_series()
    if times_ns.null_count() or not times_ns.is_sorted():
        frame = frame.filter(time.is_not_null()).sort(time, maintain_order=True)
        times_ns = frame.select(time.alias("time")).to_series()
    return _Rows(frame, times_ns, _absurd_rows(frame))


def _at(rows: _Rows, cut_ns: int, variant: Variant) -> pl.DataFrame:
    past = rows.until(cut_ns)
    if variant is Variant.REMOVED:
        return rows.frame.head(past)
    return pl.concat([rows.frame.head(past), rows.absurd.slice(past, rows.until(cut_ns + ABSURD_REACH_NS) - past)])


def _absurd_rows(frame: pl.DataFrame) -> pl.DataFrame:
    factor = _size_factor(frame)
    return frame.with_columns(_absurd(column, dtype, factor).alias(column) for column, dtype in frame.schema.items())


def _absurd(column: str, dtype: pl.DataType, size_factor: pl.Expr) -> pl.Expr:
    value = pl.col(column)
    if column in _KEPT or column.endswith("_ns"):
        return value
    if column == "aggressor":
        return pl.when(value == 0).then(1).otherwise(-value).cast(dtype)
    if column in _SWAPPED:
        one, other = _SWAPPED[column]
        return pl.when(value == one).then(pl.lit(other)).when(value == other).then(pl.lit(one)).otherwise(value)
    if dtype.is_integer() or (dtype.is_float() and _is_size(column)):
        return (value.cast(pl.Float64) * size_factor).clip(upper_bound=_LARGEST.get(dtype, _HUGE)).cast(dtype)
    if dtype.is_float():
        high, low = _PRICE_FACTORS
        return value * pl.when(pl.int_range(pl.len()) % 2 == 0).then(high).otherwise(low)
    if dtype == pl.Boolean:
        return value.not_()
    return value


def _is_size(column: str) -> bool:
    return any(part in {"size", "sz", "volume", "ct"} for part in column.split("_"))


def _size_factor(frame: pl.DataFrame) -> pl.Expr:
    if "contract" not in frame.columns or frame.is_empty():
        return pl.lit(_SIZE_FACTOR)
    main = frame["contract"].value_counts().sort("count", "contract", descending=[True, False])["contract"][0]
    return pl.when(pl.col("contract") == main).then(_SIZE_FACTOR).otherwise(_OTHER_CONTRACT_FACTOR)
