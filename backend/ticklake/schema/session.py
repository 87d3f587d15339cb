"""Trading days: which dates have a session, and when it begins, opens and closes. No I/O, no clock, no pandas.

`us_index_futures` is what research on index futures means by a day: the **cash session of the New York Stock
Exchange**, 09:30 to 16:00 New York time, 13:00 on half days. The futures also trade on most of the exchange's
holidays, with an early halt; those days have no cash session and therefore no session here. `always_open` is the UTC
day, every day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date as Date  # noqa: N812 - `date` is a field below
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.base.words import count
from ticklake.schema import session_table

US_INDEX_FUTURES: Final = "us_index_futures"
ALWAYS_OPEN: Final = "always_open"
CALENDARS: Final = (US_INDEX_FUTURES, ALWAYS_OPEN)

MINUTE_NS: Final = 60_000_000_000
HOUR_NS: Final = 60 * MINUTE_NS
DAY_NS: Final = 24 * HOUR_NS
TABLE_WARNING_DAYS: Final = 60

_EPOCH: Final = Date(1970, 1, 1)
_SATURDAY: Final = 5
_SUNDAY: Final = 6
_NY_HOURS: Final = 5  # behind UTC in winter
_PREMARKET: Final = 4 * 60
_OPEN: Final = 9 * 60 + 30
_CLOSE: Final = 16 * 60
_EARLY_CLOSE: Final = 13 * 60


@dataclass(frozen=True, slots=True)
class SessionWindow:
    """One trading day of one calendar. All times are int64 ns since 1970, UTC; `start_ns <= t < end_ns` is the day.

    Attributes:
        date: the trading day; of New York, or of UTC for `always_open`.
        calendar: name of the calendar.
        start_ns: midnight that begins the day.
        end_ns: midnight that ends it, not included.
        premarket_ns: 04:00 New York time; the start of the day for `always_open`.
        open_ns: 09:30 New York time; the start of the day for `always_open`.
        close_ns: 16:00 New York time, 13:00 on half days; the end of the day for `always_open`.
        is_half_day: whether the cash session closes early.
    """

    date: Date
    calendar: str
    start_ns: int
    end_ns: int
    premarket_ns: int
    open_ns: int
    close_ns: int
    is_half_day: bool


@dataclass(frozen=True, slots=True)
class SessionTable:
    """Holidays and early closes of the New York cash session.

    Attributes:
        first: first day the table knows.
        last: last day the table knows.
        holidays: weekdays without a session.
        early_closes: day -> minute of the New York day at which the session closes.
    """

    first: Date
    last: Date
    holidays: frozenset[Date]
    early_closes: Mapping[Date, int] = field(default_factory=lambda: MappingProxyType({}))


@cache
def frozen_table() -> SessionTable:
    """The table that comes with the package: XNYS from 2008 to 2035."""
    return SessionTable(
        session_table.FIRST_DAY,
        session_table.LAST_DAY,
        frozenset(_days(session_table.HOLIDAYS)),
        MappingProxyType(dict.fromkeys(_days(session_table.EARLY_CLOSES), _EARLY_CLOSE)),
    )


def table_warning(today: Date, table: SessionTable | None = None) -> str | None:
    """What to tell people when the table ends within 60 days of `today`, or has ended; None when all is well."""
    last = (frozen_table() if table is None else table).last
    days = (last - today).days
    if days >= TABLE_WARNING_DAYS:
        return None
    when = f"ends in {count(days, 'day')}" if days >= 0 else f"ended {count(-days, 'day')} ago"
    return f"the table of exchange sessions {when} ({last})"


def session_window(calendar: str, day: Date, *, table: SessionTable | None = None) -> SessionWindow | None:
    """The session of one day; None when the calendar is closed that day.

    Args:
        calendar: `us_index_futures` or `always_open`.
        day: the trading day.
        table: holidays and early closes; the frozen table when None. `always_open` needs none.

    Raises:
        UsageError: there is no such calendar, or the table does not reach the day.
    """
    if calendar == ALWAYS_OPEN:
        start_ns = _midnight_ns(day)
        end_ns = start_ns + DAY_NS
        return SessionWindow(day, calendar, start_ns, end_ns, start_ns, start_ns, end_ns, is_half_day=False)
    if calendar != US_INDEX_FUTURES:
        raise UsageError(f"there is no calendar {calendar!r}; calendars are {', '.join(CALENDARS)}")
    known = frozen_table() if table is None else table
    if not known.first <= day <= known.last:
        raise UsageError(
            f"the table of exchange sessions reaches from {known.first} to {known.last}, not to {day}; "
            "update ticklake, or leave the day out"
        )
    if day.weekday() >= _SATURDAY or day in known.holidays:
        return None
    start_ns = _new_york_midnight_ns(day)
    return SessionWindow(
        day,
        calendar,
        start_ns,
        _new_york_midnight_ns(day + timedelta(days=1)),
        start_ns + _PREMARKET * MINUTE_NS,
        start_ns + _OPEN * MINUTE_NS,
        start_ns + known.early_closes.get(day, _CLOSE) * MINUTE_NS,
        is_half_day=day in known.early_closes,
    )


def previous_sessions(
    calendar: str, day: Date, count: int, *, table: SessionTable | None = None
) -> list[SessionWindow]:
    """The last `count` sessions before `day`, oldest first; `day` itself is not among them.

    Raises:
        UsageError: as in `session_window`; so also when the table begins too late.
    """
    found: list[SessionWindow] = []
    while len(found) < count:
        day -= timedelta(days=1)
        window = session_window(calendar, day, table=table)
        if window is not None:
            found.append(window)
    return found[::-1]


def _midnight_ns(day: Date) -> int:
    return (day - _EPOCH).days * DAY_NS


def _new_york_midnight_ns(day: Date) -> int:
    return _midnight_ns(day) + (_NY_HOURS - _is_summer_midnight(day)) * HOUR_NS


def _is_summer_midnight(day: Date) -> bool:
    """Whether the day begins in daylight saving time: second Sunday of March to first of November, at 02:00."""
    return _nth_sunday(day.year, 3, 2) < day <= _nth_sunday(day.year, 11, 1)


def _nth_sunday(year: int, month: int, n: int) -> Date:
    first = Date(year, month, 1)
    return first + timedelta(days=(_SUNDAY - first.weekday()) % 7 + 7 * (n - 1))


def _days(years: Mapping[int, str]) -> list[Date]:
    return [Date.fromisoformat(f"{year}-{day}") for year, days in years.items() for day in days.split()]
