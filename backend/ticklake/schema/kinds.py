"""Kinds of columns: the one list of types a table may have, and what each is in Arrow, Polars and JSON."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import polars as pl


class Kind(StrEnum):
    """What a column holds. The value is the word used in settings and docs."""

    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    FLOAT64 = "float64"
    PRICE = "price"  # float64 that knows the undefined price of 64-bit fixed-point feeds
    BOOL = "bool"
    STRING = "string"
    DATE32 = "date32"
    LIST_INT16 = "list<int16>"
    BYTES = "bytes"
    AGGRESSOR = "aggressor"  # int8: 1 buy, -1 sell, 0 unknown
    JSON = "json"  # any JSON value, kept as compact JSON text

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type as stored."""
        return _ARROW[self]

    @property
    def polars(self) -> pl.DataType:
        """The Polars type a reader sees."""
        return _polars()[self]

    @property
    def is_integer(self) -> bool:
        """Whether the wire carries a JSON integer that is stored as it is."""
        return self in INT_BOUNDS

    @property
    def is_float(self) -> bool:
        """Whether the wire carries a JSON number or a decimal string stored as float64."""
        return self in (Kind.FLOAT64, Kind.PRICE)


INT_BOUNDS = {
    Kind.INT8: (-(2**7), 2**7 - 1),
    Kind.INT16: (-(2**15), 2**15 - 1),
    Kind.INT32: (-(2**31), 2**31 - 1),
    Kind.INT64: (-(2**63), 2**63 - 1),
}
"""Smallest and largest value of the integer kinds."""

AGGRESSOR_WORDS = {"BUY": 1, "B": 1, "SELL": -1, "A": -1, "S": -1, "MID": 0, "N": 0}
"""What the wire may say instead of 1, -1 and 0. `A` is a sell: the order that traded hit the bid from the ask side."""

UNDEFINED_PRICE_MIN = 9.2e9
"""A price this far from zero is the undefined price of fixed-point feeds (the largest int64 times 1e-9)."""

_ARROW = {
    Kind.INT8: pa.int8(),
    Kind.INT16: pa.int16(),
    Kind.INT32: pa.int32(),
    Kind.INT64: pa.int64(),
    Kind.FLOAT64: pa.float64(),
    Kind.PRICE: pa.float64(),
    Kind.BOOL: pa.bool_(),
    Kind.STRING: pa.string(),
    Kind.DATE32: pa.date32(),
    Kind.LIST_INT16: pa.list_(pa.int16()),
    Kind.BYTES: pa.binary(),
    Kind.AGGRESSOR: pa.int8(),
    Kind.JSON: pa.string(),
}


@cache
def _polars() -> dict[Kind, pl.DataType]:
    """Made on first use: the service writes with Arrow alone and starts without Polars."""
    import polars as pl

    return {
        Kind.INT8: pl.Int8(),
        Kind.INT16: pl.Int16(),
        Kind.INT32: pl.Int32(),
        Kind.INT64: pl.Int64(),
        Kind.FLOAT64: pl.Float64(),
        Kind.PRICE: pl.Float64(),
        Kind.BOOL: pl.Boolean(),
        Kind.STRING: pl.String(),
        Kind.DATE32: pl.Date(),
        Kind.LIST_INT16: pl.List(pl.Int16()),
        Kind.BYTES: pl.Binary(),
        Kind.AGGRESSOR: pl.Int8(),
        Kind.JSON: pl.String(),
    }
