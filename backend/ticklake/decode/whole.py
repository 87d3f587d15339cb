"""The catch-all table: every message stored as it came, never rejected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.harvest import DecodedTable
from ticklake.decode.routes import Lot
from ticklake.decode.segment import Segment
from ticklake.schema.subject import subject_text
from ticklake.schema.table import TableSpec


def keep_whole(table: TableSpec, lots: Sequence[Lot], segment: Segment) -> DecodedTable:
    """One row per message: when the server stored it, subject, headers, payload."""
    lot = Lot.join(lots)
    columns = [
        pc.coalesce(lot.server_ns, lot.ingest_ns),
        _subjects(segment).take(lot.numbers),
        _headers(segment).take(lot.numbers),
        pc.binary_slice(lot.documents, 0, -1),
        lot.stream_seqs,
        lot.message_rows,
        lot.ingest_ns,
        pa.nulls(len(lot), pa.string()),
    ]
    return DecodedTable(table, pa.Table.from_arrays(columns, schema=table.decoded_schema), lot.numbers)


def _subjects(segment: Segment) -> pa.Array:
    """The subject of every message of the segment."""
    texts: dict[str, int] = {}
    codes = []
    for group in segment.groups:
        of_group = [texts.setdefault(subject_text(subject), len(texts)) for subject in group.subjects]
        codes.append(np.array(of_group, np.int64)[np.frombuffer(group.subject_codes, np.uint16)])
    return pa.array(list(texts), pa.string()).take(pa.array(np.concatenate(codes)))


def _headers(segment: Segment) -> pa.Array:
    """The header block of every message of the segment, or null."""
    if not any(group.headers for group in segment.groups):
        return pa.nulls(len(segment), pa.binary())
    blocks: list[bytes | None] = [None] * len(segment)
    for start, group in zip(segment.starts, segment.groups, strict=True):
        for index, block in group.headers.items():
            blocks[start + index] = block
    return pa.array(blocks, pa.binary())
