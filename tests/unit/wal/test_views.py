"""A segment read as a view is what it is as bytes, and its payloads stay where they are."""

from __future__ import annotations

from ticklake.schema.messages import MessageGroup
from ticklake.testing.messages import group_messages
from ticklake.wal.frame import encode_close, encode_group
from ticklake.wal.header import SegmentHeader, encode_header
from ticklake.wal.segment import Tail, scan
from ticklake.wal.state import SegmentState

SECTOR_BYTES = 64


def group() -> MessageGroup:
    """Two messages, one of them with headers and with sectors of nothing but zeros."""
    messages = [(b"a.b", b"NATS/1.0\r\nA: b\r\n\r\n", b'{"a":1}'), (b"a.c", None, bytes(500))]
    return group_messages(messages, incarnation=1, ingest_ns=5, sequences=[7, 9], server_ns=[1, 2])


def segment() -> bytes:
    state = SegmentState(lane="market_data", stream="MARKET_DATA")
    parts = [encode_header(SegmentHeader(1, 1, 77, SECTOR_BYTES, state))]
    parts += encode_group(
        group(), salt=77, number=0, at_bytes=len(parts[0]), durable_bytes=len(parts[0]), sector_bytes=SECTOR_BYTES
    )
    return b"".join([*parts, *encode_close(salt=77, number=1, durable_bytes=0)])


def test_a_view_holds_the_frames_that_the_bytes_hold() -> None:
    content = segment()
    for end in range(len(content) + 1):
        assert scan(memoryview(content)[:end]) == scan(content[:end])
    assert scan(memoryview(content)).tail is Tail.CLEAN


def test_payloads_of_a_view_are_not_copied() -> None:
    content = segment()
    found = scan(memoryview(content)).frames[0].group
    assert found is not None
    assert isinstance(found.payloads, memoryview)
    assert found.payloads.obj is content
    assert [found.payload(0), found.payload(1)] == [b'{"a":1}', bytes(500)]
    assert all(type(part) is bytes for part in (found.payload(0), *found.subjects, *found.headers.values()))


def test_a_group_from_a_view_is_logged_as_it_was() -> None:
    found = scan(memoryview(segment())).frames[0].group
    assert found is not None
    place = {"salt": 5, "number": 3, "at_bytes": 64, "durable_bytes": 64, "sector_bytes": SECTOR_BYTES}
    assert encode_group(found, **place) == encode_group(group(), **place)
