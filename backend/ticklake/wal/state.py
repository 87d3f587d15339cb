"""What must survive when older segments go: whose log this is, which life of the stream, how far we are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Incarnation:
    """One life of a stream. Sequences are only comparable inside one.

    Attributes:
        number: 0 before a stream was ever seen and for core NATS, then 1, 2, ...
        created_ns: when the server says the stream was created, UTC ns.
        reason: why this incarnation began: `first`, `recreated`, `sequence_reused`, ...
    """

    number: int = 0
    created_ns: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """The last message that is durable with us.

    Attributes:
        incarnation: number of the stream's life that `sequence` belongs to.
        sequence: stream sequence; 0: no message of this incarnation yet, begin after `server_ns`.
        server_ns: the server's receive time of that message, UTC ns; 0: begin with the first message.
        payload_crc32c: checksum of its payload.
    """

    incarnation: int = 0
    sequence: int = 0
    server_ns: int = 0
    payload_crc32c: int = 0


@dataclass(frozen=True, slots=True)
class Previous:
    """What a segment knows about the one before it: everything up to `valid_bytes` was synced."""

    segment: int
    valid_bytes: int


@dataclass(frozen=True, slots=True)
class SegmentState:
    """The JSON part of a segment header.

    Attributes:
        lane: lower-case name of the stream.
        stream: name of the stream.
        incarnation: the one life of the stream that this segment's messages belong to.
        position: reached before the first group of this segment.
        previous: the segment before, if this one came by rotation.
        seen: (first, last, newest server time) ranges of durable sequences; only for work-queue streams.
        duplicates: dropped duplicates that no earlier segment has counted.
        tracks_seen: every durable sequence is kept, because the stream cannot be read again from a position.
        repaired: damage was cut out; what the next segment says about the length no longer holds.
    """

    lane: str
    stream: str
    incarnation: Incarnation = Incarnation()
    position: Position = Position()
    previous: Previous | None = None
    seen: tuple[tuple[int, int, int], ...] = ()
    duplicates: int = 0
    repaired: bool = False
    tracks_seen: bool = False


def encode_state(state: SegmentState) -> bytes:
    """The state as JSON, fields in a fixed order."""
    return msgspec.json.encode(state)


def decode_state(content: bytes) -> SegmentState:
    """The state from JSON.

    Raises:
        ValueError: not what `encode_state` writes.
    """
    try:
        return msgspec.json.decode(content, type=SegmentState)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"segment state: {error}") from error
