"""Every day between the first and the last date of a version, also those that it has nothing of. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.schema.session import session_window
from ticklake.silver.record import DateRecord, DateStatus

NOT_BUILT: Final = "not built"
_ONE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ReportDay:
    """One day of the calendar.

    Attributes:
        date: YYYY-MM-DD.
        status: a `DateStatus`, or `not built`: a session that is no part of the version.
        rows: of signals.
        reason: why it has none; "" when it has.
    """

    date: str
    status: str
    rows: int = 0
    reason: str = ""


def calendar_days(records: Sequence[DateRecord], calendar: str) -> list[ReportDay]:
    """All days from the first to the last record, ascending.

    Args:
        records: dates of the version, ascending.
        calendar: says of the days between them which have a session.
    """
    known = {record.date: record for record in records}
    return [_day(known.get(str(day)), day, calendar) for day in _days(records)]


def stretches(days: Sequence[ReportDay]) -> list[tuple[str, str, str]]:
    """The days that were not built, as (days, status, reason): neighbours of one status and reason in one line."""
    lines = []
    for (status, reason), same in groupby(days, key=lambda day: (day.status, day.reason)):
        group = list(same)
        if status != DateStatus.BUILT:
            lines.append((stretch(group[0].date, group[-1].date), status, reason))
    return lines


def stretch(first: str, last: str) -> str:
    """`2025-06-14 to 2025-06-15`, or the one day."""
    return first if first == last else f"{first} to {last}"


def _days(records: Sequence[DateRecord]) -> Iterator[date]:
    if not records:
        return
    day, last = date.fromisoformat(records[0].date), date.fromisoformat(records[-1].date)
    while day <= last:
        yield day
        day += _ONE


def _day(record: DateRecord | None, day: date, calendar: str) -> ReportDay:
    if record is not None:
        return ReportDay(record.date, record.status.value, record.rows, record.reason)
    try:
        session = session_window(calendar, day)
    except UsageError as error:
        return ReportDay(str(day), NOT_BUILT, reason=f"not asked for; whether it has a session is unknown: {error}")
    if session is None:
        return ReportDay(str(day), DateStatus.CLOSED.value, reason=f"{calendar} has no session on that day")
    return ReportDay(str(day), NOT_BUILT, reason="a session, but not part of the version: not asked for, or no data")
