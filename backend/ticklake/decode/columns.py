"""Whole columns at a time: the same rules as `cells`, for batches in which hardly any row breaks one.

What is found good here is good there, with the same value: `tests/unit/decode/test_paths_agree.py`. What is not found
good is only marked, and looked at again row by row.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.limits import DecodeLimits
from ticklake.schema.kinds import AGGRESSOR_WORDS, UNDEFINED_PRICE_MIN, Kind
from ticklake.schema.partition import TOKEN_BYTES_MAX
from ticklake.schema.table import TIME_MIN_NS, Column, TableSpec

_DECIMAL_BYTES = b"0123456789.-"
_INTEGER_BYTES = b"0123456789-"


class NotUniformError(Exception):
    """The batch does not have the one shape it was tried with. Go row by row; nothing is wrong yet."""


@dataclass(frozen=True, slots=True)
class Checked:
    """Columns of a table, as stored, and which rows are good.

    Attributes:
        columns: one array per column of the table, in order. Values of rows that are not good mean nothing.
        good: boolean per row; None when all are.
    """

    columns: list[pa.Array]
    good: pa.Array | None


class _Verdict:
    """Collects which rows are good; costs nothing while all are."""

    def __init__(self) -> None:
        self.good: pa.Array | None = None

    def require(self, good: pa.Array) -> None:
        good = pc.fill_null(good, True)
        self.good = good if self.good is None else pc.and_(self.good, good)


def check_columns(
    table: TableSpec, found: Mapping[str, pa.Array], ingest_ns: pa.Array, limits: DecodeLimits
) -> Checked:
    """Check columns as found on the wire against the table.

    Args:
        table: the rules.
        found: column name -> array of the wire's type; columns that were not found are absent.
        ingest_ns: int64 per row.
        limits: how far ahead event times may lie.

    Raises:
        NotUniformError: an array cannot be turned into the column's type as a whole.
    """
    verdict = _Verdict()
    columns: dict[str, pa.Array] = {}
    for column in table.columns:
        values = found.get(column.name)
        if values is None:
            values = pa.nulls(len(ingest_ns), column.kind.arrow)
        columns[column.name] = _check_column(column, _to_kind(column, values), verdict)
    for price, size in table.sides:
        columns[price], columns[size] = _clear_absent_side(columns[price], columns[size])
    _check_event_time(table, columns, ingest_ns, limits, verdict)
    for name in table.value_partitions:
        if name in columns and table.by_name[name].kind is Kind.STRING:
            # Encoding at most triples the bytes. Longer values are rare: row by row decides about them.
            short = pc.less_equal(pc.binary_length(columns[name]), TOKEN_BYTES_MAX // 3)
            if not _all(short):
                verdict.require(short)
    good = verdict.good
    return Checked(list(columns.values()), None if good is None or _all(good) else good)


def _to_kind(column: Column, values: pa.Array) -> pa.Array:
    """Wire type to stored type, exactly as the row path would."""
    kind = column.kind
    if values.type == kind.arrow:
        return values
    try:
        if pa.types.is_string(values.type):
            if kind.is_float:
                return _only_bytes(values, _DECIMAL_BYTES).cast(pa.float64())
            if kind.is_integer and column.text:
                return _only_bytes(values, _INTEGER_BYTES).cast(kind.arrow)
            if kind is Kind.AGGRESSOR:
                return _aggressor(values)
            if kind is Kind.DATE32:
                return values.cast(pa.date32())
    except pa.ArrowInvalid as error:
        raise NotUniformError(column.name) from error
    raise NotUniformError(column.name)


def _only_bytes(values: pa.Array, allowed: bytes) -> pa.Array:
    """The strings, if they hold nothing but the allowed bytes: keeps out exponents, signs, spaces, words and hex."""
    _, offsets, content = values.buffers()
    if content is None:
        return values
    marks = pa.Array.from_buffers(pa.int32(), len(values) + 1, [None, offsets], offset=values.offset)
    start, end = marks[0].as_py(), marks[-1].as_py()
    if content.slice(start, end - start).to_pybytes().translate(None, allowed):
        raise NotUniformError("characters beyond plain decimals")
    return values


def _aggressor(words: pa.Array) -> pa.Array:
    codes = pc.index_in(words, value_set=pa.array(list(AGGRESSOR_WORDS)))
    if codes.null_count != words.null_count:
        raise NotUniformError("an unknown word for the aggressor")
    return pa.array(list(AGGRESSOR_WORDS.values()), pa.int8()).take(codes)


def _check_column(column: Column, values: pa.Array, verdict: _Verdict) -> pa.Array:
    kind = column.kind
    if column.default is not None and values.null_count:
        values = pc.fill_null(values, pa.scalar(column.default, kind.arrow))
    if kind.is_float:
        values = _check_float(column, values, verdict)
    elif kind.is_integer or kind is Kind.DATE32:
        _check_range(column, values.cast(pa.int32()) if kind is Kind.DATE32 else values, verdict)
    elif kind is Kind.AGGRESSOR:
        _require_between(values, -1, 1, verdict)
    elif kind is Kind.LIST_INT16 and pc.list_flatten(values).null_count:
        raise NotUniformError(column.name)
    if column.allowed:
        known = pc.is_in(values, value_set=pa.array(column.allowed))
        if not _all(known):
            verdict.require(pc.or_(known, pc.is_null(values)))
    if not column.null and values.null_count:
        verdict.require(pc.is_valid(values))
    return values


def _check_float(column: Column, values: pa.Array, verdict: _Verdict) -> pa.Array:
    total = pc.sum(values).as_py()
    if total is not None and not math.isfinite(total):  # one pass; a sum that overflows only costs a closer look
        finite = pc.is_finite(values)
        verdict.require(finite)
        values = pc.if_else(finite, values, pa.scalar(None, pa.float64()))
    low, high = _bounds(values)
    if low is None or high is None:
        return values
    if low <= 0 <= high:
        values = pc.add(values, 0.0)  # negative zero is stored as zero
    if column.kind is Kind.PRICE and (high >= UNDEFINED_PRICE_MIN or low <= -UNDEFINED_PRICE_MIN):
        undefined = pc.greater_equal(pc.abs(values), UNDEFINED_PRICE_MIN)
        values = pc.if_else(undefined, pa.scalar(None, pa.float64()), values)
    _check_range(column, values, verdict)
    return values


def _check_range(column: Column, values: pa.Array, verdict: _Verdict) -> None:
    low, high = _bounds(values)
    if low is None or high is None:
        return
    if column.minimum is not None and low < column.minimum:
        verdict.require(pc.greater_equal(values, column.minimum))
    if column.maximum is not None and high > column.maximum:
        verdict.require(pc.less_equal(values, column.maximum))
    if column.above is not None and low <= column.above:
        verdict.require(pc.greater(values, column.above))


def _require_between(values: pa.Array, least: int, most: int, verdict: _Verdict) -> None:
    low, high = _bounds(values)
    if low is not None and high is not None and (low < least or high > most):
        verdict.require(pc.and_(pc.greater_equal(values, least), pc.less_equal(values, most)))


def _clear_absent_side(price: pa.Array, size: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Null both where neither says anything: a size of 0 without a price is no side at all."""
    if _is_positive(price) or _is_positive(size):
        return price, size
    no_price = pc.fill_null(pc.equal(price, 0.0), True)
    no_size = pc.fill_null(pc.equal(size, pa.scalar(0, size.type)), True)
    absent = pc.and_(no_price, no_size)
    return (
        pc.if_else(absent, pa.scalar(None, price.type), price),
        pc.if_else(absent, pa.scalar(None, size.type), size),
    )


