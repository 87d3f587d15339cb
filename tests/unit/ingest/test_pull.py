"""Asking for messages: the window, the brake, and answers that are not messages."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.ingest.intake import Intake
from ticklake.ingest.pull import PullSession, parse_status
from ticklake.testing.clock import ManualClock


class Asked:
    """A wire that remembers what was asked; nothing answers."""

    generation = 0
    inbox_prefix = "_I"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.limits_bytes: list[int | None] = []

    async def wait_connected(self, timeout_s: float) -> bool:
        return True

    async def request(self, subject: str, payload: bytes) -> bytes:
        raise AssertionError("a pull session only publishes")

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        assert subject == "$JS.API.CONSUMER.MSG.NEXT.S.c"
        assert reply.startswith("_I.x.")
        ask = msgspec.json.decode(payload)
        self.batches.append(ask["batch"])
        self.limits_bytes.append(ask.get("max_bytes"))

    async def attach(self, subject: str, intake: Intake) -> int:
        raise AssertionError("attached by the feed")

    async def detach(self, number: int) -> None:
        raise AssertionError("detached by the feed")


def session() -> tuple[PullSession, Asked, Intake]:
    wire, intake = Asked(), Intake(inbox_prefix=b"_I.x")
    return PullSession(wire, intake, stream="S", consumer="c", inbox="_I.x", clock=ManualClock()), wire, intake


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 4\r\n\r\n", (100, "Idle Heartbeat", None)),
        (b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 12\r\n\r\n", (408, "Request Timeout", 12)),
        (b"NATS/1.0 408 Request Timeout\r\nnats-pending-messages:12\r\n\r\n", (408, "Request Timeout", 12)),
        (b"NATS/1.0 409 Consumer Deleted\r\n\r\n", (409, "Consumer Deleted", None)),
        (b"NATS/1.0 503\r\n\r\n", (503, "", None)),
        (b"NATS/1.0\r\n\r\n", (0, "", None)),
        (b"", (0, "", None)),
        (b"NATS/1.0 -1 x\r\n", (0, "x", None)),
        (b"NATS/1.0 408 x\r\nNats-Pending-Messages: many\r\n", (408, "x", None)),
        (b"NATS/1.0 409 \xff\xfe\r\n", (409, "\ufffd\ufffd", None)),
    ],
)
def test_a_status_is_a_code_a_text_and_what_it_takes_back(header: bytes, expected: tuple[int, str, int | None]) -> None:
    assert parse_status(header) == expected


@given(st.binary() | st.binary().map(lambda noise: b"NATS/1.0 " + noise))
def test_garbage_is_some_status_and_never_an_exception(header: bytes) -> None:
    code, _, pending = parse_status(header)
    assert code >= 0
    assert pending is None or pending >= 0


async def test_we_ask_anew_when_half_of_the_window_is_used_up() -> None:
    pull, wire, _ = session()
    await pull.top_up()
    await pull.top_up()
    assert wire.batches == [256]
    pull.received(128, 128 * 200)
    await pull.top_up()
    assert pull.asked == 128 + wire.batches[-1]
    assert wire.batches[-1] == 512 - 128, "the window doubled and was filled"


async def test_the_window_grows_to_its_limit_and_large_messages_shrink_it() -> None:
    pull, _, _ = session()
    for _ in range(12):
        await pull.top_up()
        pull.received(pull.asked, pull.asked * 100)
    await pull.top_up()
    assert pull.asked == 20_000
    pull.received(pull.asked, pull.asked * 1024 * 1024)
    await pull.top_up()
    assert pull.asked == 16, "16 MiB may be on their way"


async def test_an_expired_request_gives_its_messages_back_and_a_heartbeat_nothing() -> None:
    pull, wire, intake = session()
    await pull.top_up()
    intake.add(b"_I.x.1", b"", b"NATS/1.0 100 Idle Heartbeat\r\n\r\n", b"")
    assert (pull.read_statuses(), pull.asked) == (None, 256)
    intake.add(b"_I.x.1", b"", b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 200\r\n\r\n", b"")
    assert (pull.read_statuses(), pull.asked) == (None, 56)
    await pull.top_up()
    assert wire.batches == [256, 200]
    intake.add(b"_I.x.2", b"", b"NATS/1.0 404 No Messages\r\n\r\n", b"")
    assert (pull.read_statuses(), pull.asked) == (None, 0)


async def test_a_message_that_is_larger_than_a_request_may_bring_is_asked_for_alone() -> None:
    pull, wire, intake = session()
    await pull.top_up()
    assert wire.limits_bytes == [32 * 1024 * 1024], "256 messages of 8 MiB would be 2 GiB"
    pull.received(6, 6_000)
    intake.add(
        b"_I.x.1",
        b"",
        b"NATS/1.0 409 Message Size Exceeds MaxBytes\r\nNats-Pending-Messages: 250\r\nNats-Pending-Bytes: 9\r\n\r\n",
        b"",
    )
    assert (pull.read_statuses(), pull.asked) == (None, 0), "the rest of the request is given back"
    await pull.top_up()
    assert (wire.batches[1], wire.limits_bytes[1]) == (1, None), "whatever its size"
    assert wire.limits_bytes[2:] == [32 * 1024 * 1024]
    assert pull.asked == sum(wire.batches[1:])
    await pull.top_up()
    assert len(wire.batches) == 3


async def test_a_request_that_brought_all_its_messages_is_no_fault() -> None:
    pull, wire, intake = session()
    await pull.top_up()
    pull.received(wire.batches[0], 1_000)
    intake.add(
        b"_I.x.1",
        b"",
        b"NATS/1.0 409 Batch Completed\r\nNats-Pending-Messages: 0\r\nNats-Pending-Bytes: 33000000\r\n\r\n",
        b"",
    )
    assert (pull.read_statuses(), pull.asked) == (None, 0)


@pytest.mark.parametrize(
    "header", [b"NATS/1.0 409 Consumer Deleted\r\n\r\n", b"NATS/1.0 503\r\n\r\n", b"", b"rubbish", b"NATS/1.0 999 Odd"]
)
async def test_every_other_answer_ends_this_consumer(header: bytes) -> None:
    pull, _, intake = session()
    intake.add(b"_I.x.1", b"", header, b"")
    assert pull.read_statuses() is not None
