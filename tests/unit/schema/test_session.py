"""Trading days, against exchange_calendars and the zone database."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.unit.schema.make_session_table import FIRST, LAST, TABLE, render, sessions

from ticklake.base.errors import UsageError
from ticklake.schema.session import (
    ALWAYS_OPEN,
    HOUR_NS,
    US_INDEX_FUTURES,
    previous_sessions,
    session_window,
    table_warning,
)

NEW_YORK = ZoneInfo("America/New_York")


def utc_ns(day: date, hour: int, minute: int = 0) -> int:
    """The New York time as ns UTC, by the zone database."""
    moment = datetime.combine(day, time(hour, minute), NEW_YORK)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def test_the_frozen_table_is_what_exchange_calendars_gives():
    assert TABLE.read_text() == render()


def test_every_session_equals_exchange_calendars_and_the_zone_database():
    known = sessions()
    days = (FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1))
    windows = [window for day in days if (window := session_window(US_INDEX_FUTURES, day))]
    assert [window.date for window in windows] == list(known)
    for window in windows:
        opens, closes = ([int(part) for part in text.split(":")] for text in known[window.date])
        assert window.start_ns == utc_ns(window.date, 0)
        assert window.end_ns == utc_ns(window.date + timedelta(days=1), 0)
        assert window.premarket_ns == utc_ns(window.date, 4)
        assert window.open_ns == utc_ns(window.date, *opens)
        assert window.close_ns == utc_ns(window.date, *closes)
        assert window.is_half_day == (closes != [16, 0])


@pytest.mark.parametrize(
    ("day", "utc_open"),
    [(date(2026, 3, 6), 14), (date(2026, 3, 9), 13), (date(2026, 10, 30), 13), (date(2026, 11, 2), 14)],
)
def test_the_open_moves_with_daylight_saving_time(day, utc_open):
    window = session_window(US_INDEX_FUTURES, day)
    assert datetime.fromtimestamp(window.open_ns // 10**9, UTC).time() == time(utc_open, 30)


@pytest.mark.parametrize(
    "day",
    [
        date(2025, 1, 9),
        date(2018, 12, 5),
        date(2012, 10, 30),
        date(2024, 12, 25),
        date(2026, 6, 19),
        date(2026, 11, 22),
    ],
)
def test_closures_holidays_and_weekends_have_no_session(day):
    assert session_window(US_INDEX_FUTURES, day) is None


def test_a_half_day_closes_at_one():
    window = session_window(US_INDEX_FUTURES, date(2026, 11, 27))
    assert window.is_half_day
    assert window.close_ns - window.open_ns == 3.5 * HOUR_NS


def test_always_open_is_the_utc_day():
    window = session_window(ALWAYS_OPEN, date(2026, 11, 22))
    assert window.start_ns == window.open_ns == window.premarket_ns == 1_795_305_600 * 10**9
    assert window.end_ns == window.close_ns == window.start_ns + 24 * HOUR_NS
    assert not window.is_half_day


def test_previous_sessions_skip_what_is_closed_and_come_oldest_first():
    days = [window.date for window in previous_sessions(US_INDEX_FUTURES, date(2025, 1, 10), 3)]
    assert days == [date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8)]
    assert [window.date for window in previous_sessions(ALWAYS_OPEN, date(2024, 3, 1), 1)] == [date(2024, 2, 29)]
    assert previous_sessions(US_INDEX_FUTURES, date(2025, 1, 10), 0) == []


def test_a_day_outside_the_table_and_an_unknown_calendar_are_refused():
    for day in (date(2007, 12, 31), date(2036, 1, 2)):
        with pytest.raises(UsageError, match=f"not to {day}"):
            session_window(US_INDEX_FUTURES, day)
    with pytest.raises(UsageError, match="no calendar 'mars'"):
        session_window("mars", date(2026, 1, 2))


def test_a_table_near_its_end_warns():
    assert table_warning(LAST - timedelta(days=60)) is None
    assert "ends in 59 days" in table_warning(LAST - timedelta(days=59))
    assert "ended 1 day ago" in table_warning(LAST + timedelta(days=1))
