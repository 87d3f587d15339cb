"""Every way a stream can look from our position, and where reading goes on."""

from __future__ import annotations

from typing import Any

import pytest

from ticklake.ingest.api import MessageFacts, Retention, StreamFacts
from ticklake.ingest.resume import ALARMS, NEW_INCARNATION, Finding, Resume, decide
from ticklake.wal.state import Position

CREATED_NS = 7_000


def look(
    *,
    sequence: int = 10,
    server_ns: int = 500,
    known: int = CREATED_NS,
    at_ns: int | None = 500,
    at_crc32c: int = 77,
    **stream: Any,
) -> Resume:
    facts = {"created_ns": CREATED_NS, "first_sequence": 1, "last_sequence": 20, "messages": 20} | stream
    return decide(
        position=Position(1, sequence, server_ns, payload_crc32c=77),
        known_created_ns=known,
        stream=StreamFacts("S", ("s",), Retention.LIMITS, config={}, **facts),
        at_position=None if at_ns is None else MessageFacts(sequence, at_ns, at_crc32c),
    )


def test_a_stream_never_read_is_read_from_its_first_message() -> None:
    found = look(sequence=0, server_ns=0, known=0, at_ns=None, first_sequence=5)
    assert found == Resume(Finding.FIRST, 1, None, 4, 0), "what expired before we came was never ours to lose"
    empty = look(sequence=0, server_ns=0, known=0, at_ns=None, first_sequence=0, last_sequence=0)
    assert (empty.start_sequence, empty.after_sequence) == (1, 0)


def test_a_known_position_goes_on_behind_it() -> None:
    assert look() == Resume(Finding.SAME, 11, None, 10, 500)


def test_a_recreated_stream_is_read_whole_even_where_its_sequences_look_familiar() -> None:
    found = look(created_ns=CREATED_NS + 1)
    assert found == Resume(Finding.RECREATED, 1, None, 0, 0)


def test_a_new_life_of_which_nothing_was_read_goes_on_at_its_own_start() -> None:
    assert look(sequence=4, server_ns=0, at_ns=None) == Resume(Finding.SAME, 5, None, 4, 0)
    assert look(sequence=0, server_ns=0, at_ns=None) == Resume(Finding.SAME, 1, None, 0, 0)


def test_a_new_incarnation_after_reuse_goes_on_behind_the_last_time_we_hold() -> None:
    assert look(sequence=0, server_ns=500, at_ns=None) == Resume(Finding.SAME, None, 501, -1, 500)


def test_a_stream_that_ends_before_our_position_lost_messages() -> None:
    assert look(last_sequence=9, at_ns=None) == Resume(Finding.REGRESSED, None, 501, -1, 500)


def test_a_newer_message_at_our_position_means_the_sequence_was_used_again() -> None:
    assert look(at_ns=501) == Resume(Finding.REUSED, None, 501, -1, 500)


@pytest.mark.parametrize(("at_ns", "at_crc32c"), [(499, 77), (499, 78), (500, 78)])
def test_one_that_is_not_newer_means_that_the_clock_went_back_too_and_no_message_may_be_passed_over(
    at_ns: int, at_crc32c: int
) -> None:
    found = look(at_ns=at_ns, at_crc32c=at_crc32c, first_sequence=4)
    assert found == Resume(Finding.REUSED, 1, None, 3, 0, doubled=(4, 10))


def test_messages_that_expired_unread_are_named() -> None:
    assert look(at_ns=None, first_sequence=15) == Resume(Finding.EXPIRED, 11, None, 10, 500, (11, 14))


def test_an_expired_position_with_nothing_lost_behind_it() -> None:
    assert look(at_ns=None, first_sequence=11) == Resume(Finding.EXPIRED, 11, None, 10, 500)
    purged = look(sequence=20, at_ns=None, first_sequence=21)
    assert purged == Resume(Finding.EXPIRED, 21, None, 20, 500)


def test_a_single_deleted_message_at_our_position_is_a_hole() -> None:
    assert look(at_ns=None) == Resume(Finding.HOLE, None, 500, 10, 500)


def test_a_repaired_log_that_forgot_when_the_stream_was_made_is_told_by_what_it_holds() -> None:
    assert look(known=0, server_ns=500, created_ns=400) == Resume(Finding.SAME, 11, None, 10, 500)
    assert look(known=0, created_ns=CREATED_NS) == Resume(Finding.SAME, 11, None, 10, 500), "the very message is there"
    assert look(known=0, at_ns=None, created_ns=400, first_sequence=11).finding is Finding.EXPIRED
    assert look(known=0, at_ns=501, created_ns=400).finding is Finding.REUSED
    assert look(known=0, at_ns=None, created_ns=400, last_sequence=9).finding is Finding.REGRESSED
    younger = look(known=0, at_ns=501, created_ns=501)
    assert younger == Resume(Finding.RECREATED, 1, None, 0, 0), "made after our last message"


def test_each_finding_has_its_consequence() -> None:
    assert {Finding.FIRST} == NEW_INCARNATION - ALARMS
    assert ALARMS <= NEW_INCARNATION
    assert not {Finding.SAME, Finding.EXPIRED, Finding.HOLE} & NEW_INCARNATION
