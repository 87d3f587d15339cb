"""Decoding for one table: clean batches at once, everything else row by row, batch messages taken apart first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode import headers
from ticklake.decode.arrow import ArrowRows, fit, write_row
from ticklake.decode.batches import is_array, split_array, split_lines
from ticklake.decode.columns import NotUniformError, check_columns
from ticklake.decode.harvest import DecodedTable, Harvest
from ticklake.decode.limits import DecodeLimits
from ticklake.decode.rejected import BadInputError, Reason, Rejected, shown
from ticklake.decode.routes import Lot
from ticklake.decode.rows import Row, RowDecoder
from ticklake.decode.segment import Message, Segment
from ticklake.decode.streams import Stream, Streams
from ticklake.decode.uniform import decode_uniform
from ticklake.schema.table import Shape, TableSpec

_LOT_DOCUMENTS = 8_192


class TableDecoder:
    """Decodes the messages of one table out of one segment, then is done."""

    def __init__(self, table: TableSpec, segment: Segment, limits: DecodeLimits) -> None:
        self._table = table
        self._segment = segment
        self._limits = limits
        self._rows = RowDecoder(table, limits)
        self._harvest = Harvest(table)
        self._batches: list[tuple[Message, list[bytes]]] = []
        self._streams = Streams(rows_max=limits.batch_rows_max)
        self._next_rows: dict[int, int] = {}
        self.rejected: list[Rejected] = []

    def add_plain(self, lots: Sequence[Lot]) -> None:
        """Messages whose headers say nothing about the payload: JSON, one object or an array of them."""
        for together in _together(lots):
            self._decode_lot(Lot.join(together), may_be_array=True)

    def add_special(self, message: Message) -> None:
        """A message whose headers say what the payload is. Batches wait for `finish`, so that they go together."""
        try:
            self._take_apart(message)
        except BadInputError as error:
            self._reject(message, error)

    def finish(self) -> DecodedTable | None:
        """The rows of all messages added; None when there are none. `rejected` is complete after this."""
        if self._batches:
            self._decode_lot(_join_documents(self._batches), may_be_array=False)
        for streams in self._streams.layouts(self._reject):
            self._decode_streams(streams)
        return self._harvest.finish()

    def _take_apart(self, message: Message) -> None:
        limits = self._limits
        if len(message.headers or b"") > limits.header_bytes_max:
            raise BadInputError(Reason.TOO_LARGE, f"headers of {len(message.headers or b'')} bytes", "headers")
        if len(message.payload) > limits.payload_bytes_max:
            raise BadInputError(Reason.TOO_LARGE, f"{len(message.payload)} bytes, at most {limits.payload_bytes_max}")
        said = headers.read_format(message.headers)
        if said.schema is not None and said.schema != self._table.schema_id:
            detail = f"says {shown(said.schema)}, the subject means {self._table.schema_id}"
            raise BadInputError(Reason.UNKNOWN_SCHEMA, detail, "headers")
        if said.content_type == headers.ARROW_STREAM:
            self._streams.add(message)
        elif said.content_type == headers.NDJSON:
            self._batches.append((message, split_lines(message.payload, rows_max=limits.batch_rows_max)))
        elif said.content_type == headers.JSON:
            documents = [message.payload]
            if is_array(message.payload):
                documents = split_array(message.payload, rows_max=limits.batch_rows_max)
            self._batches.append((message, documents))
        else:
            detail = f"{shown(said.content_type)} is none of JSON, NDJSON, Arrow stream"
            raise BadInputError(Reason.UNKNOWN_CONTENT_TYPE, detail, "headers")

    def _decode_lot(self, lot: Lot, *, may_be_array: bool) -> None:
        for piece in decode_uniform(self._table, lot, self._limits):
            if piece.checked is None:
                self._decode_documents(piece.lot, may_be_array=may_be_array)
                continue
            self._harvest.add_columns(piece.lot, piece.checked)
            if piece.checked.good is not None:
                self._decode_documents(piece.lot.take(pc.invert(piece.checked.good)), may_be_array=False)

    def _decode_documents(self, lot: Lot, *, may_be_array: bool) -> None:
        for number, document, message_row, stream_seq, ingest_ns in lot.rows():
            if may_be_array and is_array(document):
                self._add_array(self._segment.message(number))
                continue
            first_row = self._first_row(number, message_row)
            try:
                rows = self._rows.decode(document, ingest_ns=ingest_ns)
            except BadInputError as error:
                self._reject(self._segment.message(number), error, row=first_row, payload=document)
                rows = []
            for at, row in enumerate(rows, first_row):
                if isinstance(row, Row):
                    self._harvest.add_row(
                        row, number=number, stream_seq=stream_seq, message_row=at, ingest_ns=ingest_ns
                    )
                else:
                    self._reject(self._segment.message(number), row.error, row=at, payload=row.payload)
            if self._table.shape is Shape.SIGNALS:
                self._next_rows[number] = first_row + max(1, len(rows))

    def _first_row(self, number: int, message_row: int) -> int:
        """Where the rows of a document start: signals before it in its message may have taken several each."""
        return self._next_rows.get(number, 0) if self._table.shape is Shape.SIGNALS else message_row

    def _add_array(self, message: Message) -> None:
        try:
            documents = split_array(message.payload, rows_max=self._limits.batch_rows_max)
            self._batches.append((message, documents))
        except BadInputError as error:
            self._reject(message, error)

    def _decode_streams(self, streams: Sequence[Stream]) -> None:
        """Arrow messages of one layout, together; one by one where a value of one cannot be said in our types."""
        original = pa.concat_tables([rows for _, rows in streams])
        lot = _join_streams(streams)
        try:
            rows = fit(self._table, original)
        except BadInputError as error:
            if len(streams) == 1:
                self._reject(streams[0][0], error)
            else:
                for stream in streams:
                    self._decode_streams([stream])
            return
        indices: Iterable[int] = range(len(lot))
        try:
            extras = rows.extras()
            checked = check_columns(self._table, rows.columns(), lot.ingest_ns, self._limits)
        except NotUniformError:
            pass
        else:
            self._harvest.add_columns(lot, checked, extras)
            good = checked.good
            indices = [] if good is None else pc.indices_nonzero(pc.invert(good)).to_pylist()
        for index in indices:
            self._decode_arrow_row(original, rows, lot, index)

    def _decode_arrow_row(self, original: pa.Table, rows: ArrowRows, lot: Lot, index: int) -> None:
        number, ingest_ns = lot.numbers[index].as_py(), lot.ingest_ns[index].as_py()
        message_row = lot.message_rows[index].as_py()
        try:
            row = self._rows.check(rows.document(index), ingest_ns=ingest_ns)
        except BadInputError as error:
            payload = write_row(original, index)
            self._reject(self._segment.message(number), error, row=message_row, payload=payload)
            return
        stream_seq = lot.stream_seqs[index].as_py()
        self._harvest.add_row(row, number=number, stream_seq=stream_seq, message_row=message_row, ingest_ns=ingest_ns)

    def _reject(self, message: Message, error: BadInputError, *, row: int = 0, payload: bytes | None = None) -> None:
        self.rejected.append(message.rejected(self._table.name, error, row=row, payload=payload))


def _together(lots: Sequence[Lot]) -> Iterator[list[Lot]]:
    """Neighbours, small ones joined: joining copies, and a native reader is not worth starting for a few documents."""
    waiting: list[Lot] = []
    documents = 0
    for lot in lots:
        waiting.append(lot)
        documents += len(lot)
        if documents >= _LOT_DOCUMENTS:
            yield waiting
            waiting, documents = [], 0
    if waiting:
        yield waiting


def _join_documents(batches: Sequence[tuple[Message, list[bytes]]]) -> Lot:
    counts = [len(documents) for _, documents in batches]
    lines = [document + b"\n" for _, documents in batches for document in documents]
    return _lot([message for message, _ in batches], counts, pa.array(lines, pa.binary()))


def _join_streams(streams: Sequence[Stream]) -> Lot:
    counts = [rows.num_rows for _, rows in streams]
    return _lot([message for message, _ in streams], counts, pa.nulls(sum(counts), pa.binary()))


def _lot(messages: Sequence[Message], counts: Sequence[int], documents: pa.Array) -> Lot:
    which = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    first_rows = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)

    def spread(values: Iterable[int | None]) -> pa.Array:
        return pa.array(values, pa.int64()).take(pa.array(which))

    return Lot(
        numbers=spread(message.number for message in messages),
        documents=documents,
        message_rows=pa.array(np.arange(len(which), dtype=np.int32) - first_rows[which]),
        stream_seqs=spread(message.stream_seq for message in messages),
        server_ns=spread(message.server_ns for message in messages),
        ingest_ns=spread(message.ingest_ns for message in messages),
    )
