"""When a flush is due."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ticklake.schema.messages import MessageGroup
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.testing.messages import group_messages

RULES = {b"fast": FlushRule(3, 1.0), b"slow": FlushRule(100, 10.0)}


def group(*subjects: bytes, size: int = 10) -> MessageGroup:
    return group_messages([(subject, None, b"x" * (size - 1)) for subject in subjects], ingest_ns=0)


def policy(*, interval_min_s: float = 0.0, bytes_max: int = 10_000) -> FlushPolicy:
    return FlushPolicy(lambda subject: RULES[subject], interval_min_s=interval_min_s, bytes_max=bytes_max)


def test_nothing_waits_until_something_came() -> None:
    empty = policy()
    empty.ask()
    assert empty.due_in_s(0.0) is None
    empty.note(group(b"slow"), 5.0)
    assert empty.due_in_s(5.0) == 10.0, "an order given to an empty segment is done, not kept for the next one"


def test_the_first_table_that_reaches_its_time_takes_all_with_it() -> None:
    mixed = policy()
    mixed.note(group(b"slow"), 0.0)
    assert mixed.due_in_s(4.0) == 6.0
    mixed.note(group(b"fast"), 4.0)
    assert mixed.due_in_s(4.0) == 1.0
    mixed.note(group(b"fast"), 4.5)
    assert mixed.due_in_s(5.0) == 0.0, "the oldest message counts, not the newest"


def test_rows_are_counted_per_rule() -> None:
    mixed = policy()
    mixed.note(group(b"slow", b"fast", b"slow", b"fast"), 0.0)
    assert mixed.due_in_s(0.0) == 1.0
    mixed.note(group(b"fast"), 0.0)
    assert mixed.due_in_s(0.0) == 0.0


def test_batches_grow_under_load_but_a_full_segment_and_an_order_do_not_wait() -> None:
    busy = policy(interval_min_s=2.0, bytes_max=200)
    busy.note(group(b"fast"), 0.0)
    busy.flushed(0.0)
    busy.note(group(b"fast", b"fast", b"fast"), 0.5)
    assert busy.due_in_s(0.5) == 1.5
    busy.ask()
    assert busy.due_in_s(0.5) == 0.0
    busy.flushed(0.5)
    busy.note(group(b"slow", size=200), 0.6)
    assert busy.is_full
    assert busy.due_in_s(0.6) == 0.0


def test_a_flush_empties_everything() -> None:
    done = policy(bytes_max=50)
    done.note(group(b"fast", b"fast", b"fast", size=100), 1.0)
    done.ask()
    done.flushed(2.0)
    assert (done.messages, done.payload_bytes, done.first_s, done.is_full, done.due_in_s(9.0)) == (
        0,
        0,
        None,
        False,
        None,
    )
    done.note(group(b"fast"), 9.0)
    assert done.due_in_s(9.0) == 1.0, "counts and deadline of the segment before are forgotten"


def test_hostile_subjects_do_not_fill_the_memory() -> None:
    many = FlushPolicy(lambda _: RULES[b"slow"], interval_min_s=0, bytes_max=10**9)
    for start in range(0, 150_000, 50_000):
        many.note(group(*(b"s%d" % number for number in range(start, start + 50_000))), 0.0)
    assert len(many._rules) <= 100_001
    assert many.messages == 150_000


@given(
    steps=st.lists(st.tuples(st.sampled_from([b"fast", b"slow"]), st.integers(1, 5), st.floats(0, 3)), min_size=1),
    interval_min_s=st.floats(0, 5),
)
def test_no_message_waits_longer_than_its_rule_and_the_interval_allow(
    steps: list[tuple[bytes, int, float]], interval_min_s: float
) -> None:
    tested, now_s, last_s = policy(interval_min_s=interval_min_s), 0.0, float("-inf")
    waiting: list[tuple[bytes, float]] = []
    for subject, count, pause_s in steps:
        tested.note(group(*[subject] * count), now_s)
        waiting += [(subject, now_s)] * count
        due_in_s = tested.due_in_s(now_s)
        assert due_in_s is not None
        latest_s = min(since_s + RULES[name].seconds for name, since_s in waiting)
        assert now_s + due_in_s <= max(latest_s, last_s + interval_min_s) + 1e-9
        now_s += pause_s
        if tested.due_in_s(now_s) == 0.0:
            tested.flushed(now_s)
            waiting, last_s = [], now_s
