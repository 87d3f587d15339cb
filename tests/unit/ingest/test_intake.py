"""The waiting room of a subscription: nothing is mixed up, nothing is dropped without being counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ticklake.ingest.intake import Intake

Frame = tuple[bytes, bytes, bytes | None, bytes]


def payloads(intake: Intake) -> list[bytes]:
    return [payload for *_, payload in intake.take().messages()]


FRAMES = st.lists(
    st.tuples(
        st.binary(max_size=4), st.binary(min_size=1, max_size=4), st.none() | st.just(b"H"), st.binary(max_size=9)
    ),
    max_size=40,
)


@given(frames=FRAMES, takes=st.lists(st.integers(1, 9), max_size=10))
def test_messages_leave_in_the_order_they_came_with_their_headers(frames: list[Frame], takes: list[int]) -> None:
    intake = Intake()
    for frame in frames:
        intake.add(*frame)
    found: list[Frame] = []
    for limit in [*takes, 1_000]:
        taken = intake.take(limit)
        assert len(taken) <= limit
        messages = list(taken.messages())
        assert taken.payload_bytes == sum(len(payload) for *_, payload in messages)
        assert [reply for _, reply, _, _ in messages] == taken.replies()
        found += messages
    assert found == frames
    assert (intake.payload_bytes, intake.messages, intake.frames) == (0, 0, len(frames))


def test_frames_on_our_inbox_without_a_reply_are_statuses_and_all_others_are_messages() -> None:
    intake = Intake(inbox_prefix=b"_I.x")
    intake.add(b"_I.x.1", b"", b"NATS/1.0 100\r\n\r\n", b"")
    intake.add(b"_I.x.1", b"$JS.ACK.s", b"NATS/1.0 100\r\nStatus: 503\r\n\r\n", b"a publisher's own header")
    intake.add(b"market.x", b"", None, b"no reply")
    assert intake.take_statuses() == [(b"_I.x.1", b"NATS/1.0 100\r\n\r\n")]
    assert intake.take_statuses() == []
    assert payloads(intake) == [b"a publisher's own header", b"no reply"]


def test_beyond_its_limit_core_nats_drops_and_counts_and_takes_again_when_there_is_room() -> None:
    intake = Intake(bytes_max=10)
    for payload in (b"12345", b"67890", b"x", b""):
        intake.add(b"s", b"", None, payload)
    assert (intake.dropped, payloads(intake)) == (1, [b"12345", b"67890", b""])
    intake.add(b"s", b"", None, b"again")
    assert (intake.dropped, payloads(intake)) == (1, [b"again"])


def test_what_arrives_rings_and_a_full_take_stops_the_bell() -> None:
    intake = Intake()
    intake.add(b"s", b"r", None, b"1")
    intake.add(b"s", b"r", None, b"2")
    assert intake.arrived.is_set()
    intake.take(1)
    assert intake.arrived.is_set(), "one more waits"
    intake.take()
    assert not intake.arrived.is_set()


def test_an_answer_that_came_with_the_last_messages_keeps_the_bell_ringing() -> None:
    intake = Intake(inbox_prefix=b"_I.x")
    intake.add(b"market.a", b"$JS.ACK", None, b"1")
    intake.add(b"_I.x.1", b"", b"NATS/1.0 409 Message Size Exceeds MaxBytes\r\n\r\n", b"")
    assert len(intake.take()) == 1
    assert intake.arrived.is_set()
    intake.take_statuses()
    intake.add(b"market.a", b"$JS.ACK", None, b"2")
    intake.take()
    assert not intake.arrived.is_set()
