"""Rejected input as Parquet: whole payloads with the reason, committed together with the good rows of their segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import pyarrow as pa

from ticklake.decode.rejected import Rejected
from ticklake.lake.layout import quarantine_folder
from ticklake.schema.subject import subject_text

QUARANTINE_SCHEMA_ID = "quarantine/1"

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("reason", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False),  # see `schema.subject`
        pa.field("headers", pa.binary()),
        pa.field("payload", pa.binary(), nullable=False),
        pa.field("stream", pa.string(), nullable=False),
        pa.field("stream_seq", pa.int64()),
        pa.field("message_row", pa.int32(), nullable=False),
        pa.field("server_ns", pa.int64()),
        pa.field("ingest_ns", pa.int64(), nullable=False),
    ]
)
"""One row per rejected row or message. The table it was meant for and the date it came are in the folder name."""


def quarantine_tables(rejected: Iterable[Rejected], *, stream: str) -> Iterator[tuple[str, str, pa.Table]]:
    """(table, folder, rows) per quarantine file, in order of the folders; rows by ingest time and sequence."""
    placed = [(quarantine_folder(row.table, ingest_ns=row.ingest_ns), row) for row in rejected]
    placed.sort(key=lambda pair: (pair[0], *_order(pair[1])))
    for folder, pairs in groupby(placed, key=lambda pair: pair[0]):
        rows = [row for _, row in pairs]
        yield rows[0].table, folder, _table(rows, stream)


def _order(row: Rejected) -> tuple[int, bool, int, int, int]:
    return row.ingest_ns, row.stream_seq is None, row.stream_seq or 0, row.message_row, row.number


def _table(rows: list[Rejected], stream: str) -> pa.Table:
    columns: dict[str, list[object]] = {
        "reason": [str(row.reason) for row in rows],
        "path": [_clean(row.path) for row in rows],
        "detail": [_clean(row.detail) for row in rows],
        "subject": [subject_text(row.subject) for row in rows],
        "headers": [row.headers for row in rows],
        "payload": [row.payload for row in rows],
        "stream": [stream] * len(rows),
        "stream_seq": [row.stream_seq for row in rows],
        "message_row": [row.message_row for row in rows],
        "server_ns": [row.server_ns for row in rows],
        "ingest_ns": [row.ingest_ns for row in rows],
    }
    return pa.table(columns, schema=QUARANTINE_SCHEMA)


def _clean(text: str) -> str:
    """Text that Parquet takes: lone surrogates, which an error text may quote, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
