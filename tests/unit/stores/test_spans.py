"""Times of records: naive is UTC, both ends are in, answers have the form of the question."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from ticklake.base.errors import UsageError
from ticklake.stores.spans import ALWAYS, Span, as_utc, day_of, end_of, from_ns, month_of, start_of

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
NAIVE = NOON.replace(tzinfo=None)


def test_naive_means_utc() -> None:
    assert as_utc(NAIVE) == NOON
    assert as_utc(NOON.astimezone(timezone(timedelta(hours=-5)))).isoformat() == "2026-01-05T12:00:00+00:00"


def test_a_date_means_all_of_its_day() -> None:
    assert start_of(date(2026, 1, 5)) == datetime(2026, 1, 5, tzinfo=UTC)
    assert end_of(date(2026, 1, 5)) == datetime(2026, 1, 5, 23, 59, 59, 999_999, tzinfo=UTC)
    assert start_of(NOON) == end_of(NOON) == NOON


def test_both_ends_belong_to_a_span() -> None:
    span = Span.of(NOON, NOON)
    step = timedelta(microseconds=1)
    assert [span.holds(NOON + offset) for offset in (-step, timedelta(), step)] == [False, True, False]
    assert ALWAYS.holds(datetime.min)  # noqa: DTZ901 - the earliest there is


def test_answers_have_the_form_of_the_question() -> None:
    assert Span.of(NAIVE, NAIVE).present(NOON) == NAIVE
    assert Span.of(NOON, date(2026, 1, 6)).present(NOON) == NOON
    assert Span.of(date(2026, 1, 5), None).present(NOON) == NOON


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="zone"):
        Span.of(NAIVE, NOON)
    with pytest.raises(UsageError, match="ends before"):
        Span.of(NOON, NOON - timedelta(microseconds=1))


def test_a_clock_is_cut_to_microseconds_exactly() -> None:
    assert from_ns(1_767_614_400_123_456_789) == NOON + timedelta(microseconds=123_456)
    assert (day_of(NOON), month_of(NOON)) == ("2026-01-05", "2026-01")
    assert (day_of(datetime(33, 4, 3)), month_of(datetime(33, 4, 3))) == ("0033-04-03", "0033-04")
