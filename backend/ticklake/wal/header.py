"""The first bytes of a segment: who wrote it, when in the order, and the state that must survive. Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import google_crc32c

from ticklake.wal.frame import SECTOR_BYTES
from ticklake.wal.state import SegmentState, decode_state, encode_state

MAGIC = b"TLWALSEG"
VERSION = 1
FIXED_BYTES = 48

_FIXED = struct.Struct("<8sHHIQQQII")
_CRC = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """Identity and inherited state of a segment.

    Attributes:
        segment: number of the segment; its file name says the same.
        epoch: which start of the process wrote it.
        salt: random, not zero; repeated in every frame, so that bytes of an older file never pass for ours.
        sector_bytes: the piece size by which torn frames are judged.
        state: what must survive when the segments before are gone.
    """

    segment: int
    epoch: int
    salt: int
    sector_bytes: int
    state: SegmentState


def encode_header(header: SegmentHeader) -> bytes:
    """The header, padded with zeros to a multiple of 8 bytes."""
    state = encode_state(header.state)
    padding = bytes(-(FIXED_BYTES + len(state)) % 8)
    header_bytes = FIXED_BYTES + len(state) + len(padding)
    fixed = _FIXED.pack(
        MAGIC,
        VERSION,
        header.sector_bytes,
        header_bytes,
        header.salt,
        header.segment,
        header.epoch,
        len(state),
        0,
    )[:-4]
    crc = google_crc32c.value(fixed + state + padding)
    return fixed + _CRC.pack(crc) + state + padding


def decode_header(data: bytes | memoryview) -> tuple[SegmentHeader, int] | None:
    """The header at the start of `data` and its length, or None when it is cut, damaged or no header at all.

    Raises:
        ValueError: a whole header of a version that this program does not know.
    """
    if len(data) < FIXED_BYTES:
        return None
    magic, version, sector_bytes, header_bytes, salt, segment, epoch, state_bytes, crc = _FIXED.unpack_from(data)
    if magic != MAGIC or not FIXED_BYTES + state_bytes <= header_bytes <= len(data):
        return None
    if google_crc32c.value(bytes(data[: FIXED_BYTES - 4]) + bytes(data[FIXED_BYTES:header_bytes])) != crc:
        return None
    if version != VERSION:
        raise ValueError(f"WAL version {version}; this program reads version {VERSION}: use the one that wrote it")
    state = decode_state(bytes(data[FIXED_BYTES : FIXED_BYTES + state_bytes]))
    return SegmentHeader(segment, epoch, salt, sector_bytes or SECTOR_BYTES, state), header_bytes
