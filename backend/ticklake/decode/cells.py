"""One value at a time: what a column accepts from a message, and what it stores. `columns` is the fast twin."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import TypeVar

import msgspec

from ticklake.decode.rejected import BadInputError, Reason, shown
from ticklake.schema.kinds import AGGRESSOR_WORDS, INT_BOUNDS, UNDEFINED_PRICE_MIN, Kind
from ticklake.schema.table import Column

DECIMAL = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)")
INTEGER = re.compile(r"(-?)0*([0-9]{1,19})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

Number = TypeVar("Number", int, float)

Cell = str | int | float | bool | bytes | date | list[int] | None
"""What a row stores in one column."""


class BadCellError(Exception):
    """A value a column does not accept. Becomes a `BadInputError` where its path is known."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    def at(self, path: str) -> BadInputError:
        """The error with its place."""
        return BadInputError(self.reason, self.detail, path)


def check_cell(column: Column, value: object) -> Cell:
    """The value as stored.

    Raises:
        BadCellError: the column does not accept it.
    """
    if value is None:
        value = column.default
    if value is None:
        _refuse_unless_null(column, Reason.MISSING_FIELD, "is required, but missing or null")
        return None
    kind = column.kind
    if kind.is_float:
        return _float(column, value)
    if kind.is_integer:
        return _ranged(column, _integer(column, value))
    if kind is Kind.STRING:
        return _word(column, value)
    if kind is Kind.AGGRESSOR:
        return _aggressor(value)
    if kind is Kind.BOOL:
        if value is True or value is False:
            return value
        raise _wrong(value, "true or false")
    if kind is Kind.DATE32:
        return _date(column, value)
    if kind is Kind.LIST_INT16:
        return _codes(value)
    if kind is Kind.JSON:
        return json_text(value)
    if isinstance(value, bytes):
        return value
    raise _wrong(value, "bytes")


def cell_checker(column: Column) -> Callable[[object], Cell]:
    """`check_cell` for one column, with a short cut for the values most messages carry."""
    exact = partial(check_cell, column)
    if column.kind.is_float:
        return _float_checker(column, exact)
    if column.kind.is_integer:
        return _integer_checker(column, exact)
    if column.kind is Kind.STRING and not column.allowed:
        return lambda value: value if type(value) is str else exact(value)
    return exact


def _float_checker(column: Column, exact: Callable[[object], Cell]) -> Callable[[object], Cell]:
    low, high = (-UNDEFINED_PRICE_MIN, UNDEFINED_PRICE_MIN)  # further out, the exact rules speak
    low = max([low, *(bound for bound in (column.minimum, column.above) if bound is not None)])
    high = high if column.maximum is None else min(high, column.maximum)

    def check(value: object) -> Cell:
        return value + 0.0 if type(value) is float and low < value < high else exact(value)

    return check


def _integer_checker(column: Column, exact: Callable[[object], Cell]) -> Callable[[object], Cell]:
    low, high = INT_BOUNDS[column.kind]
    least = low if column.minimum is None else max(low, column.minimum)
    most = high if column.maximum is None else min(high, column.maximum)
    return lambda value: value if type(value) is int and least <= value <= most else exact(value)


def json_text(value: object) -> str:
    """Any decoded JSON value as compact JSON text, keys sorted: equal values give equal text."""
    return msgspec.json.encode(value, order="sorted").decode()


def _refuse_unless_null(column: Column, reason: Reason, detail: str) -> None:
    if not column.null:
        raise BadCellError(reason, detail)


def _wrong(value: object, wanted: str) -> BadCellError:
    return BadCellError(Reason.WRONG_TYPE, f"wants {wanted}, got {shown(value)}")


def _float(column: Column, value: object) -> float | None:
    if type(value) is str:
        if DECIMAL.fullmatch(value) is None:
            raise _wrong(value, "a number or plain decimal text")
    elif type(value) is not float and type(value) is not int:
        raise _wrong(value, "a number or plain decimal text")
    try:
        number = float(value) + 0.0  # negative zero is stored as zero
    except OverflowError as error:
        raise BadCellError(Reason.NOT_FINITE, f"is no finite number: {shown(value)}") from error
    if not math.isfinite(number):
        raise BadCellError(Reason.NOT_FINITE, f"is no finite number: {shown(value)}")
    if column.kind is Kind.PRICE and abs(number) >= UNDEFINED_PRICE_MIN:
        _refuse_unless_null(column, Reason.UNDEFINED_PRICE, f"is required, but undefined: {shown(value)}")
        return None
    return _ranged(column, number)


def _integer(column: Column, value: object) -> int:
    if column.text and type(value) is str:
        digits = INTEGER.fullmatch(value)
        if digits is not None:
            value = int(digits[1] + digits[2])
    if type(value) is not int:
        raise _wrong(value, "an integer or its decimal text" if column.text else "an integer")
    low, high = INT_BOUNDS[column.kind]
    if not low <= value <= high:
        raise _out_of_range(column, f"does not fit {column.kind}: {shown(value)}")
    return value


def _ranged(column: Column, number: Number) -> Number:
    if column.minimum is not None and number < column.minimum:
        raise _out_of_range(column, f"must be at least {column.minimum}, got {number!r}")
    if column.maximum is not None and number > column.maximum:
        raise _out_of_range(column, f"must be at most {column.maximum}, got {number!r}")
    if column.above is not None and number <= column.above:
        raise _out_of_range(column, f"must be above {column.above}, got {number!r}")
    return number


def _out_of_range(column: Column, detail: str) -> BadCellError:
    return BadCellError(Reason.TS_OUT_OF_RANGE if column.is_time else Reason.OUT_OF_RANGE, detail)


def _word(column: Column, value: object) -> str:
    if type(value) is not str:
        raise _wrong(value, "a string")
    if column.allowed and value not in column.allowed:
        raise BadCellError(Reason.OUT_OF_RANGE, f"must be one of {', '.join(column.allowed)}, got {shown(value)}")
    return value


def _aggressor(value: object) -> int:
    if type(value) is str and value in AGGRESSOR_WORDS:
        return AGGRESSOR_WORDS[value]
    if type(value) is not int:
        raise _wrong(value, f"1, -1, 0 or one of {', '.join(AGGRESSOR_WORDS)}")
    if not -1 <= value <= 1:
        raise BadCellError(Reason.OUT_OF_RANGE, f"must be 1, -1 or 0, got {shown(value)}")
    return value


def _date(column: Column, value: object) -> date:
    if type(value) is str and _DATE.fullmatch(value):
        try:
            value = date.fromisoformat(value)
        except ValueError as error:
            raise _wrong(value, "a date of the calendar") from error
    if type(value) is not date:
        raise _wrong(value, "a date as YYYY-MM-DD")
    _ranged(column, value.toordinal() - _EPOCH_ORDINAL)
    return value


def _codes(value: object) -> list[int]:
    low, high = INT_BOUNDS[Kind.INT16]
    if type(value) is not list:
        raise _wrong(value, "a list of integers")
    for code in value:
        if type(code) is not int or not low <= code <= high:
            raise _wrong(code, "a list of 16-bit integers")
    return value
