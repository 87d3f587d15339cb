"""From ack subjects to groups: what is new, what came twice, what is missing, and when the order is broken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklake.ingest.group import build_group
from ticklake.ingest.intake import Loose, Taken
from ticklake.ingest.order import NATIVE_FROM, Ordered, any_order, in_order, parse_replies
from ticklake.schema.messages import Skipped
from ticklake.testing.messages import payloads_of

Row = tuple[int, int, int, int]  # delivered, stream sequence, consumer sequence, server ns
FORMS = ("$JS.ACK.S.C.", "$JS.ACK.hub.ACCHASH.S.C.", "$JS.ACK._.ACCHASH.S.C.")


def replies(rows: list[Row], *, form: str = FORMS[0], tail: str = "") -> list[bytes]:
    return [f"{form}{d}.{s}.{c}.{ns}.{len(rows) - i}{tail}".encode() for i, (d, s, c, ns) in enumerate(rows)]


def taken(rows: list[Row], *, headers: dict[int, bytes] | None = None) -> Taken:
    payloads = [b"payload %d" % sequence for _, sequence, _, _ in rows]
    subjects = [b"market.%d" % (sequence % 3) for _, sequence, _, _ in rows]
    return whole(Loose(subjects, replies(rows), payloads, headers or {}))


def whole(*parts: Loose) -> Taken:
    return Taken(parts, sum(len(payload) for part in parts for payload in part.payloads))


def acks(lines: list[bytes]) -> Taken:
    return whole(Loose([b"s"] * len(lines), lines, [b""] * len(lines)))


def run(*sequences: int, first_consumer: int = 1) -> list[Row]:
    return [(1, sequence, first_consumer + i, 10 * sequence) for i, sequence in enumerate(sequences)]


def order(rows: list[Row], *, after: int = 0, after_ns: int | None = None, expect: int = 1, **more: bool) -> Ordered:
    return in_order(
        taken(rows),
        incarnation=4,
        ingest_ns=99,
        after_sequence=after,
        after_server_ns=10 * after if after_ns is None else after_ns,
        consumer_sequence=expect,
        is_filtered=more.get("is_filtered", False),
    )


def sequences(result: Ordered) -> list[int]:
    return [] if result.group is None else list(result.group.sequences)


# --- parse_replies ----------------------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 2**63 - 1)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=90),
    form=st.sampled_from(FORMS),
    has_token=st.booleans(),
)
def test_the_native_and_the_python_parser_give_the_same_columns(rows: list[Row], form: str, has_token: bool) -> None:
    lines = replies(rows, form=form, tail=".x7Kq" if has_token and form != FORMS[0] else "")
    native, python = (parse_replies(acks(lines), native_from=start) for start in (1, len(lines) + 1))
    for name in ("delivered", "sequences", "consumer_sequences", "server_ns"):
        assert list(getattr(native, name)) == list(getattr(python, name)), name
    assert native.pending == python.pending == 1
    assert list(native.sequences) == [row[1] for row in rows]


@pytest.mark.parametrize("count", [1, NATIVE_FROM])
@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"hello",
        b"$JS.ACK.S.C.1.2.3",
        b"$JS.ACK.S.C.1.2.3.x.5",
        b"$JS.ACK.S.C.1.2.3.4.5.6",
        b"X.Y.S.C.1.2.3.4.5",
        b"$JS.ACK.S.C.1.\n.3.4.5",
        b"$JS.ACK.S.C.1.99999999999999999999.3.4.5",
    ],
)
def test_what_is_no_ack_subject_is_an_error_and_never_a_number(garbage: bytes, count: int) -> None:
    lines = [*replies(run(*range(1, count))), garbage]
    with pytest.raises(ValueError, match="ack subjects"):
        parse_replies(acks(lines))


@pytest.mark.parametrize("count", [2, NATIVE_FROM])
def test_two_forms_in_one_batch_are_an_error(count: int) -> None:
    lines = replies(run(*range(1, count)))
    with pytest.raises(ValueError, match="ack subjects"):
        parse_replies(acks([*lines, *replies(run(9), form=FORMS[1])]))


# --- in_order ---------------------------------------------------------------------------------------------------------


def test_an_unbroken_run_is_one_group_and_one_ack() -> None:
    result = order(run(1, 2, 3))
    assert (sequences(result), result.duplicates, result.missing, result.broken) == ([1, 2, 3], 0, (), None)
    assert result.acks == [replies(run(1, 2, 3))[2]]
    assert (result.next_consumer_sequence, result.pending) == (4, 1)
    assert result.group is not None
    assert (result.group.incarnation, result.group.ingest_ns, list(result.group.server_ns)) == (4, 99, [10, 20, 30])
    assert payloads_of(result.group) == [b"payload 1", b"payload 2", b"payload 3"]


@pytest.mark.parametrize(
    ("rows", "why", "kept"),
    [
        ([*run(1, 2), (1, 3, 4, 30)], "consumer_sequence_jumped", [1, 2]),
        ([*run(1, 2), (1, 3, 2, 30)], "consumer_sequence_jumped", [1, 2]),
        ([*run(1, 2), (2, 3, 3, 30), (1, 4, 4, 40)], "redelivered", [1, 2]),
        ([(2, 1, 1, 10)], "redelivered", []),
        ([(1, 1, 7, 10)], "consumer_sequence_jumped", []),
        (run(1, 2, 2), "sequence_went_back", [1, 2]),
        (run(5, 6, 3, 7), "sequence_went_back", [5, 6]),
    ],
)
def test_what_comes_before_a_break_is_kept_and_what_follows_is_left(rows: list[Row], why: str, kept: list[int]) -> None:
    result = order(rows)
    assert (result.broken, sequences(result)) == (why, kept)
    assert result.acks == ([replies(rows)[len(kept) - 1]] if kept else []), "an ack must cover only what is logged"


def test_messages_we_hold_are_counted_acked_and_dropped() -> None:
    result = order(run(4, 5, 6, 7), after=5)
    assert (sequences(result), result.duplicates, result.missing) == ([6, 7], 2, ())
    only = order(run(4, 5), after=5)
    assert (only.group, only.duplicates, len(only.acks), only.broken) == (None, 2, 1, None)


def test_a_known_sequence_with_a_newer_time_was_used_again() -> None:
    result = order([(1, 4, 1, 40), (1, 5, 2, 51), (1, 6, 3, 60)], after=5)
    assert (result.is_reused, result.broken, result.group, result.acks) == (True, "sequence_reused", None, [])
    assert result.duplicates == 1


def test_holes_are_missing_unless_the_consumer_filters() -> None:
    rows = run(4, 5, 9, 12)
    assert order(rows, after=1).missing == ((2, 3), (6, 8), (10, 11))
    assert order(rows, after=1).skipped is None
    filtered = order(rows, after=1, is_filtered=True)
    assert (filtered.missing, filtered.skipped) == ((), Skipped(after=1, sequences=7))
    filtered = order(rows, after=-1, after_ns=0, is_filtered=True)
    assert filtered.skipped == Skipped(after=3, sequences=5), "where we began is not known: nothing was skipped there"
    assert order(run(2, 3), after=1, is_filtered=True).skipped is None
    assert order(rows, after=-1, after_ns=0).missing == ((6, 8), (10, 11)), "where we began is not known: no hole there"


def test_a_hole_behind_a_break_is_not_booked() -> None:
    result = order([*run(1, 2), (2, 9, 3, 90)])
    assert (result.missing, sequences(result)) == ((), [1, 2])
    result = order(run(1, 2, 9, 4))
    assert (result.missing, sequences(result)) == (((3, 8),), [1, 2, 9])


@settings(max_examples=200, deadline=None)
@given(
    steps=st.lists(st.integers(1, 3), min_size=1, max_size=100),
    after=st.integers(0, 40),
    flaw=st.none() | st.tuples(st.integers(0, 99), st.sampled_from(["redeliver", "jump", "back"])),
)
def test_every_message_is_new_or_known_or_left_for_the_next_consumer(
    steps: list[int], after: int, flaw: tuple[int, str] | None
) -> None:
    stream = [sum(steps[: i + 1]) for i in range(len(steps))]
    rows = run(*stream)
    cut = len(rows)
    if flaw is not None and flaw[0] < len(rows):
        cut = flaw[0]
        delivered, sequence, consumer, server_ns = rows[cut]
        rows[cut] = {
            "redeliver": (2, sequence, consumer, server_ns),
            "jump": (delivered, sequence, consumer + 1, server_ns),
            "back": (delivered, sequence, max(consumer - 1, 0), server_ns),
        }[flaw[1]]
    result = order(rows, after=after)
    good = stream[:cut]
    assert sequences(result) == [number for number in good if number > after]
    assert result.duplicates == sum(number <= after for number in good)
    assert (result.broken is None) == (cut == len(rows))
    assert result.next_consumer_sequence == 1 + cut
    missing = {number for first, last in result.missing for number in range(first, last + 1)}
    fresh = sequences(result)
    expected = set(range(after + 1, fresh[-1] + 1)) - set(fresh) if fresh else set()
    assert missing == expected


# --- any_order --------------------------------------------------------------------------------------------------------


def test_any_order_keeps_what_is_new_and_acks_every_message() -> None:
    rows = [(1, 7, 1, 70), (3, 2, 2, 20), (1, 7, 3, 70), (1, 5, 4, 50)]
    result = any_order(taken(rows), incarnation=1, ingest_ns=9, is_held=lambda sequence, _: sequence == 2)
    assert (sequences(result), result.duplicates, result.broken) == ([7, 5], 2, None)
    assert result.acks == replies(rows)
    assert result.group is not None
    assert payloads_of(result.group) == [b"payload 7", b"payload 5"]


def test_any_order_stops_at_a_sequence_that_was_used_again_and_acks_only_what_came_before() -> None:
    rows = [(1, 7, 1, 70), (1, 2, 2, 99), (1, 8, 3, 80)]
    result = any_order(
        taken(rows), incarnation=1, ingest_ns=9, is_held=lambda sequence, _: None if sequence == 2 else False
    )
    assert (sequences(result), result.is_reused, result.broken) == ([7], True, "sequence_reused")
    assert result.acks == replies(rows)[:1]


def test_any_order_of_only_known_messages_makes_no_group() -> None:
    result = any_order(taken(run(1, 2)), incarnation=1, ingest_ns=9, is_held=lambda *_: True)
    assert (result.group, result.duplicates, len(result.acks)) == (None, 2, 2)


# --- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_ordered", [True, False])
def test_a_frame_that_is_no_jetstream_message_ends_this_consumer_and_nothing_else(is_ordered: bool) -> None:
    """Who reads our inbox name off the wire may publish to it; that must not stop the service."""
    batch = taken(run(1, 2))
    batch.parts[0].replies[1] = b"somebody.else"
    if is_ordered:
        result = in_order(
            batch,
            incarnation=1,
            ingest_ns=9,
            after_sequence=0,
            after_server_ns=0,
            consumer_sequence=1,
            is_filtered=False,
        )
    else:
        result = any_order(batch, incarnation=1, ingest_ns=9, is_held=lambda *_: False)
    assert (result.group, result.acks, result.duplicates, result.is_reused) == (None, [], 0, False)
    assert result.broken == "foreign_message"


@settings(max_examples=100, deadline=None)
@given(
    messages=st.lists(
        st.tuples(st.binary(min_size=1, max_size=6), st.none() | st.binary(min_size=1, max_size=6), st.binary()),
        min_size=1,
        max_size=20,
    ),
    data=st.data(),
)
def test_a_group_holds_exactly_the_chosen_messages(
    messages: list[tuple[bytes, bytes | None, bytes]], data: st.DataObject
) -> None:
    keep = sorted(data.draw(st.sets(st.integers(0, len(messages) - 1), min_size=1)))
    at = data.draw(st.integers(0, len(messages)))
    parts = [
        Loose(
            [subject for subject, _, _ in part],
            [b""] * len(part),
            [payload for _, _, payload in part],
            {i: header for i, (_, header, _) in enumerate(part) if header is not None},
        )
        for part in (messages[:at], messages[at:])
        if part
    ]
    group = build_group(whole(*parts), keep, 3, 5, np.array(keep), np.array(keep))
    found = [
        (group.subjects[code], group.headers.get(i), group.payload(i)) for i, code in enumerate(group.subject_codes)
    ]
    assert found == [messages[index] for index in keep]


def test_large_payloads_are_not_copied() -> None:
    payloads = [bytes([number]) * 20_000 for number in range(4)]
    loose = Loose([b"s"] * 4, [b""] * 4, payloads)
    nothing = np.empty(0, np.int64)
    for keep in ([0, 1, 2, 3], [1, 3]):
        group = build_group(whole(loose), keep, 1, 2, nothing, nothing)
        assert all(found is payloads[index] for found, index in zip(payloads_of(group), keep, strict=True))
        assert group.payloads == b"".join(payloads[index] + b"\n" for index in keep)
