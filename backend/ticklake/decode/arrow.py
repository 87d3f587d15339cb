"""Batch messages of Arrow: many small IPC streams into one table per layout, checked column by column."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from ticklake.decode.arrow_bounds import check_dictionary, check_messages, check_type
from ticklake.decode.cells import json_text
from ticklake.decode.columns import NotUniformError
from ticklake.decode.opened import Json
from ticklake.decode.rejected import BadInputError, Reason
from ticklake.decode.uniform import one_array, open_levels
from ticklake.schema.kinds import Kind
from ticklake.schema.table import Column, Shape, TableSpec

_CONTINUATION = b"\xff\xff\xff\xff"  # begins every message of a stream, its length follows

_NO_VALUE = (OverflowError, ValueError, TypeError, NotImplementedError, pa.ArrowException)
"""What comes when an Arrow value has no counterpart: the year 12000, a calendar interval."""


@dataclass(frozen=True, slots=True)
class ArrowRows:
    """Rows of Arrow messages that share a layout.

    Attributes:
        table: wire names to values; times as int64 ns, dictionaries opened.
        names: wire name -> column name, for those the table knows.
    """

    table: pa.Table
    names: Mapping[str, str]

    def columns(self) -> dict[str, pa.Array]:
        """Column name -> array of the wire's type.

        Raises:
            NotUniformError: levels of a book do not fit; look row by row.
        """
        found = {name: one_array(self.table.column(key)) for key, name in self.names.items() if key != "levels"}
        if "levels" in self.names:
            found |= open_levels(one_array(self.table.column("levels")))
        return found

    def extras(self) -> pa.Array:
        """Per row the columns the table does not know, as JSON text; null when there are none.

        Raises:
            NotUniformError: a value has no JSON form; look row by row.
        """
        unknown = [key for key in self.table.column_names if key not in self.names]
        if not unknown:
            return pa.nulls(self.table.num_rows, pa.string())
        try:
            rows = self.table.select(unknown).to_pylist()
            present = [{key: value for key, value in row.items() if value is not None} for row in rows]
            return pa.array([json_text(row) if row else None for row in present], pa.string())
        except _NO_VALUE as error:
            raise NotUniformError(str(error)) from error

    def document(self, index: int) -> Json:
        """One row as the object a JSON message would have held.

        Raises:
            BadInputError: a value is beyond what can be said outside Arrow.
        """
        try:
            row: Json = self.table.slice(index, 1).to_pylist()[0]
        except _NO_VALUE as error:
            raise BadInputError(Reason.BAD_ARROW, str(error)) from error
        return {key: value for key, value in row.items() if value is not None}


def write_row(table: pa.Table, index: int) -> bytes:
    """One row as an IPC stream of its own, as it could have come alone."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.slice(index, 1))
    content: bytes = sink.getvalue().to_pybytes()
    return content


def read_stream(payload: bytes, *, rows_max: int) -> pa.Table:
    """The rows of one IPC stream, every offset checked before use.

    Raises:
        BadInputError: it is no Arrow stream, is damaged, holds no row, or would unfold into too much.
    """
    rows = open_stream(payload, rows_max=rows_max)
    check_values(rows)
    return rows


def open_stream(payload: bytes, *, rows_max: int, is_known: bool = False) -> pa.Table:
    """The rows of one IPC stream as they lie in it: only for `check_values` before their values are checked.

    Args:
        payload: the bytes.
        rows_max: most rows it may hold.
        is_known: a stream with the same schema message was read before.

    Raises:
        BadInputError: it is no Arrow stream, holds no row or too many, is compressed, or has columns we do not read.
    """
    buffer = pa.py_buffer(payload)
    try:
        check_messages(buffer, rows_max=rows_max)
        with pa.ipc.open_stream(buffer) as reader:
            if not is_known:
                _check_schema(reader.schema)
            rows = reader.read_all()
    except (pa.ArrowException, OSError, ValueError, struct.error) as error:
        raise BadInputError(Reason.BAD_ARROW, str(error)) from error
    if not rows.num_rows:
        raise BadInputError(Reason.EMPTY_BATCH, "the batch holds no row")
    return rows


