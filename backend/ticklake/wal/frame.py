"""One group of messages as one checked frame of bytes, and back. Pure; the layout is drawn in docs/formats/wal.md.

The cost per message is a few C-level copies: the columns of a `MessageGroup` go to disk as they lie in memory,
and the payloads are not copied at all on the way out.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import google_crc32c
import msgspec
import numpy as np

from ticklake.base.errors import UsageError
from ticklake.schema.messages import MessageGroup, Skipped

SECTOR_BYTES = 512  # the smallest piece that any disk of today writes as a whole
FRAME_HEADER_BYTES = 80
MAGIC = b"TLG1"

_HEADER = struct.Struct("<4sBBHQQQqIIIIIIQII")
_COUNT = struct.Struct("<I")
_SEQUENCED = 1  # sections sequences and server_ns are there
_CODED = 2  # section codes is there; without it every message has subject 0

Range = tuple[int, int]

Log = bytes | memoryview
"""Bytes of a segment. Payloads decoded from a view are views of the same memory, not copies."""


class Kind(IntEnum):
    """What a frame is."""

    GROUP = 1
    CLOSE = 2


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The fixed part of a frame, already checked.

    Attributes:
        number: 0 for the first frame of the segment, then 1, 2, ...
        durable_bytes: bytes of the segment that were known to be synced when the frame was written.
        zero_pieces: sectors of the frame that are all zero although they were written.
        end_bytes: offset just behind the frame and its padding.
    """

    kind: Kind
    flags: int
    number: int
    durable_bytes: int
    ingest_ns: int
    incarnation: int
    messages: int
    subjects_bytes: int
    notes_bytes: int
    headers_bytes: int
    zero_pieces: int
    payloads_bytes: int
    body_crc32c: int
    end_bytes: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A good frame.

    Attributes:
        group: its messages; None for a close mark.
        missing: (first, last) sequences that the server no longer had.
        duplicates: messages that were dropped since the frame before because they were stored already.
        skipped: what a filtered consumer passed over on the way to the frame's last message; None when nothing.
        start_bytes: where the frame begins in the segment.
        end_bytes: where the next one begins.
    """

    kind: Kind
    number: int
    group: MessageGroup | None
    missing: tuple[Range, ...]
    duplicates: int
    start_bytes: int
    end_bytes: int
    skipped: Skipped | None = None

    @property
    def size_bytes(self) -> int:
        """Length with header and padding."""
        return self.end_bytes - self.start_bytes


class _Notes(msgspec.Struct, omit_defaults=True):
    missing: list[Range] = []
    duplicates: int = 0
    skipped: Skipped | None = None


def encode_group(
    group: MessageGroup,
    *,
    salt: int,
    number: int,
    at_bytes: int,
    durable_bytes: int,
    missing: Sequence[Range] = (),
    duplicates: int = 0,
    skipped: Skipped | None = None,
    sector_bytes: int = SECTOR_BYTES,
) -> list[bytes]:
    """The frame of `group` as parts to be written one behind the other at offset `at_bytes`.

    Raises:
        UsageError: the columns of the group do not fit together.
    """
    _check_columns(group)
    flags = (_SEQUENCED if group.sequences else 0) | (_CODED if len(group.subjects) > 1 else 0)
    subjects = _encode_blobs((), group.subjects)
    notes = _encode_notes(missing, duplicates, skipped)
    headers = _encode_blobs(tuple(group.headers), tuple(group.headers.values())) if group.headers else b""
    sections = [subjects, notes, headers]
    if flags & _CODED:
        sections.append(_column_bytes(group.subject_codes))
    if flags & _SEQUENCED:
        sections += [_column_bytes(group.sequences), _column_bytes(group.server_ns)]
    sections.append(_column_bytes(group.offsets))
    columns = b"".join(sections)
    parts = [columns, *map(bytes, group.pieces), bytes(-(len(columns) + group.payload_bytes) % 8)]
    header = _encode_header(
        kind=Kind.GROUP,
        flags=flags,
        salt=salt,
        number=number,
        durable_bytes=durable_bytes,
        ingest_ns=group.ingest_ns,
        incarnation=group.incarnation,
        messages=len(group),
        sections_bytes=(len(subjects), len(notes), len(headers), group.payload_bytes),
        zero_pieces=_zero_pieces_written(parts, at_bytes, sector_bytes),
        body_crc32c=_crc32c(parts),
    )
    return [header, *parts]


def encode_close(
    *, salt: int, number: int, durable_bytes: int, missing: Sequence[Range] = (), duplicates: int = 0
) -> list[bytes]:
    """The mark of a graceful end. It proves that everything before it was synced."""
    notes = _encode_notes(missing, duplicates)
    parts = [notes, bytes(-len(notes) % 8)]
    header = _encode_header(
        kind=Kind.CLOSE,
        flags=0,
        salt=salt,
        number=number,
        durable_bytes=durable_bytes,
        ingest_ns=0,
        incarnation=0,
        messages=0,
        sections_bytes=(0, len(notes), 0, 0),
        zero_pieces=0,
        body_crc32c=_crc32c(parts),
    )
    return [header, *parts]


def read_header(data: Log, at_bytes: int, *, salt: int) -> FrameHeader | None:
    """The header at `at_bytes` if its checksum holds and it belongs to the segment with that salt, else None."""
    if len(data) - at_bytes < FRAME_HEADER_BYTES:
        return None
    fields = _HEADER.unpack_from(data, at_bytes)
    magic, kind, flags, _, found_salt, number, durable_bytes, ingest_ns, incarnation, messages = fields[:10]
    subjects_bytes, notes_bytes, headers_bytes, zero_pieces, payloads_bytes, body_crc32c, header_crc32c = fields[10:]
    if magic != MAGIC or found_salt != salt:
        return None
    if google_crc32c.value(bytes(data[at_bytes : at_bytes + FRAME_HEADER_BYTES - 4])) != header_crc32c:
        return None
    body_bytes = subjects_bytes + notes_bytes + headers_bytes + payloads_bytes
    if kind == Kind.GROUP:
        per_message = 4 + (2 if flags & _CODED else 0) + (16 if flags & _SEQUENCED else 0)
        body_bytes += messages * per_message + 4
    end_bytes = at_bytes + FRAME_HEADER_BYTES + body_bytes + -body_bytes % 8
    return FrameHeader(
        kind=Kind(kind),
        flags=flags,
        number=number,
        durable_bytes=durable_bytes,
        ingest_ns=ingest_ns,
        incarnation=incarnation,
        messages=messages,
        subjects_bytes=subjects_bytes,
        notes_bytes=notes_bytes,
        headers_bytes=headers_bytes,
        zero_pieces=zero_pieces,
        payloads_bytes=payloads_bytes,
        body_crc32c=body_crc32c,
        end_bytes=end_bytes,
    )


def is_body_whole(data: Log, at_bytes: int, header: FrameHeader) -> bool:
    """Whether the bytes behind the header are there and match its checksum."""
    if header.end_bytes > len(data):
        return False
    start = at_bytes + FRAME_HEADER_BYTES
    body = np.frombuffer(data, np.uint8, header.end_bytes - start, start)  # the same memory: crc32c takes no views
    return bool(google_crc32c.value(body) == header.body_crc32c)


def decode_frame(data: Log, at_bytes: int, header: FrameHeader) -> Frame:
    """The frame behind a checked header. Call only when `is_body_whole`."""
    at = at_bytes + FRAME_HEADER_BYTES
    _, subjects = _decode_blobs(data, at, header.subjects_bytes, keyed=False)
    at += header.subjects_bytes
    notes = msgspec.json.decode(data[at : at + header.notes_bytes] or b"{}", type=_Notes)
    at += header.notes_bytes
    group = None
    if header.kind is Kind.GROUP:
        indices, blocks = _decode_blobs(data, at, header.headers_bytes, keyed=True)
        group = _decode_columns(
            data, at + header.headers_bytes, header, subjects, dict(zip(indices, blocks, strict=True))
        )
    return Frame(
        kind=header.kind,
        number=header.number,
        group=group,
        missing=tuple(notes.missing),
        duplicates=notes.duplicates,
        skipped=notes.skipped,
        start_bytes=at_bytes,
        end_bytes=header.end_bytes,
    )


def count_zero_pieces(data: bytes, *, start_bytes: int, end_bytes: int, sector_bytes: int) -> int:
    """How many sectors, cut to [start, end), hold nothing but zeros. Offsets count from the start of `data`."""
    count, at = 0, start_bytes
    while at < end_bytes:
        until = min((at // sector_bytes + 1) * sector_bytes, end_bytes)
        count += data.count(b"\0", at, until) == until - at
        at = until
    return count


def _check_columns(group: MessageGroup) -> None:
    messages = len(group)
    sequenced = len(group.sequences)
    if (
        messages == 0
        or sequenced not in (0, messages)
        or len(group.server_ns) != sequenced
        or len(group.offsets) != messages + 1
        or len(group.pieces) not in (1, 2 * messages)
        or group.payload_bytes != sum(map(len, group.pieces))
        or not all(piece[-1:] == b"\n" for piece in group.pieces[1::2] or group.pieces)
        or not group.subjects
    ):
        raise UsageError(
            f"a group of {messages} messages with {sequenced} sequences, {len(group.server_ns)} times and "
            f"{len(group.offsets)} offsets does not fit together; build groups with schema.messages"
        )


def _encode_header(
    *,
    kind: Kind,
    flags: int,
    salt: int,
    number: int,
    durable_bytes: int,
    ingest_ns: int,
    incarnation: int,
    messages: int,
    sections_bytes: tuple[int, int, int, int],
    zero_pieces: int,
    body_crc32c: int,
) -> bytes:
    subjects_bytes, notes_bytes, headers_bytes, payloads_bytes = sections_bytes
    fields = (MAGIC, kind, flags, 0, salt, number, durable_bytes, ingest_ns, incarnation, messages, subjects_bytes)
    rest = (notes_bytes, headers_bytes, zero_pieces, payloads_bytes, body_crc32c)
    checked = _HEADER.pack(*fields, *rest, 0)[:-4]
    return checked + _COUNT.pack(google_crc32c.value(checked))


def _zero_pieces_written(body: Sequence[bytes], at_bytes: int, sector_bytes: int) -> int:
    """Sectors of a frame that are legally all zero, so that a lost sector can be told from an empty one.

    The first piece holds the magic and the last one the final newline, so only whole sectors inside can be zero; such a
    sector takes a long run of zeros from one of the parts, and most frames have none.
    """
    run = bytes(sector_bytes // 8)
    if not any(run in part for part in body):
        return 0
    lead = bytes(at_bytes % sector_bytes)
    frame = b"".join([lead, b"\xff" * FRAME_HEADER_BYTES, *body])
    return count_zero_pieces(frame, start_bytes=len(lead), end_bytes=len(frame), sector_bytes=sector_bytes)


def _crc32c(parts: Sequence[bytes]) -> int:
    crc = 0
    for part in parts:
        crc = google_crc32c.extend(crc, part)
    return crc


def _encode_notes(missing: Sequence[Range], duplicates: int, skipped: Skipped | None = None) -> bytes:
    if not missing and not duplicates and skipped is None:
        return b""
    return msgspec.json.encode(_Notes(missing=list(missing), duplicates=duplicates, skipped=skipped))


def _encode_blobs(keys: Sequence[int], blobs: Sequence[bytes]) -> bytes:
    """Count | keys, if any | lengths | blobs; all numbers u32."""
    numbers = array("I", [len(blobs), *keys, *(len(blob) for blob in blobs)])
    return b"".join([_column_bytes(numbers), *blobs])


def _decode_blobs(data: Log, at: int, size_bytes: int, *, keyed: bool) -> tuple[Sequence[int], tuple[bytes, ...]]:
    if size_bytes == 0:
        return (), ()
    (count,) = _COUNT.unpack_from(data, at)
    width = 2 if keyed else 1
    numbers = _column("I", data, at + 4, width * count)
    keys, lengths = numbers[: len(numbers) - count], numbers[len(numbers) - count :]
    at += 4 + 4 * width * count
    blobs = []
    for length in lengths:
        blobs.append(bytes(data[at : at + length]))
        at += length
    return keys, tuple(blobs)


def _decode_columns(
    data: Log, at: int, header: FrameHeader, subjects: tuple[bytes, ...], headers: Mapping[int, bytes]
) -> MessageGroup:
    messages = header.messages
    codes, sequences, server_ns = array("H", bytes(2 * messages)), array("q"), array("q")
    if header.flags & _CODED:
        codes = _column("H", data, at, messages)
        at += 2 * messages
    if header.flags & _SEQUENCED:
        sequences = _column("q", data, at, messages)
        server_ns = _column("q", data, at + 8 * messages, messages)
        at += 16 * messages
    offsets = _column("I", data, at, messages + 1)
    at += 4 * (messages + 1)
    return MessageGroup(
        incarnation=header.incarnation,
        ingest_ns=header.ingest_ns,
        subjects=subjects,
        subject_codes=codes,
        sequences=sequences,
        server_ns=server_ns,
        headers=headers,
        offsets=offsets,
        pieces=(data[at : at + header.payloads_bytes],),
    )


def _column_bytes(column: array[int]) -> bytes:
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


def _column(typecode: str, data: Log, at: int, count: int) -> array[int]:
    column: array[int] = array(typecode)
    column.frombytes(data[at : at + count * column.itemsize])
    if sys.byteorder == "big":
        column.byteswap()
    return column
