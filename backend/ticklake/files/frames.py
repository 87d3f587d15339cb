"""Any frame as an Arrow table, and an Arrow table as a Parquet file that appears whole or not at all."""

from __future__ import annotations

import os
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.base.errors import UsageError
from ticklake.files.atomic import discard, publish_file, sort_error, temp_beside

COMPRESSIONS: Final = ("snappy", "gzip", "brotli", "zstd", "lz4")
_ROW_GROUP_ROWS: Final = 131_072  # small enough that a date filter skips most of a long history


class FrameError(UsageError, ValueError):
    """The frame, or what was asked of it, makes no sense. Change the frame or the arguments."""


class EmptyFrameError(FrameError):
    """The frame has no rows. Save it when there are some, or save nothing."""


def to_arrow(frame: Any, *, index: bool = True) -> pa.Table:
    """The frame as an Arrow table, with pandas' own description of its index and types when it is a pandas frame.

    Args:
        frame: Polars or pandas frame, Arrow table, or anything with `__arrow_c_stream__`.
        index: keep a pandas index.

    Raises:
        FrameError: no frame, or a column of mixed types.
    """
    try:
        if isinstance(frame, pa.Table):
            return frame
        if isinstance(frame, pl.LazyFrame):
            frame = frame.collect()
        if isinstance(frame, pl.DataFrame):
            return frame.to_arrow(compat_level=pl.CompatLevel.oldest())  # types that every Parquet reader knows
        if type(frame).__module__.partition(".")[0] == "pandas":
            return pa.Table.from_pandas(frame, preserve_index=None if index else False)
        if hasattr(frame, "__arrow_c_stream__"):
            return pa.table(frame)
    except (pa.ArrowException, TypeError) as error:
        raise FrameError(f"the frame cannot become an Arrow table ({error}); give each column one type") from error
    raise FrameError(
        f"a {type(frame).__module__}.{type(frame).__qualname__} is no frame; "
        "pass a Polars or pandas frame, an Arrow table, or anything with __arrow_c_stream__"
    )


def check_codec(compression: str) -> None:
    """Refuse a compression that Parquet readers do not share.

    Raises:
        FrameError: it is none of `COMPRESSIONS`.
    """
    if compression not in COMPRESSIONS:
        raise FrameError(f"no compression {compression!r}; choose one of {', '.join(COMPRESSIONS)}")


def write_frame(table: pa.Table, path: str | os.PathLike[str], *, compression: str = "zstd") -> None:
    """Write the table to a Parquet file, over an older one, atomically and durably. Makes missing folders.

    Raises:
        FrameError: a column that Parquet cannot hold.
        OutOfRoomError: free some room and call again; an older file is untouched.
        DiskError: the disk failed.
    """
    publish_file(write_temp_frame(table, path, compression=compression), path)


def write_temp_frame(table: pa.Table, path: str | os.PathLike[str], *, compression: str = "zstd") -> str:
    """Write the table to a temp file beside `path`; for `publish_file`, which syncs it and gives it the name.

    Raises:
        FrameError: a column that Parquet cannot hold.
        OutOfRoomError: free some room and call again.
        DiskError: the disk failed.
    """
    temp = temp_beside(path)
    try:
        with open(temp, "xb") as file:
            pq.write_table(
                table, file, compression=compression, row_group_size=_ROW_GROUP_ROWS, write_page_checksum=True
            )
    except pa.ArrowException as error:
        discard(temp)
        raise FrameError(
            f"{os.fspath(path)}: the frame cannot be written ({error}); change the column types"
        ) from error
    except OSError as error:
        discard(temp)
        raise sort_error(error, "write", temp) from error
    except BaseException:
        discard(temp)
        raise
    return temp