def check_values(rows: pa.Table) -> None:
    """Check every offset and every string of rows that were only opened.

    Raises:
        BadInputError: they are damaged.
    """
    try:
        rows.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise BadInputError(Reason.BAD_ARROW, str(error)) from error


def schema_message(payload: bytes) -> bytes:
    """The bytes at the head of a stream that alone say what its columns are. Of no stream, any bytes."""
    start = 8 if payload[:4] == _CONTINUATION else 4  # the oldest format begins with the length
    return payload[: start + int.from_bytes(payload[start - 4 : start], "little")]


def _check_schema(schema: pa.Schema) -> None:
    for field in schema:
        check_type(field.type, field.name)
    if len(set(schema.names)) != len(schema):
        raise BadInputError(Reason.BAD_ARROW, "two columns share a name")


def fit(table: TableSpec, rows: pa.Table) -> ArrowRows:
    """Wire columns as the table's types where that loses nothing; the others stay, for the rows to be looked at.

    Raises:
        BadInputError: a time is beyond what nanoseconds can say.
    """
    keys = {key: column for column in table.columns for key in column.keys if _is_plain(column, key)}
    names: dict[str, str] = {}
    arrays: dict[str, pa.ChunkedArray] = {}
    for key, values in zip(rows.column_names, rows.columns, strict=True):
        column = keys.get(key)
        arrays[key] = _opened(values, key)
        if column is not None and column.name not in names.values():
            names[key] = column.name
            arrays[key] = _cast(arrays[key], _target(column, arrays[key].type))
        elif key == "levels" and table.shape is Shape.BOOK:
            names[key] = key
            arrays[key] = _cast(arrays[key], _levels_target(table, arrays[key].type))
    return ArrowRows(pa.table(arrays), names)


def _is_plain(column: Column, key: str) -> bool:
    """Whether a key means the stored value itself: no path into an object, no other unit."""
    return key == column.name or (column.scale == 1 and "." not in key)


def _opened(values: pa.ChunkedArray, key: str) -> pa.ChunkedArray:
    """Dictionaries as plain values, times as int64 ns, decimals and the several string types as strings."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        check_dictionary(values, key)
        return _opened(values.cast(kind.value_type), key)
    if pa.types.is_timestamp(kind):
        try:
            return values.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64())
        except pa.ArrowException as error:
            raise BadInputError(Reason.TS_OUT_OF_RANGE, str(error), f"$.{key}") from error
    if pa.types.is_large_string(kind) or pa.types.is_decimal(kind):
        return values.cast(pa.string())
    return values


def _target(column: Column, kind: pa.DataType) -> pa.DataType:
    """The type a column of `kind` should be cast to; `kind` itself where the wire's type stays."""
    target = column.kind.arrow
    whole = pa.types.is_integer(kind)
    fits = (
        pa.types.is_null(kind)
        or (whole and (pa.types.is_integer(target) or column.kind.is_float))
        or (column.kind.is_float and pa.types.is_floating(kind))
        or (column.kind is Kind.DATE32 and pa.types.is_date(kind))
        or (column.kind is Kind.LIST_INT16 and pa.types.is_list(kind) and pa.types.is_integer(kind.value_type))
    )
    return target if fits else kind


def _levels_target(table: TableSpec, kind: pa.DataType) -> pa.DataType:
    if not pa.types.is_list(kind) or not pa.types.is_struct(kind.value_type):
        return kind
    fields = []
    for field in kind.value_type:
        column = table.by_name.get(f"{field.name}_1")
        fields.append(field if column is None else field.with_type(_target(column, field.type)))
    return pa.list_(pa.struct(fields))


def _cast(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Cast without loss, or leave as it is: then no column fits, and each row says for itself what is wrong."""
    if values.type.equals(target):
        return values
    try:
        return values.cast(target)
    except pa.ArrowException:
        return values
