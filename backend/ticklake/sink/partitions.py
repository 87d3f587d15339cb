"""Rows of one table into the rows of its partitions, each sorted by event time, stream sequence and message row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.harvest import DecodedTable
from ticklake.decode.uniform import one_array
from ticklake.schema.instrument import futures_root
from ticklake.schema.partition import partition_folder
from ticklake.schema.table import TableSpec

_HOUR_NS = 3_600 * 10**9
_EVENT = "__event_ns"  # beside the table's own columns, whose names start with a letter

_Key = tuple[int | str | None, ...]
"""What places a row: the hour since 1970, then its partition values."""


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
    stored = rows.select(spec.arrow_schema.names).append_column(_EVENT, event_ns)
    order = _order(places, event_ns, rows)
    if order is not None:
        stored, places = stored.take(order), places.take(order)
    return Split(list(_cut(spec, stored, places, folders)), kept)


def _event_ns(spec: TableSpec, rows: pa.Table) -> pa.Array:
    event_ns = rows.column(spec.event_time)
    if spec.event_time_fallback is not None and event_ns.null_count:
        event_ns = pc.coalesce(event_ns, rows.column(spec.event_time_fallback))
    return one_array(event_ns)


def _order(places: pa.Array, event_ns: pa.Array, rows: pa.Table) -> pa.Array | None:
    """Indices that sort by place, event time, sequence and row; None when the rows lie so already.

    Live rows mostly arrive in order, and only their places alternate: then one stable pass over the places does.
    """
    keys = [event_ns, one_array(rows.column("stream_seq")), one_array(rows.column("message_row"))]
    if _is_sorted([places, *keys]):
        return None
    if _is_sorted(keys):
        return pc.array_sort_indices(places)
    table = pa.table([places, *keys], names=["place", "event", "seq", "row"])
    return pc.sort_indices(table, sort_keys=[(name, "ascending") for name in table.column_names])


def _is_sorted(keys: list[pa.Array]) -> bool:
    """Whether rows are in the order of several keys; False when a null leaves it open."""
    if len(keys[0]) <= 1:
        return True
    in_order = pc.less_equal(keys[-1][:-1], keys[-1][1:])
    for key in reversed(keys[:-1]):
        before, after = key[:-1], key[1:]
        in_order = pc.or_(pc.less(before, after), pc.and_(pc.equal(before, after), in_order))
    return pc.all(in_order, skip_nulls=False).as_py() is True


def _places(
    spec: TableSpec, rows: pa.Table, event_ns: pa.Array, partitions_max: int
) -> tuple[pa.Array, list[str], pa.Array | None]:
    """Per row the number of its folder (null: no place left), the folders, and which rows have one."""
    hours = pc.dictionary_encode(pc.divide(event_ns, _HOUR_NS))
    codes = hours.indices
    keys: list[_Key] = [(hour,) for hour in hours.dictionary.to_pylist()]
    for name in spec.value_partitions:
        codes, keys = _cross(codes, keys, spec, one_array(rows.column(spec.partition_source(name).name)))
    folders = [_folder(spec, key) for key in keys]
    chosen = sorted(set(folders))
    if len(chosen) > partitions_max:
        counts = Counter(folders[code] for code in codes.to_pylist())
        chosen = sorted(sorted(chosen, key=lambda folder: (-counts[folder], folder))[:partitions_max])
    numbers = {folder: number for number, folder in enumerate(chosen)}
    places = pa.array([numbers.get(folder) for folder in folders], pa.int32()).take(codes)
    return places, chosen, pc.is_valid(places) if places.null_count else None


def _cross(codes: pa.Array, keys: list[_Key], spec: TableSpec, values: pa.Array) -> tuple[pa.Array, list[_Key]]:
    """Refine the keys of the rows by one more column: new code per row, new keys by code."""
    encoded = pc.dictionary_encode(values, null_encoding="encode")
    words = _words(spec, encoded.dictionary)
    width = len(words)
    crossed = pc.dictionary_encode(pc.add(pc.multiply(codes.cast(pa.int64()), width), encoded.indices.cast(pa.int64())))
    pairs = (divmod(code, width) for code in crossed.dictionary.to_pylist())
    return crossed.indices, [(*keys[code], words[word]) for code, word in pairs]


def _words(spec: TableSpec, values: pa.Array) -> list[str | None]:
    """Partition values of the distinct values of a column."""
    words: list[str | None] = values.cast(pa.string()).to_pylist()
    return [word if word is None else futures_root(word) for word in words] if spec.futures_roots else words


def _folder(spec: TableSpec, key: _Key) -> str:
    hour, *words = key
    assert isinstance(hour, int), "every stored row has an event time"
    moment = datetime.fromtimestamp(hour * 3600, UTC)
    values: dict[str, str | None] = {"date": moment.strftime("%Y-%m-%d"), "hour": moment.strftime("%H")}
    values |= {
        name: None if word is None else str(word) for name, word in zip(spec.value_partitions, words, strict=True)
    }
    return partition_folder({name: values[name] for name in spec.partition_by})


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
    column = stored.column(name)
    return bool(column.null_count == 0 and column.equals(stored.column(_EVENT)))
