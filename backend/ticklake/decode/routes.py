"""Messages to tables: one look-up per distinct subject, the rest is columns."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.headers import mention_format
from ticklake.decode.limits import DecodeLimits
from ticklake.decode.segment import Segment
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.messages import MessageGroup
from ticklake.schema.table import Shape, TableSpec

_TOGETHER_MESSAGES = 8_192
_TOGETHER_BYTES = 4 * 2**20
_HOMELESS, _SPECIAL = -1, -2  # in place of a table


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
    def join(cls, lots: Sequence[Lot]) -> Lot:
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
    for start, groups in _neighbours(segment):
        _route_groups(routes, groups, start, catalog, limits)
    return routes


def _neighbours(segment: Segment) -> Iterator[tuple[int, list[MessageGroup]]]:
    """All groups, small ones together, with the number of their first message: a group costs as much as its messages.

    A live feed brings hundreds of small ones a second; copying them into one is cheap beside that.
    """
    first, groups, messages, payload_bytes = 0, list[MessageGroup](), 0, 0
    for start, group in zip(segment.starts, segment.groups, strict=True):
        if not len(group):
            continue
        messages, payload_bytes = messages + len(group), payload_bytes + group.payload_bytes
        if groups and (messages > _TOGETHER_MESSAGES or payload_bytes > _TOGETHER_BYTES):
            yield first, groups
            groups, messages, payload_bytes = [], len(group), group.payload_bytes
        first = start if not groups else first
        groups.append(group)
    if groups:
        yield first, groups


def _route_groups(
    routes: Routes, groups: Sequence[MessageGroup], start: int, catalog: TableCatalog, limits: DecodeLimits
) -> None:
    codes: dict[str, int] = {}
    special: list[tuple[int, TableSpec]] = []
    per_group: list[npt.NDArray[np.int64]] = []
    at = start
    for group in groups:
        tables = [catalog.match(subject) for subject in group.subjects]
        special += [(at + index, table) for index, table in _special(group, tables, limits)]
        of_subject = [_HOMELESS if table is None else codes.setdefault(table.name, len(codes)) for table in tables]
        per_group.append(np.array(of_subject)[np.frombuffer(group.subject_codes, np.uint16)])
        at += len(group)
    routes.special += special
    if len(special) == at - start:
        return
    per_message = np.concatenate(per_group)
    per_message[[number - start for number, _ in special]] = _SPECIAL
    lot = _lot(groups, start)
    for name, code in codes.items():
        is_of_table = per_message == code
        if is_of_table.any():
            routes.plain.setdefault(name, []).append(lot if is_of_table.all() else lot.take(pa.array(is_of_table)))
    routes.homeless += (np.flatnonzero(per_message == _HOMELESS) + start).tolist()


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


def _lot(groups: Sequence[MessageGroup], start: int) -> Lot:
    lengths = [len(group) for group in groups]
    count = sum(lengths)
    ingest_ns = np.repeat(np.array([group.ingest_ns for group in groups]), lengths)
    return Lot(
        numbers=pa.array(np.arange(start, start + count, dtype=np.int64)),
        documents=_documents(groups, count),
        message_rows=pa.repeat(pa.scalar(0, pa.int32()), count),
        stream_seqs=_column([group.sequences for group in groups], count),
        server_ns=_column([group.server_ns for group in groups], count),
        ingest_ns=pa.array(ingest_ns),
    )


def _documents(groups: Sequence[MessageGroup], count: int) -> pa.Array:
    """The payloads with their newlines. A group alone is not copied."""
    payloads = groups[0].payloads if len(groups) == 1 else b"".join([group.payloads for group in groups])
    starts = accumulate((group.payload_bytes for group in groups), initial=0)
    offsets = [np.frombuffer(group.offsets, np.uint32)[:-1] + at for group, at in zip(groups, starts, strict=False)]
    marks = np.concatenate([*offsets, [len(payloads)]]).astype(np.uint32)
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(marks), pa.py_buffer(payloads)])


def _column(parts: Sequence[array[int]], count: int) -> pa.Array:
    """One number per message; nulls for core NATS, which has none."""
    values = np.concatenate([np.frombuffer(part, np.int64) for part in parts])
    return pa.array(values) if len(values) else pa.nulls(count, pa.int64())
