"""The fast lane reads the same bytes as the stock parser and must see the same messages, however the bytes are cut."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from ticklake.ingest.client import LakeClient, why_no_fast_lane
from ticklake.ingest.intake import Intake
from ticklake.ingest.lane_parser import LaneParser

Event = tuple[Any, ...]
LANE = 7


@dataclass
class Recorder:
    """Stands where the client stands behind a parser, and writes down what it is handed."""

    events: list[Event] = field(default_factory=list)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        self.events.append(("msg", sid, bytes(subject), bytes(reply), headers or b"", bytes(data)))

    async def _process_ping(self) -> None:
        self.events.append(("ping",))

    async def _process_pong(self) -> None:
        self.events.append(("pong",))

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.events.append(("info", info))

    async def _process_err(self, text: str) -> None:
        self.events.append(("err", text))


def stock(chunks: list[bytes]) -> list[Event]:
    recorder = Recorder()
    parser = Parser(recorder)

    async def feed() -> None:
        for chunk in chunks:
            await parser.parse(chunk)

    asyncio.run(feed())
    return recorder.events


def fast(chunks: list[bytes], *, is_core: bool = False) -> tuple[list[Event], list[Event], bytes]:
    """What the client was handed, what the lane took, and what is left over."""
    recorder = Recorder()

    async def feed() -> tuple[Intake, bytes]:
        intake = Intake(bytes_max=1_000_000 if is_core else None)
        parser = LaneParser(recorder, {str(LANE).encode(): intake}, run_min=4)  # type: ignore[arg-type]
        for chunk in chunks:
            await parser.parse(chunk)
            assert intake.arrived.is_set() or not intake.messages
        return intake, bytes(parser.buf)

    intake, rest = asyncio.run(feed())
    lane = [
        ("msg", LANE, subject, reply, header or b"", payload)
        for subject, reply, header, payload in intake.take().messages()
    ]
    return recorder.events, lane, rest


def cut(stream: bytes, points: list[int]) -> list[bytes]:
    edges = sorted({0, len(stream), *(point % (len(stream) + 1) for point in points)})
    return [stream[start:stop] for start, stop in pairwise(edges)] or [b""]


def assert_same(chunks: list[bytes], *, is_core: bool = False) -> None:
    expected = stock(chunks)
    others, lane, rest = fast(chunks, is_core=is_core)
    assert lane == [event for event in expected if event[:2] == ("msg", LANE)]
    assert others == [event for event in expected if event[:2] != ("msg", LANE)]
    assert rest == b""


def frame(sid: int, subject: bytes, reply: bytes, header: bytes, payload: bytes) -> bytes:
    words = [subject, b"%d" % sid, *([reply] if reply else [])]
    if header:
        words = [b"HMSG", *words, b"%d" % len(header), b"%d" % (len(header) + len(payload))]
    else:
        words = [b"MSG", *words, b"%d" % len(payload)]
    return b" ".join(words) + b"\r\n" + header + payload + b"\r\n"


WORDS = st.binary(min_size=1, max_size=8).map(lambda raw: b"s" + raw.translate(None, b" \r\n\t\x0b\x0c\x00"))
HEADERS = st.sampled_from([b"", b"NATS/1.0\r\n\r\n", b"NATS/1.0 503\r\nStatus: 404\r\n\r\n", b"\xff\xfe\r\n garbage"])
PAYLOADS = st.binary(max_size=30) | st.sampled_from([b"\r\n", b"MSG a 7 5\r\nhello\r\n", b"PING\r\n", b"\r\nMSG"])
FRAMES = st.builds(frame, st.sampled_from([LANE, LANE, 3]), WORDS, st.just(b"") | WORDS, HEADERS, PAYLOADS)
CONTROL = st.sampled_from(
    [b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b'INFO {"a":1}\r\n', b"-ERR 'Permissions Violation'\r\n"]
)


@settings(max_examples=300, deadline=None)
@given(
    parts=st.lists(FRAMES | FRAMES | FRAMES | CONTROL, max_size=12),
    points=st.lists(st.integers(0, 2000), max_size=12),
    is_core=st.booleans(),
)
def test_any_stream_in_any_pieces_means_the_same_to_both_parsers(
    parts: list[bytes], points: list[int], is_core: bool
) -> None:
    assert_same(cut(b"".join(parts), points), is_core=is_core)


def test_a_cut_at_every_byte_changes_nothing() -> None:
    stream = (
        frame(LANE, b"market.a", b"$JS.ACK.s.c.1.1.1.1.0", b"", b'{"a":1}')
        + b"PING\r\n"
        + frame(LANE, b"market.b", b"$JS.ACK.s.c.1.2.2.1.0", b"NATS/1.0\r\nA: b\r\n\r\n", b"MSG x 7 3\r\n")
        + frame(3, b"_INBOX.x", b"", b"", b"an answer")
        + frame(LANE, b"market.\xff", b"", b"", b"")
        + b"PONG\r\n"
    )
    for at in range(len(stream) + 1):
        assert_same([stream[:at], stream[at:]])
    assert_same([stream[at : at + 1] for at in range(len(stream))])


def test_a_large_message_in_many_pieces_arrives_whole() -> None:
    payload = bytes(range(256)) * 4096
    stream = frame(LANE, b"m", b"r", b"", payload) + frame(LANE, b"m", b"r", b"", b"next")
    _, lane, rest = fast([stream[at : at + 1000] for at in range(0, len(stream), 1000)])
    assert [event[-1] for event in lane] == [payload, b"next"]
    assert rest == b""


@pytest.mark.parametrize(
    "line",
    [
        b"MSG\r\n",
        b"MSG a\r\n",
        b"MSG a 7\r\n",
        b"MSG a 7 x\r\n",
        b"MSG a 7 -40\r\n",
        b"MSG a 7 \r\n",
        b"HMSG a 7 5\r\nhello\r\n",
        b"HMSG a 7 9 5\r\nhello\r\n",
        b"HMSG a 7 -1 5\r\nhello\r\n",
        b"HMSG a 7 x 5\r\nhello\r\n",
        b"MSG a 7 99999999999999999999999999999999 x\r\n",
        b"HELLO\r\n",
        b"GET / HTTP/1.1\r\n",
        b"x" * 70_000,
    ],
    ids=lambda line: repr(line[:24]),
)
def test_what_is_no_nats_is_refused_and_never_read_as_a_message(line: bytes) -> None:
    good = frame(LANE, b"m", b"r", b"", b"before")
    with pytest.raises(ProtocolError):
        fast([good + line])


def test_a_frame_that_is_not_yet_whole_waits_and_a_reset_forgets_it() -> None:
    async def feed() -> list[bytes]:
        intake = Intake()
        parser = LaneParser(Recorder(), {b"7": intake})  # type: ignore[arg-type]
        await parser.parse(b"MSG m 7 r 1000\r\nhalf")
        assert not intake.messages
        parser.reset()  # the connection broke
        await parser.parse(frame(LANE, b"m", b"r", b"", b"after"))
        return [payload for *_, payload in intake.take().messages()]

    assert asyncio.run(feed()) == [b"after"]


def test_the_fast_lane_is_in_use_with_the_installed_client() -> None:
    assert why_no_fast_lane() is None
    assert isinstance(LakeClient()._ps, LaneParser)
    off = LakeClient(fast_lane=False)
    assert (off.stock_reason, type(off._ps)) == ("switched off", Parser)


def test_another_version_of_the_client_falls_back_to_its_own_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticklake.ingest.client.client_version", "2.99.0")
    client = LakeClient()
    assert client.stock_reason is not None
    assert "2.99 is not among the tested" in client.stock_reason
    assert type(client._ps) is Parser


def test_a_client_of_another_shape_falls_back_to_its_own_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    async def parse(self: Parser, chunk: bytes = b"") -> None: ...

    monkeypatch.setattr(Parser, "parse", parse)
    assert why_no_fast_lane() == "the client's parser has another shape"
    monkeypatch.undo()

    async def process(self: Client, message: Any) -> None: ...

    monkeypatch.setattr(Client, "_process_msg", process)
    assert why_no_fast_lane() == "the client's message hook has another shape"
