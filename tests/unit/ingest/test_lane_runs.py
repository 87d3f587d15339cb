"""Long runs of plain frames are cut up at once: the same messages as frame by frame, whatever the payloads hold."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from ticklake.ingest.group import build_group
from ticklake.ingest.intake import Intake, Taken
from ticklake.ingest.lane_parser import LaneParser
from ticklake.ingest.run import Run, cut_run

SID = b"7"
FEW = 8  # so that short runs are runs, too
Message = tuple[bytes, bytes, bytes]
Got = tuple[bytes, bytes, bytes | None, bytes]

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


def plain(messages: list[Message]) -> list[Got]:
    return [(subject, reply, None, payload) for subject, reply, payload in messages]


def taken(wire: bytes, cuts: list[int]) -> tuple[Taken, Intake]:
    """What a lane gets when the bytes arrive in pieces."""
    intake = Intake()
    parser = LaneParser(Client(), {SID: intake}, run_min=FEW)

    async def feed() -> None:
        edges = [0, *sorted(cut for cut in cuts if cut < len(wire)), len(wire)]
        for start, end in pairwise(edges):
            await parser.parse(wire[start:end])

    asyncio.run(feed())
    assert not parser.buf
    return intake.take(), intake


@settings(max_examples=300, deadline=None)
@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 4000), max_size=6))
def test_runs_of_any_payloads_arrive_as_sent_however_they_are_cut(messages: list[Message], cuts: list[int]) -> None:
    got, intake = taken(b"".join(map(frame, messages)), cuts)
    assert list(got.messages()) == plain(messages)
    assert (intake.frames, got.payload_bytes) == (len(messages), sum(len(payload) for _, _, payload in messages))


@settings(max_examples=300, deadline=None)
@given(messages=MESSAGES, cuts=st.lists(st.integers(1, 4000), max_size=6))
def test_a_group_of_runs_is_the_group_of_its_messages(messages: list[Message], cuts: list[int]) -> None:
    got, _ = taken(b"".join(map(frame, messages)), cuts)
    group = build_group(got, range(len(got)), 1, 2, np.empty(0, np.int64), np.empty(0, np.int64))
    assert [(group.subjects[code], group.payload(i)) for i, code in enumerate(group.subject_codes)] == [
        (subject, payload) for subject, _, payload in messages
    ]
    assert got.reply_lines() == b"".join(reply + b"\n" for _, reply, _ in messages)


def test_a_long_run_that_ends_within_a_frame_keeps_the_rest_for_later() -> None:
    messages = [(b"market.a", b"$JS.ACK.S.c.1.%d.%d.9.0" % (n, n), b'{"n":%d}' % n) for n in range(1000)]
    wire = b"".join(map(frame, messages))
    for cut in (len(wire) - 1, len(wire) - 2, len(wire) - 5, len(wire) - 20, len(wire) - 50, len(wire) // 2):
        got, _ = taken(wire, [cut])
        assert list(got.messages()) == plain(messages)
        assert any(isinstance(part, Run) for part in got.parts)


def test_a_run_with_a_frame_of_another_subscription_or_with_headers_is_taken_frame_by_frame() -> None:
    one = frame((b"market.a", b"r", b"{}"))
    header = b"NATS/1.0\r\nA: b\r\n\r\n"
    with_header = b"HMSG market.a 7 r %d %d\r\n%s{}\r\n" % (len(header), len(header) + 2, header)
    without_reply = b"MSG market.a 7 2\r\n{}\r\n"
    wire = one * 9 + with_header + one * 9 + without_reply + one * 9
    got = list(taken(wire, [])[0].messages())
    assert [payload for *_, payload in got] == [b"{}"] * 29
    assert [index for index, (_, _, found, _) in enumerate(got) if found == header] == [9]
    assert [index for index, (_, reply, _, _) in enumerate(got) if not reply] == [19]


def test_sizes_of_one_two_and_three_digits_stay_apart() -> None:
    """Each header is held against its own payload: a size that is right for another message is wrong here."""
    messages = [(b"market.a", b"r", b"x" * size) for size in (0, 9, 10, 99, 100, 101, 5, 50, 500, 0, 7)]
    got, _ = taken(b"".join(map(frame, messages)), [])
    assert list(got.messages()) == plain(messages)
    assert isinstance(got.parts[0], Run)
    wrong = b"".join(map(frame, messages)).replace(b" 101\r\n", b" 111\r\n")
    assert cut_run(wrong, SID, at_least=FEW) is None
