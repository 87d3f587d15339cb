"""Statistics of Parquet files from their footers alone: no page is read, so a year of ticks takes milliseconds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.catalog.entry import FrameStats
from ticklake.files.engines import footer_source
from ticklake.files.errors import NotStoredError, UnreadableError
from ticklake.files.frame_times import find_time_column
from ticklake.files.place import Place, sorted_places
from ticklake.files.side_by_side import run_for

_EVENT_TIME: Final = "ts_event_ns"  # the lake's own: int64 ns UTC
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def read_stats(path: Place) -> FrameStats:
    """Statistics of a Parquet file, or of all those in and below a folder.

    Raises:
        NotStoredError: no such file, or no Parquet file in the folder.
        UnreadableError: a footer cannot be read; the text names the file.
    """
    files = data_files(path)
    if not files:
        raise NotStoredError(f"{path}: no Parquet file there; write it first, then refresh the statistics", path=path)
    found = list(run_for(path)(lambda file: (file, file.stat(), _read_metadata(file)), files))
    schema = found[0][2].schema.to_arrow_schema()
    bounds = [bound for _, _, metadata in found for bound in _time_bounds(metadata, schema)]
    return FrameStats(
        start_date=None if not bounds else _iso(min(low for low, _ in bounds), schema),
        end_date=None if not bounds else _iso(max(high for _, high in bounds), schema),
        row_count=sum(metadata.num_rows for _, _, metadata in found),
        files=len(found),
        size_bytes=sum(stat.st_size for _, stat, _ in found),
        schema_hash=hash_schema(schema),
        null_counts=_null_counts([metadata for _, _, metadata in found]),
        file_mtime_ns=max(stat.st_mtime_ns for _, stat, _ in found),
    )


def data_files(path: Place) -> list[Place]:
    """The Parquet files that a dataset's path means, sorted; empty when there are none."""
    if path.is_dir():
        return sorted_places(
            file for file in path.rglob("*.parquet") if file.is_file() and not file.name.startswith(".")
        )
    return [path] if path.is_file() else []


def hash_schema(schema: pa.Schema) -> str:
    """16 hex digits that two schemas share when names, types and order are equal."""
    text = "\n".join(f"{field.name}\t{field.type}" for field in schema)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read_metadata(file: Place) -> pq.FileMetaData:
    try:
        return pq.read_metadata(footer_source(file))
    except FileNotFoundError as error:
        raise NotStoredError(f"{file} vanished; refresh the statistics again", path=file) from error
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"{file} has no readable Parquet footer ({error}); restore it", path=file) from error


def _time_column(schema: pa.Schema) -> str | None:
    return _EVENT_TIME if _EVENT_TIME in schema.names else find_time_column(schema)


def _time_bounds(metadata: pq.FileMetaData, schema: pa.Schema) -> list[tuple[Any, Any]]:
    """(smallest, largest) stored value of the time column per row group; nothing where a footer does not tell."""
    name = _time_column(schema)
    places = {metadata.schema.column(index).path: index for index in range(metadata.num_columns)}
    if name is None or name not in places:
        return []
    columns = [metadata.row_group(group).column(places[name]) for group in range(metadata.num_row_groups)]
    found = [column.statistics for column in columns if column.statistics is not None]
    return [(item.min_raw, item.max_raw) for item in found if item.has_min_max]


def _iso(raw: int, schema: pa.Schema) -> str:
    """ISO text of a stored time. Nanoseconds are cut: the text orients, the rows are exact."""
    kind = schema.field(_time_column(schema)).type
    if pa.types.is_date(kind):
        return (date(1970, 1, 1) + timedelta(days=raw)).isoformat()
    unit_ns = _UNIT_NS[kind.unit] if pa.types.is_timestamp(kind) else 1
    time = _EPOCH + timedelta(microseconds=raw * unit_ns // 1_000)
    zoned = not pa.types.is_timestamp(kind) or kind.tz is not None
    return time.isoformat() if zoned else time.replace(tzinfo=None).isoformat()


def _null_counts(files: Sequence[pq.FileMetaData]) -> dict[str, int]:
    """Nulls per column over all files, for the columns whose statistics count them everywhere."""
    counts: dict[str, int] = {}
    unknown: set[str] = set()
    for metadata in files:
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for index in range(row_group.num_columns):
                column = row_group.column(index)
                if column.statistics is None or not column.statistics.has_null_count:
                    unknown.add(column.path_in_schema)
                else:
                    counts[column.path_in_schema] = counts.get(column.path_in_schema, 0) + column.statistics.null_count
    return {name: count for name, count in counts.items() if name not in unknown}
