"""Frames of one series as Parquet files, one per range that was saved.

    {folder}/{pair}_{timeframe}_{start}_{end}.parquet

Of two files that overlap, the one that was saved later counts for its whole range. The footer says when that was, and
the names as they were given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.files.engines import footer_source, source_of
from ticklake.files.errors import UnreadableError
from ticklake.files.frame_times import find_time_column
from ticklake.files.frames import FrameError, to_arrow, write_frame
from ticklake.files.place import Place
from ticklake.files.trees import list_names
from ticklake.stores.timeseries_ranges import SUFFIX, TimeSpan

TIME: Final = "timestamp"
_SAVED_NS: Final = b"ticklake.saved_ns"


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """One file.

    Attributes:
        path: where it is.
        span: the range it was saved for.
        saved_ns: when, ns UTC.
    """

    path: Place
    span: TimeSpan
    saved_ns: int


def with_time(frame: Any) -> pl.DataFrame:
    """The frame with its times in the first column, `timestamp` in UTC, sorted by it.

    Times are a pandas DatetimeIndex, or the column of timestamps or dates; text in a column `timestamp` is parsed.
    Naive times are UTC.

    Raises:
        FrameError: there are no times, they are not clear, or some are missing.
    """
    table = to_arrow(frame)
    name = find_time_column(table.schema)
    rows = pl.DataFrame(table)
    if name is None and rows.schema.get(TIME) == pl.String():
        name = TIME
        try:
            rows = rows.with_columns(pl.col(TIME).str.to_datetime(time_unit="us", time_zone="UTC"))
        except pl.exceptions.PolarsError as error:
            raise FrameError(f"column {TIME!r}: {error}; write times as 2024-12-16T14:30:00Z") from error
    if name is None:
        raise FrameError(f"no column of times among {', '.join(rows.columns)}; add one named {TIME!r}")
    if name != TIME and TIME in rows.columns:
        raise FrameError(f"the times are in {name!r}, but there is a column {TIME!r} too; rename that one")
    kind = rows.schema[name]
    times = pl.col(name)
    if not isinstance(kind, pl.Datetime):
        times = times.cast(pl.Datetime("us"))
        kind = pl.Datetime("us")
    times = times.dt.replace_time_zone("UTC") if kind.time_zone is None else times.dt.convert_time_zone("UTC")
    rows = rows.select(times.alias(TIME), pl.exclude(name)).sort(TIME, maintain_order=True)
    if rows[TIME].null_count():
        raise FrameError(f"{rows[TIME].null_count()} rows of the frame have no time; fill or drop them")
    return rows


def write_rows(rows: pl.DataFrame, path: Place, *, facts: dict[str, str], saved_ns: int) -> None:
    """Write rows with their facts in the footer, over an older file, whole or not at all.

    Raises:
        FrameError: a column that Parquet cannot hold.
        DiskError, OutOfRoomError: an older file is untouched.
    """
    footer = {f"ticklake.{key}".encode(): value.encode("utf-8", "surrogateescape") for key, value in facts.items()}
    table = to_arrow(rows).replace_schema_metadata({**footer, _SAVED_NS: str(saved_ns).encode()})
    write_frame(table, path)


def read_rows(path: Place) -> pl.DataFrame:
    """All rows of a file.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableError: it is damaged.
    """
    try:
        return pl.DataFrame(pq.read_table(source_of(path), page_checksum_verification=True, partitioning=None))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"{path}: {error}; restore the file, or save its range again", path=path) from error


def footer_of(path: Place) -> dict[str, str]:
    """The facts in a file's footer, without their prefix.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableError: it is damaged.
    """
    try:
        metadata = pq.read_metadata(footer_source(path)).metadata or {}
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"{path}: {error}; restore the file, or save its range again", path=path) from error
    prefix = b"ticklake."
    return {
        key.removeprefix(prefix).decode(): value.decode("utf-8", "surrogateescape")
        for key, value in metadata.items()
        if key.startswith(prefix)
    }


def list_frames(folder: Place, prefix: str) -> list[StoredFrame]:
    """The files of one series, by when they were saved, oldest first.

    Raises:
        UnreadableError: one is damaged.
    """
    found = []
    for name in list_names(folder):
        if not (name.startswith(prefix) and name.endswith(SUFFIX)):
            continue
        span = TimeSpan.parse(name[len(prefix) : -len(SUFFIX)])
        if span is not None:
            path = folder / name
            try:
                saved_ns = footer_of(path).get("saved_ns")
                found.append(StoredFrame(path, span, int(saved_ns or path.stat().st_mtime_ns)))
            except FileNotFoundError:
                continue  # removed between the two looks
    return sorted(found, key=lambda frame: (frame.saved_ns, frame.path.name))


def overlay(frames: list[StoredFrame], wanted: TimeSpan) -> pl.DataFrame:
    """The rows of `wanted`, each from the file that was saved last for its time.

    Shape:  rows sorted by `timestamp`; rows of one time in the order of their file.

    Raises:
        FileNotFoundError: a file went away meanwhile; list them again.
        UnreadableError: one is damaged.
        FrameError: the files disagree about the type of a column.
    """
    parts: list[pl.DataFrame] = []
    for frame in frames:
        ours = frame.span
        parts = [part.filter(~_within(ours)) for part in parts]
        parts.append(read_rows(frame.path).filter(_within(ours)))
    try:
        rows = pl.concat(parts, how="diagonal_relaxed")
    except pl.exceptions.PolarsError as error:
        names = ", ".join(frame.path.name for frame in frames)
        raise FrameError(f"{names} do not fit together: {error}; save one of them again") from error
    return rows.filter(_within(wanted)).sort(TIME, maintain_order=True)


def _within(span: TimeSpan) -> pl.Expr:
    return pl.col(TIME).dt.epoch("ns").is_between(span.start_ns, span.end_ns)
