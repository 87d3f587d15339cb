"""Long runs of plain frames are cut up at once: the same messages as frame by frame, whatever the payloads hold."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from ticklake.ingest.intake import Intake
from ticklake.ingest.lane_parser import LaneParser

SID = b"7"
Message = tuple[bytes, bytes, bytes]

PIECES = st.sampled_from(
    [
        b"{}",
        b'{"price":1}',
        b"\r\n",
        b"MSG a 7 $JS.ACK.b 2",
        b"MSG MSG 7 7 7",
        b"\r\nMSG a 7 r 0\r\n",
        b"\r",
        b"\n",
        b"PING\r\n",
    ]
)
PAYLOADS = st.one_of(st.just(b'{"price":6000.25,"size":3}'), st.lists(PIECES, max_size=4).map(b"".join), st.binary())
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from([b"market.a", b"MSG", b"7"]), st.sampled_from([b"$JS.ACK.S.c.1.5.5.9.0", b"7"]), PAYLOADS
    ),
    min_size=1,
    max_size=40,
)


def frame(message: Message) -> bytes:
    subject, reply, payload = message
    return b"MSG %s %s %s %d\r\n%s\r\n" % (subject, SID, reply, len(payload), payload)


def taken(wire: bytes, cuts: list[int]) -> tuple[list[Message], Intake]:
    """What a lane gets when the bytes arrive in pieces."""
    intake = Intake()
    parser = LaneParser(Client(), {SID: intake})

    async def feed() -> None:
        edges = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
        for start, end in pairwise(edges):
            await parser.parse(wire[start:end])

    asyncio.run(feed())
    assert not parser.buf
    return list(zip(intake.subjects, intake.replies, intake.payloads, strict=True)), intake


@settings(max_examples=300, deadline=None)
@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 4000), max_size=6))
def test_runs_of_any_payloads_arrive_as_sent_however_they_are_cut(messages: list[Message], cuts: list[int]) -> None:
    got, intake = taken(b"".join(map(frame, messages)), cuts)
    assert got == messages
    assert (intake.frames, intake.payload_bytes) == (len(messages), sum(len(payload) for _, _, payload in messages))


def test_a_long_run_that_ends_within_a_frame_keeps_the_rest_for_later() -> None:
    messages = [(b"market.a", b"$JS.ACK.S.c.1.%d.%d.9.0" % (n, n), b'{"n":%d}' % n) for n in range(1000)]
    wire = b"".join(map(frame, messages))
    for cut in (len(wire) - 1, len(wire) - 2, len(wire) - 5, len(wire) - 20, len(wire) - 50, len(wire) // 2):
        got, _ = taken(wire, [cut])
        assert got == messages


def test_a_run_with_a_frame_of_another_subscription_or_with_headers_is_taken_frame_by_frame() -> None:
    plain = frame((b"market.a", b"r", b"{}"))
    header = b"NATS/1.0\r\nA: b\r\n\r\n"
    with_header = b"HMSG market.a 7 r %d %d\r\n%s{}\r\n" % (len(header), len(header) + 2, header)
    without_reply = b"MSG market.a 7 2\r\n{}\r\n"
    wire = plain * 5 + with_header + plain * 5 + without_reply + plain * 5
    got, intake = taken(wire, [])
    assert [payload for _, _, payload in got] == [b"{}"] * 17
    assert intake.headers == {5: header}
    assert intake.replies[11] == b""
