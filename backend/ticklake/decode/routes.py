"""Messages to tables: one look-up per distinct subject, the rest is columns."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.headers import mention_format
from ticklake.decode.limits import DecodeLimits
from ticklake.decode.segment import Segment
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.messages import MessageGroup
from ticklake.schema.table import Shape, TableSpec


@dataclass(frozen=True, slots=True)
class Lot:
    """Documents of one table, one JSON object each (if they are any good), with what belongs to each.

    All columns have one entry per document:

    Attributes:
        numbers: int64, running number of the message in its segment.
        documents: binary, the bytes, each ending with one newline that is not part of it.
        message_rows: int32, which document of its message it is.
        stream_seqs: int64, null for core NATS.
        server_ns: int64, null for core NATS.
        ingest_ns: int64.
    """

    numbers: pa.Array
    documents: pa.Array
    message_rows: pa.Array
    stream_seqs: pa.Array
    server_ns: pa.Array
    ingest_ns: pa.Array

    def __len__(self) -> int:
        """How many documents there are."""
        return len(self.numbers)

    def slice(self, start: int, count: int) -> Lot:
        """Some of the documents, without copying."""
        return Lot(*(column.slice(start, count) for column in self._columns()))

    def take(self, mask: pa.Array) -> Lot:
        """The documents a boolean mask picks."""
        return Lot(*(column.filter(mask) for column in self._columns()))

    def rows(self) -> Iterator[tuple[int, bytes, int, int | None, int]]:
        """Per document: message number, bytes without the newline, message row, stream sequence, ingest time."""
        columns = (self.numbers, pc.binary_slice(self.documents, 0, -1), self.message_rows, self.stream_seqs)
        yield from zip(*(column.to_pylist() for column in (*columns, self.ingest_ns)), strict=True)

    def document(self, index: int) -> bytes:
        """The bytes of one document, without the newline."""
        content: bytes = self.documents[index].as_py()
        return content[:-1]

    def _columns(self) -> tuple[pa.Array, ...]:
        return (
            self.numbers,
            self.documents,
            self.message_rows,
            self.stream_seqs,
            self.server_ns,
            self.ingest_ns,
        )

    @classmethod
    def join(cls, lots: list[Lot]) -> Lot:
        """Several lots as one. Copies, unless there is only one."""
        if len(lots) == 1:
            return lots[0]
        return cls(*(pa.concat_arrays(parts) for parts in zip(*(lot._columns() for lot in lots), strict=True)))


@dataclass(slots=True)
class Routes:
    """Where the messages of a segment go.

    Attributes:
        plain: table name -> its messages without headers about the payload: JSON objects, most likely.
        special: (message number, table) of the messages whose headers must be read first.
        homeless: numbers of the messages whose subject belongs to no table.
    """

    plain: dict[str, list[Lot]] = field(default_factory=dict)
    special: list[tuple[int, TableSpec]] = field(default_factory=list)
    homeless: list[int] = field(default_factory=list)


def route(segment: Segment, catalog: TableCatalog, limits: DecodeLimits) -> Routes:
    """Sort all messages of a segment by table. Every message lands in exactly one place."""
    routes = Routes()
    for start, group in zip(segment.starts, segment.groups, strict=True):
        if len(group):
            _route_group(routes, group, start, catalog, limits)
    return routes


def _route_group(routes: Routes, group: MessageGroup, start: int, catalog: TableCatalog, limits: DecodeLimits) -> None:
    tables = [catalog.match(subject) for subject in group.subjects]
    special = _special(group, tables, limits)
    routes.special += [(start + index, table) for index, table in special]
    if len(special) == len(group):
        return
    lot = _lot(group, start)
    names = sorted({table.name for table in tables if table is not None})
    if len(names) == 1 and None not in tables and not special:
        routes.plain.setdefault(names[0], []).append(lot)
        return
    codes = pa.array([-1 if table is None else names.index(table.name) for table in tables], pa.int32())
    per_message = codes.take(shared_array(pa.uint16(), group.subject_codes))
    if special:
        numbers = pa.array([start + index for index, _ in special], pa.int64())
        per_message = pc.if_else(pc.is_in(lot.numbers, numbers), pa.scalar(None, pa.int32()), per_message)
    for code, name in enumerate(names):
        part = lot.take(pc.equal(per_message, code))
        if len(part):
            routes.plain.setdefault(name, []).append(part)
    routes.homeless += lot.numbers.filter(pc.equal(per_message, -1)).to_pylist()


def _special(group: MessageGroup, tables: list[TableSpec | None], limits: DecodeLimits) -> list[tuple[int, TableSpec]]:
    """Messages whose headers matter. The catch-all keeps bytes as they are, so its headers never do."""
    blocks = group.headers
    if not blocks or not (mention_format(blocks.values()) or max(map(len, blocks.values())) > limits.header_bytes_max):
        return []
    special = []
    for index in sorted(blocks):
        table = tables[group.subject_codes[index]]
        if table is None or table.shape is Shape.RAW:
            continue
        if len(blocks[index]) > limits.header_bytes_max or mention_format((blocks[index],)):
            special.append((index, table))
    return special


def _lot(group: MessageGroup, start: int) -> Lot:
    count = len(group)
    offsets, payloads = pa.py_buffer(group.offsets), pa.py_buffer(group.payloads)
    nulls = pa.nulls(count, pa.int64())
    return Lot(
        numbers=pa.array(np.arange(start, start + count, dtype=np.int64)),
        documents=pa.Array.from_buffers(pa.binary(), count, [None, offsets, payloads]),
        message_rows=pa.repeat(pa.scalar(0, pa.int32()), count),
        stream_seqs=shared_array(pa.int64(), group.sequences) if group.sequences else nulls,
        server_ns=shared_array(pa.int64(), group.server_ns) if group.server_ns else nulls,
        ingest_ns=pa.repeat(pa.scalar(group.ingest_ns, pa.int64()), count),
    )


def shared_array(kind: pa.DataType, values: array[int]) -> pa.Array:
    """The memory of an array of Python as an Arrow array, without a copy."""
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
