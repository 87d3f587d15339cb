"""One row of a message by itself, in the format of the message: what goes to quarantine when only that row must."""

from __future__ import annotations

import msgspec

from ticklake.decode import headers
from ticklake.decode.arrow import read_stream, write_row
from ticklake.decode.batches import is_array, split_array, split_lines
from ticklake.decode.rows import parse_json
from ticklake.decode.segment import Message
from ticklake.decode.signals import split_levels
from ticklake.schema.table import Shape, TableSpec


def single_row(table: TableSpec, message: Message, row: int) -> bytes:
    """The bytes of row `row` of a message that was decoded before."""
    if table.shape is Shape.RAW:
        return message.payload
    rows_max = len(message.payload) + row + 1  # it was within bounds before
    content_type = headers.read_format(message.headers).content_type
    if content_type == headers.ARROW_STREAM:
        return write_row(read_stream(message.payload, rows_max=rows_max), row)
    documents = [message.payload]
    if content_type == headers.NDJSON:
        documents = split_lines(message.payload, rows_max=rows_max)
    elif is_array(message.payload):
        documents = split_array(message.payload, rows_max=rows_max)
    if table.shape is Shape.SIGNALS:
        documents = [part for document in documents for part in _levels(document)]
    return documents[row]


def _levels(document: bytes) -> list[bytes]:
    parsed = parse_json(document)
    parts = split_levels(parsed) if isinstance(parsed, dict) else []
    return [msgspec.json.encode(part) for part in parts] if len(parts) > 1 else [document]
