"""Bytes of a segment to frames, and the judgement at the first bad one: torn tail or damage. Pure.

A frame that was never synced may be lost in any way a disk can lose it, and nobody was promised anything: that is a
torn tail, cut and counted. A frame that was synced and is bad now is damage: a person decides. The rules that tell them
apart, first match wins:

1. the next segment states that more bytes of this one were synced than are good: damage;
2. a good frame header further on states the same: damage;
3. the frame ends behind the end of the file: torn;
4. more of its sectors are all zero than were written as zeros: torn (they never reached the disk);
5. anything else: damage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import google_crc32c

from ticklake.wal.frame import (
    FRAME_HEADER_BYTES,
    MAGIC,
    Frame,
    FrameHeader,
    Kind,
    Log,
    count_zero_pieces,
    decode_frame,
    is_body_whole,
    read_header,
)
from ticklake.wal.header import FIXED_BYTES, SegmentHeader, decode_header

_HEADER_PIECE_BYTES = 16  # no such piece of a written header is all zero, whatever its sector size was
_NAME = re.compile(r"(\d{12})\.wal")


class Tail(Enum):
    """How a scan ended."""

    CLEAN = "clean"
    TORN = "torn"  # a write that was never synced: cut it off and go on
    CORRUPT = "corrupt"  # synced, yet bad or gone: stop


@dataclass(frozen=True, slots=True)
class SegmentScan:
    """The good frames of a segment, and where and why they end.

    Attributes:
        header: None when the header itself is torn (the segment then never held anything) or damaged.
        frames: good frames from the first on, without a gap.
        valid_bytes: where the good part ends.
        tail: what follows there.
        reason: why the tail is not clean, for people.
        is_closed: whether the segment ends with the mark of a graceful end.
    """

    header: SegmentHeader | None
    frames: tuple[Frame, ...]
    valid_bytes: int
    tail: Tail
    reason: str = ""
    is_closed: bool = False

    @property
    def duplicates(self) -> int:
        """Dropped duplicates that the segment counts, those carried over from before included."""
        carried = self.header.state.duplicates if self.header else 0
        return carried + sum(frame.duplicates for frame in self.frames)


def segment_name(number: int) -> str:
    """File name of a segment."""
    return f"{number:012d}.wal"


def segment_number(name: str) -> int | None:
    """Number of the segment of that file name; None when it is no segment's name."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def scan(data: Log, *, expected_bytes: int = 0) -> SegmentScan:
    """The longest good prefix of a segment. Never raises on bad bytes.

    Args:
        data: all bytes of the segment file; of a read-only view, payloads are views too, not copies.
        expected_bytes: how many of them the next segment says were synced; 0 when it says nothing.
    """
    try:
        decoded = decode_header(data)
    except ValueError as error:
        return SegmentScan(None, (), 0, Tail.CORRUPT, str(error))
    if decoded is None:
        tail, reason = _judge_header(bytes(data), expected_bytes)
        return SegmentScan(None, (), 0, tail, reason)
    header, at = decoded
    frames: list[Frame] = []
    is_closed = False
    while at < len(data) and not is_closed:
        found = read_header(data, at, salt=header.salt)
        if found is None or found.number != len(frames) or not is_body_whole(data, at, found):
            break
        frames.append(decode_frame(data, at, found))
        is_closed = found.kind is Kind.CLOSE
        at = found.end_bytes
    tail, reason = Tail.CLEAN, ""
    if at < len(data) or at < expected_bytes:
        tail, reason = _judge_frame(bytes(data), at, header, expected_bytes, is_closed=is_closed)
    return SegmentScan(header, tuple(frames), at, tail, reason, is_closed)


def find_frames(data: bytes, from_bytes: int, *, salt: int | None = None) -> Iterator[tuple[int, FrameHeader]]:
    """Every frame header with a good checksum at or after `from_bytes`; with `salt`, only of that segment."""
    at = data.find(MAGIC, from_bytes)
    while at >= 0:
        found_salt = int.from_bytes(data[at + 8 : at + 16], "little")
        if salt in (None, found_salt) and (found := read_header(data, at, salt=found_salt)):
            yield at, found
        at = data.find(MAGIC, at + 1)


def _judge_header(data: bytes, expected_bytes: int) -> tuple[Tail, str]:
    """A header is synced before the first frame is written: with a frame behind it, it cannot be torn."""
    if expected_bytes:
        return Tail.CORRUPT, "the header is bad although the next segment knew it was synced"
    if next(find_frames(data, 0), None):
        return Tail.CORRUPT, "the header is bad although frames follow it"
    header_bytes = int.from_bytes(data[12:16], "little")
    zeros = count_zero_pieces(data, start_bytes=0, end_bytes=len(data), sector_bytes=_HEADER_PIECE_BYTES)
    if len(data) < max(header_bytes, FIXED_BYTES) or zeros:
        return Tail.TORN, "the header never reached the disk; the segment holds nothing"
    return Tail.CORRUPT, "the header is whole, yet its checksum does not match"


def _judge_frame(
    data: bytes, at: int, header: SegmentHeader, expected_bytes: int, *, is_closed: bool
) -> tuple[Tail, str]:
    if at < expected_bytes:
        return Tail.CORRUPT, f"the next segment knew {expected_bytes} bytes to be synced"
    if is_closed:
        return Tail.CORRUPT, "bytes follow the mark of a graceful end"
    for later, found in find_frames(data, at + 1, salt=header.salt):
        if found.durable_bytes > at:
            return Tail.CORRUPT, f"the frame at byte {later} knew {found.durable_bytes} bytes to be synced"
    found_here = read_header(data, at, salt=header.salt)
    if len(data) - at < FRAME_HEADER_BYTES or (found_here and found_here.end_bytes > len(data)):
        return Tail.TORN, "the frame ends behind the end of the file"
    end = found_here.end_bytes if found_here else at + FRAME_HEADER_BYTES
    zeros = count_zero_pieces(data, start_bytes=at, end_bytes=end, sector_bytes=header.sector_bytes)
    if zeros > (found_here.zero_pieces if found_here else 0):
        return Tail.TORN, "sectors of the frame never reached the disk"
    if found_here and is_body_whole(data, at, found_here):
        return Tail.CORRUPT, f"frame {found_here.number} is out of order"
    return Tail.CORRUPT, "the frame is whole, yet its checksum does not match"


def payload_crc32c(payload: bytes) -> int:
    """Checksum by which a message is recognised when its sequence may have been used twice."""
    return int(google_crc32c.value(payload))
