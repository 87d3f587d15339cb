"""Three engines read a table of the lake through its plain glob. Nothing of ticklake is imported here, on purpose."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

Engine = Callable[[Path, Sequence[str], Sequence[str]], pa.Table]
"""(folder of a table, columns, order) -> rows in that order, nulls last."""


def read_duckdb(folder: Path, columns: Sequence[str], order: Sequence[str]) -> pa.Table:
    """By `read_parquet` on the glob."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.sql(
            f"SELECT {', '.join(columns)} FROM read_parquet($glob, hive_partitioning = true) "
            f"ORDER BY {', '.join(f'{name} ASC NULLS LAST' for name in order)}",
            params={"glob": f"{folder}/**/*.parquet"},
        ).to_arrow_table()


def read_polars(folder: Path, columns: Sequence[str], order: Sequence[str]) -> pa.Table:
    """By `scan_parquet` on the glob."""
    scan = pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True)
    return scan.select(columns).sort(order, nulls_last=True).collect().to_arrow()


def read_pyarrow(folder: Path, columns: Sequence[str], order: Sequence[str]) -> pa.Table:
    """By a dataset over the folder."""
    dataset = pads.dataset(folder, format="parquet", partitioning="hive")
    return dataset.to_table(columns=list(columns)).sort_by([(name, "ascending") for name in order])


ENGINES: Mapping[str, Engine] = {"duckdb": read_duckdb, "polars": read_polars, "pyarrow": read_pyarrow}


def digest(rows: pa.Table) -> str:
    """A hash over the values of all columns in the order of the rows; the same for every engine's idea of a type."""
    total = hashlib.sha256()
    for name in rows.column_names:
        column = rows.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        total.update(f"{name}:{len(column)}:".encode())
        total.update(_values(pc.is_null(column).cast(pa.int8()), 1))
        if pa.types.is_integer(column.type):
            total.update(_values(column.cast(pa.int64()).fill_null(0), 8))
        elif pa.types.is_floating(column.type):
            total.update(_values(column.cast(pa.float64()).fill_null(0.0), 8))
        else:
            texts = column.cast(pa.large_binary()).fill_null(b"")
            total.update(_values(pc.binary_length(texts), 8))  # lengths tell where a value ends; no separator can
            total.update(_contents(texts))
    return total.hexdigest()


def _values(column: pa.ChunkedArray, width_bytes: int) -> memoryview:
    """The numbers of a column without nulls."""
    array = _whole(column)
    values = memoryview(array.buffers()[1])
    return values[array.offset * width_bytes : (array.offset + len(array)) * width_bytes]


def _contents(column: pa.ChunkedArray) -> memoryview:
    """All bytes of a column of large binaries, one after the other."""
    array = _whole(column)
    _, offsets, values = array.buffers()
    ends = memoryview(offsets).cast("q")
    return memoryview(values or b"")[ends[array.offset] : ends[array.offset + len(array)]]


def _whole(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array
