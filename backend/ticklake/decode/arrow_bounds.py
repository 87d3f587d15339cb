"""Bounds on what an Arrow stream may unfold into, checked before it is read.

A few bytes of Arrow can stand for gigabytes: compressed bodies, null columns of any length, a long string shared by a
million rows. One such message must cost no more than its own size, times a small factor.
"""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.compute as pc

from ticklake.decode.rejected import BadInputError, Reason

_RECORD_BATCH = "record batch"
_HEADER = 2  # fields of the flatbuffer table `Message`
_LENGTH, _COMPRESSION = 0, 3  # fields of the flatbuffer table `RecordBatch`

UNFOLDED_BYTES_MAX = 64 * 2**20
"""Most bytes the shared strings of one column may unfold into."""


def check_messages(payload: pa.Buffer, *, rows_max: int) -> None:
    """Look at the headers of a stream without reading the bodies.

    Raises:
        BadInputError: too many rows, or compressed.
        pa.ArrowException: it is no Arrow stream.
    """
    rows = 0
    reader = pa.ipc.MessageReader.open_stream(payload)
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        if message.type != _RECORD_BATCH:
            continue
        batch = _FlatTable.root(message.metadata.to_pybytes()).table(_HEADER)
        if batch.has(_COMPRESSION):
            raise BadInputError(Reason.BAD_ARROW, "the stream is compressed; publish it uncompressed")
        rows += batch.int64(_LENGTH)
        if rows > rows_max:
            raise BadInputError(Reason.TOO_LARGE, f"a batch of more than {rows_max} rows")


def check_type(kind: pa.DataType, key: str, *, is_nested: bool = False) -> None:
    """Refuse types whose values share bytes or have none, where they may not.

    Raises:
        BadInputError: a type we do not read.
    """
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind):
        check_type(kind.value_type, key, is_nested=True)
    elif types.is_struct(kind):
        for field in kind:
            check_type(field.type, key, is_nested=True)
    elif types.is_dictionary(kind) and not is_nested:
        check_type(kind.value_type, key, is_nested=True)
    elif (types.is_primitive(kind) or types.is_decimal(kind)) or any(kind == known for known in _BYTES):
        return
    elif not types.is_null(kind) or is_nested:
        raise BadInputError(Reason.BAD_ARROW, f"a column of {kind} is not read", f"$.{key}")


def check_dictionary(values: pa.ChunkedArray, key: str) -> None:
    """Refuse dictionaries whose words unfold into too much.

    Raises:
        BadInputError: they do.
    """
    if any(values.type.value_type == kind for kind in _BYTES):
        words = (pc.binary_length(chunk.dictionary).take(chunk.indices) for chunk in values.chunks)
        if sum(pc.sum(lengths.cast(pa.int64())).as_py() or 0 for lengths in words) > UNFOLDED_BYTES_MAX:
            raise BadInputError(Reason.TOO_LARGE, f"strings of more than {UNFOLDED_BYTES_MAX} bytes", f"$.{key}")


_BYTES = (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())


class _FlatTable:
    """Just enough of a flatbuffer table to read one field; the reader of messages has verified the bytes."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at
        self._fields = at - struct.unpack_from("<i", content, at)[0]

    @classmethod
    def root(cls, content: bytes) -> _FlatTable:
        return cls(content, struct.unpack_from("<I", content)[0])

    def has(self, field: int) -> bool:
        return self._offset(field) != 0

    def int64(self, field: int) -> int:
        if not self.has(field):
            return 0
        found: int = struct.unpack_from("<q", self._content, self._at + self._offset(field))[0]
        return found

    def table(self, field: int) -> _FlatTable:
        at = self._at + self._offset(field)
        return _FlatTable(self._content, at + struct.unpack_from("<I", self._content, at)[0])

    def _offset(self, field: int) -> int:
        """Where a field lies in the table; 0 when it is absent."""
        place = 4 + 2 * field
        if place >= struct.unpack_from("<H", self._content, self._fields)[0]:
            return 0
        offset: int = struct.unpack_from("<H", self._content, self._fields + place)[0]
        return offset
