"""Frames as Parquet files at paths of your choice: `save_parquet`, `load_parquet`, `list_parquet_files`.

Takes Polars and pandas frames, Arrow tables and whatever else speaks the Arrow C stream interface. Gives Polars frames,
or pandas with its index on request. A file appears whole or not at all; page checksums are written and checked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, overload

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.base.errors import UsageError
from ticklake.files.engines import source_of
from ticklake.files.errors import NotStoredError, UnreadableError
from ticklake.files.frame_times import find_time_column, time_filter
from ticklake.files.frames import EmptyFrameError, FrameError, check_codec, to_arrow, write_frame
from ticklake.files.place import S3, Place, place_of, sorted_places

_INDEX_COLUMN: Final = "__index_level_0__"  # what Arrow calls a pandas index without a name

Day = str | date  # also datetime and pandas Timestamp, which are dates


def save_parquet(
    df: Any,
    path: str | os.PathLike[str],
    compression: str = "snappy",
    index: bool = True,
    *,
    time_column: str | None = None,
) -> Place:
    """Write a frame to a Parquet file, over an older one, whole or not at all. Makes missing folders.

    Args:
        df: Polars or pandas frame, Arrow table, or anything with `__arrow_c_stream__`.
        path: the file.
        compression: snappy, gzip, brotli, zstd or lz4.
        index: keep a pandas index (other frames have none).
        time_column: what date filters compare; found by itself for a pandas DatetimeIndex or a single time column.

    Returns:
        the absolute path.

    Raises:
        EmptyFrameError: the frame has no rows or no columns.
        FrameError: no frame, a column that Parquet cannot hold, an unknown compression (a ValueError).
        OutOfRoomError: free some room and call again; an older file is untouched.
        DiskError: the disk failed.
    """
    check_codec(compression)
    table = to_arrow(df, index=index)
    if table.num_rows == 0 or table.num_columns == 0:
        raise EmptyFrameError("Cannot save empty DataFrame: it would read back as if the data were there")
    time = time_column or find_time_column(table.schema)
    if time_column is not None and time_column not in table.column_names:
        raise FrameError(f"no column {time_column!r} for the times; the frame has {', '.join(table.column_names)}")
    table = table.replace_schema_metadata(
        {**(table.schema.metadata or {}), **({b"ticklake.time_column": time.encode()} if time else {})}
    )
    place = place_of(path)
    write_frame(table, place, compression=compression)
    return place


@overload
def load_parquet(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    start_date: Day | None = None,
    end_date: Day | None = None,
    *,
    as_pandas: Literal[False] = False,
) -> pl.DataFrame: ...
@overload
def load_parquet(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    start_date: Day | None = None,
    end_date: Day | None = None,
    *,
    as_pandas: Literal[True],
) -> Any: ...
def load_parquet(
    path: str | os.PathLike[str],
    columns: Sequence[str] | None = None,
    start_date: Day | None = None,
    end_date: Day | None = None,
    *,
    as_pandas: bool = False,
) -> Any:
    """The frame of a Parquet file; only the asked columns and the row groups that can hold the dates are read.

    A pandas index comes back as a column in Polars, named `timestamp` when it had no name, and as the index in pandas,
    whatever the columns.

    Args:
        path: the file.
        columns: which, in this order; all when None.
        start_date: first time, included. A naive time is UTC where the column has a zone.
        end_date: last time, included. A date without a time of day includes that whole day.
        as_pandas: give a pandas frame, with the index it was saved with.

    Raises:
        NotStoredError: no such file (a FileNotFoundError).
        FrameError: unknown columns; a date filter on a file without a time column (a ValueError).
        UnreadableError: no Parquet file, or damaged.
    """
    source = os.fspath(path)
    schema = _read_schema(source)
    names = _spoken_names(schema)
    unknown = [name for name in columns or () if name not in names]
    if unknown:
        raise FrameError(f"{source}: no column {', '.join(unknown)}; there are {', '.join(names)}")
    wanted = None if columns is None else [names[name] for name in columns]
    bounds = time_filter(schema, start_date, end_date, path=source)
    try:
        table = pq.read_table(
            source_of(source), columns=wanted, filters=bounds, use_pandas_metadata=as_pandas,
            page_checksum_verification=True, partitioning=None,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise NotStoredError(f"{source} does not exist; see `list_parquet_files`", path=source) from error
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"{source} cannot be read ({error}); restore the file", path=source) from error
    if as_pandas:
        return _to_pandas(table)
    spoken = {place: name for name, place in names.items()}
    return pl.DataFrame(table.rename_columns([spoken[name] for name in table.column_names]))


def list_parquet_files(directory: str | os.PathLike[str], pattern: str = "*.parquet") -> list[Place]:
    """The files in a folder, not below it, that match the pattern, sorted; empty when there is no such folder."""
    folder = place_of(directory) if os.fspath(directory).startswith(S3) else Path(directory)
    return sorted_places(file for file in folder.glob(pattern) if file.is_file() and not file.name.startswith("."))


def _read_schema(source: str) -> pa.Schema:
    try:
        return pq.read_schema(source_of(source))
    except FileNotFoundError as error:
        raise NotStoredError(f"{source} does not exist; see `list_parquet_files`", path=source) from error
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"{source} is no readable Parquet file ({error}); restore it", path=source) from error


def _spoken_names(schema: pa.Schema) -> Mapping[str, str]:
    """Name for people -> name in the file; they differ for a pandas index without a name only."""
    index = "index" if "timestamp" in schema.names else "timestamp"
    return {index if name == _INDEX_COLUMN else name: name for name in schema.names}


def _to_pandas(table: pa.Table) -> Any:
    try:
        import pandas  # noqa: F401 - Arrow would fail without saying what to install
    except ImportError as error:
        raise UsageError("pandas is not installed; `pip install ticklake[pandas]`, or take the Polars frame") from error
    return table.to_pandas()
