"""The catch-all table: every message stored as it came, never rejected."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.harvest import DecodedTable
from ticklake.decode.routes import Lot, shared_array
from ticklake.decode.segment import Segment
from ticklake.schema.subject import subject_text
from ticklake.schema.table import TableSpec


def keep_whole(table: TableSpec, lots: Sequence[Lot], segment: Segment) -> DecodedTable:
    """One row per message: when the server stored it, subject, headers, payload.

    Each lot must come from one group, as `route` makes them.
    """
    parts = [_rows(table, lot, segment) for lot in lots]
    rows = pa.concat_tables(parts).combine_chunks()
    return DecodedTable(table, rows, pa.concat_arrays([lot.numbers for lot in lots]))


def _rows(table: TableSpec, lot: Lot, segment: Segment) -> pa.Table:
    at = bisect_right(segment.starts, lot.numbers[0].as_py()) - 1
    group = segment.groups[at]
    indices = pc.subtract(lot.numbers, segment.starts[at])
    subjects = pa.array([subject_text(subject) for subject in group.subjects], pa.string())
    codes = shared_array(pa.uint16(), group.subject_codes)
    headers = pa.nulls(len(lot), pa.binary())
    if group.headers:
        headers = pa.array([group.headers.get(index) for index in indices.to_pylist()], pa.binary())
    columns = [
        pc.coalesce(lot.server_ns, lot.ingest_ns),
        subjects.take(codes.take(indices)),
        headers,
        pc.binary_slice(lot.documents, 0, -1),
        lot.stream_seqs,
        lot.message_rows,
        lot.ingest_ns,
        pa.nulls(len(lot), pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=table.decoded_schema)
