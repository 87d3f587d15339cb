"""Input frames with another future, or with fewer rows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from ticklake.base.errors import UsageError
from ticklake.silver.certificate import Variant
from ticklake.silver.frames import Frames

ABSURD_REACH_NS: Final = 30 * 60 * 1_000_000_000
"""How far absurd values reach beyond a cut; longer than every window and horizon of the built-in stages."""

NEAR_NS: Final = 30 * 1_000_000_000
"""Around a moment of interest, thinning keeps every row this near."""

ROWS_KEPT_MIN: Final = 5_000
"""Thinning leaves frames alone that have no more rows than this."""

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
_KEPT: Final = frozenset({"stream_seq", "message_row", "seq", "hour"})
_SWAPPED: Final[Mapping[str, tuple[str, str]]] = {"right": ("C", "P"), "action": ("A", "C"), "side": ("B", "A")}


def event_time(frame: pl.DataFrame, name: str) -> pl.Series:
    """Event time of each row, ns UTC; the time of receipt where there is none.

    Raises:
        UsageError: the frame has neither column.
    """
    times = [column for column in _TIMES if column in frame.columns]
    if not times:
        raise UsageError(f"input frame {name!r} has neither {' nor '.join(_TIMES)}; give it an event time")
    return frame.select(pl.coalesce(times).alias("time")).to_series()


def tampered(inputs: Mapping[str, pl.DataFrame], cut_ns: int, variant: Variant) -> Frames:
    """The inputs with the same rows up to the cut, included, and another future.

    Absurd values: prices times 7 and 1/8 in turns, sizes times 1,000 (1,000,000 for all but the main contract, so that
    another contract rules the volume), aggressor, option right, action and side flipped, flags negated. Times,
    sequences and names stay.
    """
    return {name: _tampered_frame(frame, name, cut_ns, variant).lazy() for name, frame in inputs.items()}


def thinned(inputs: Mapping[str, pl.DataFrame], density: float, near: Sequence[int] = ()) -> dict[str, pl.DataFrame]:
    """Every n-th row of each frame, n the inverse of the density, and all rows within 30 s of the moments `near`."""
    return {name: _thinned_frame(frame, name, density, near) for name, frame in inputs.items()}


def _tampered_frame(frame: pl.DataFrame, name: str, cut_ns: int, variant: Variant) -> pl.DataFrame:
    time = event_time(frame, name)
    is_past = (time <= cut_ns).fill_null(value=False)
    if variant is Variant.REMOVED:
        return frame.filter(is_past)
    is_near = (time <= cut_ns + ABSURD_REACH_NS).fill_null(value=False)
    changed = [_absurd(frame, column).alias(column) for column in frame.columns]
    return frame.with_columns(
        pl.when(pl.lit(is_past)).then(pl.col(column)).otherwise(new).alias(column)
        for column, new in zip(frame.columns, changed, strict=True)
    ).filter(is_near)


def _absurd(frame: pl.DataFrame, column: str) -> pl.Expr:
    value, dtype = pl.col(column), frame.schema[column]
    if column in _KEPT or column.endswith("_ns"):
        return value
    if column == "aggressor":
        return pl.when(value == 0).then(1).otherwise(-value).cast(dtype)
    if column in _SWAPPED:
        one, other = _SWAPPED[column]
        return pl.when(value == one).then(pl.lit(other)).when(value == other).then(pl.lit(one)).otherwise(value)
    if dtype.is_integer() or (dtype.is_float() and _is_size(column)):
        return (value.cast(pl.Float64) * _size_factor(frame)).clip(upper_bound=_LARGEST.get(dtype, _HUGE)).cast(dtype)
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


def _thinned_frame(frame: pl.DataFrame, name: str, density: float, near: Sequence[int]) -> pl.DataFrame:
    step = int(frame.height / max(frame.height * density, ROWS_KEPT_MIN, 1))
    if step <= 1:
        return frame
    kept = pl.int_range(frame.height, eager=True) % step == 0
    if near:
        moments = pl.DataFrame({"near": sorted(near)}, schema={"near": pl.Int64})
        times = pl.DataFrame({"time": event_time(frame, name)}).with_row_index("row")
        found = (
            times.drop_nulls()
            .sort("time")
            .join_asof(moments, left_on="time", right_on="near", strategy="nearest", tolerance=NEAR_NS)
        )
        close = found.filter(pl.col("near").is_not_null())["row"]
        kept = kept | pl.int_range(frame.height, eager=True).is_in(close.implode())
    return frame.filter(kept)