def _is_positive(values: pa.Array) -> bool:
    low, _ = _bounds(values)
    return low is not None and low > 0 and values.null_count == 0


def _check_event_time(
    table: TableSpec, columns: Mapping[str, pa.Array], ingest_ns: pa.Array, limits: DecodeLimits, verdict: _Verdict
) -> None:
    event_ns = columns[table.event_time]
    if table.event_time_fallback is not None and event_ns.null_count:
        event_ns = pc.coalesce(event_ns, columns[table.event_time_fallback])
    if event_ns.null_count:
        verdict.require(pc.is_valid(event_ns))
    low, high = _bounds(event_ns)
    if low is None or high is None:
        return
    if low < TIME_MIN_NS:
        verdict.require(pc.greater_equal(event_ns, TIME_MIN_NS))
    earliest, _ = _bounds(ingest_ns)
    assert earliest is not None, "every row has an ingest time"
    if high > earliest + limits.future_max_ns:
        verdict.require(pc.less_equal(event_ns, pc.add(ingest_ns, limits.future_max_ns)))


def _bounds(values: pa.Array) -> tuple[float | None, float | None]:
    found = pc.min_max(values).as_py()
    return found["min"], found["max"]


def _all(flags: pa.Array) -> bool:
    return pc.all(flags, skip_nulls=True).as_py() is not False
