"""Rows of one table into the rows of its partitions, each sorted by event time, stream sequence and message row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.harvest import DecodedTable
from ticklake.schema.instrument import futures_root
from ticklake.schema.partition import partition_folder
from ticklake.schema.table import TableSpec

_HOUR_NS = 3_600 * 10**9
_EVENT = "__event_ns"  # beside the table's own columns, whose names start with a letter


@dataclass(frozen=True, slots=True)
class Partition:
    """Rows of one partition.

    Attributes:
        folder: relative to the table's folder.
        rows: `spec.arrow_schema`, sorted.
        sorted_by: the columns that say so; empty where only a mixture of two does.
        min_ns: earliest event.
        max_ns: latest event.
    """

    folder: str
    rows: pa.Table
    sorted_by: tuple[str, ...]
    min_ns: int
    max_ns: int


@dataclass(frozen=True, slots=True)
class Split:
    """A table's rows by partition.

    Attributes:
        partitions: in the order of their folders.
        kept: boolean per row of the input, in its order; None when every row has its place.
            False where a table would have got more partitions than allowed.
    """

    partitions: list[Partition]
    kept: pa.Array | None


def split_by_partition(decoded: DecodedTable, *, partitions_max: int) -> Split:
    """Split, sort and order. Of too many partitions those with most rows stay: the others come from bad symbols."""
    spec, rows = decoded.spec, decoded.rows
    event_ns = _event_ns(spec, rows)
    places, folders, kept = _places(spec, rows, event_ns, partitions_max)
    keys = pa.table(
        {
            "place": places,
            "event": event_ns,
            "seq": rows.column("stream_seq"),
            "row": rows.column("message_row"),
        }
    )
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
    stored = rows.select(spec.arrow_schema.names).append_column(_EVENT, event_ns)
    if not pc.all(pc.less(order[:-1], order[1:])).as_py() and len(order) > 1:
        stored, places = stored.take(order), places.take(order)
    return Split(list(_cut(spec, stored, places, folders)), kept)


def _event_ns(spec: TableSpec, rows: pa.Table) -> pa.ChunkedArray:
    event_ns = rows.column(spec.event_time)
    if spec.event_time_fallback is not None and event_ns.null_count:
        return pc.coalesce(event_ns, rows.column(spec.event_time_fallback))
    return event_ns


def _places(
    spec: TableSpec, rows: pa.Table, event_ns: pa.ChunkedArray, partitions_max: int
) -> tuple[pa.Array, list[str], pa.Array | None]:
    """Per row the number of its folder (null: no place left), the folders, and which rows have one."""
    codes: dict[str, pa.Array] = {"hour": pc.divide(event_ns, _HOUR_NS)}
    words: dict[str, list[str | None]] = {}
    for name in spec.value_partitions:
        values = pc.dictionary_encode(rows.column(spec.partition_source(name).name)).combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = values.chunk(0)
        codes[name] = values.indices
        words[name] = _words(spec, values.dictionary)
    frame = pl.DataFrame(pa.table(codes))
    keys = frame.columns
    found = frame.group_by(keys).len()
    texts = [_folder(spec, row, words) for row in found.iter_rows(named=True)]
    found = found.with_columns(pl.Series("folder", texts, pl.String))
    folders = found.group_by("folder").agg(pl.col("len").sum()).sort(["len", "folder"], descending=[True, False])
    folders = folders.head(partitions_max).select("folder").sort("folder").with_row_index("place")
    found = found.join(folders, on="folder", how="left").select(*keys, "place")
    places = frame.join(found, on=keys, how="left", nulls_equal=True, maintain_order="left").get_column("place")
    kept = places.is_not_null().to_arrow() if places.null_count() else None
    return places.to_arrow(), folders.get_column("folder").to_list(), kept


def _words(spec: TableSpec, values: pa.Array) -> list[str | None]:
    """Partition values of the distinct values of a column."""
    words: list[str | None] = values.cast(pa.string()).to_pylist()
    return [word if word is None else futures_root(word) for word in words] if spec.futures_roots else words


def _folder(spec: TableSpec, row: dict[str, int | None], words: dict[str, list[str | None]]) -> str:
    hour = row["hour"]
    assert hour is not None, "every stored row has an event time"
    moment = datetime.fromtimestamp(hour * 3600, UTC)
    values: dict[str, str | None] = {}
    for name in spec.partition_by:
        if name == "date":
            values[name] = moment.strftime("%Y-%m-%d")
        elif name == "hour":
            values[name] = moment.strftime("%H")
        else:
            code = row[name]
            values[name] = None if code is None else words[name][code]
    return partition_folder(values)


def _cut(spec: TableSpec, stored: pa.Table, places: pa.Array, folders: list[str]) -> Iterator[Partition]:
    """Runs of equal place, in order. Rows without a place come last and are left out."""
    runs = pc.run_end_encode(places, run_end_type=pa.int64())
    start = 0
    for end, place in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
        if place is not None:
            yield _partition(spec, folders[place], stored.slice(start, end - start))
        start = end


def _partition(spec: TableSpec, folder: str, stored: pa.Table) -> Partition:
    bounds = pc.min_max(stored.column(_EVENT)).as_py()
    rows = stored.drop_columns([_EVENT]).cast(spec.arrow_schema)
    time = next((name for name in (spec.event_time, spec.event_time_fallback) if name and _leads(stored, name)), None)
    sorted_by = (time, "stream_seq", "message_row") if time is not None else ()
    return Partition(folder, rows, sorted_by, bounds["min"], bounds["max"])


def _leads(stored: pa.Table, name: str) -> bool:
    """Whether a column is the event time of every row."""
    return stored.column(name).null_count == 0 and stored.column(name).equals(stored.column(_EVENT))
