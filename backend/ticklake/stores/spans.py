"""Times of records: naive means UTC, a range is inclusive at both ends, a date means until the end of that day. Pure.

Answers take the form of the question: who asks with naive times gets naive times (UTC), who asks with aware ones gets
aware ones. So code that never heard of zones keeps working, and nobody's local zone ever decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from ticklake.base.errors import UsageError

Moment = datetime | date

_MICROSECOND: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def as_utc(moment: datetime) -> datetime:
    """The same instant, aware, in UTC. A naive one is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def start_of(moment: Moment) -> datetime:
    """The first instant that `moment` means: itself, or midnight UTC of a date."""
    return as_utc(moment) if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)


def end_of(moment: Moment) -> datetime:
    """The last instant that `moment` means: itself, or the last microsecond of a date."""
    if isinstance(moment, datetime):
        return as_utc(moment)
    return datetime.combine(moment, time(23, 59, 59, 999_999), UTC)


def from_ns(wall_ns: int) -> datetime:
    """The aware UTC time of a clock's nanoseconds, cut to microseconds."""
    return _EPOCH + wall_ns // 1000 * _MICROSECOND


def month_of(moment: datetime) -> str:
    """`2026-01`: the UTC month, sortable as text."""
    moment = as_utc(moment)
    return f"{moment.year:04d}-{moment.month:02d}"


def day_of(moment: datetime) -> str:
    """`2026-01-05`: the UTC day, sortable as text."""
    return as_utc(moment).date().isoformat()


@dataclass(frozen=True, slots=True)
class Span:
    """A range of times, both ends included.

    Attributes:
        start: first instant, aware UTC; None for no bound.
        end: last instant, aware UTC; None for no bound.
        is_naive: whether answers should carry naive times.
    """

    start: datetime | None = None
    end: datetime | None = None
    is_naive: bool = False

    @classmethod
    def of(cls, start: Moment | None, end: Moment | None) -> Span:
        """The range from what a caller gave.

        Raises:
            UsageError: one end is naive and the other aware, or the range is reversed.
        """
        kinds = {moment.tzinfo is None for moment in (start, end) if isinstance(moment, datetime)}
        if len(kinds) == 2:
            raise UsageError(f"{start} to {end}: one time has a zone and the other has none; give both the same way")
        first = None if start is None else start_of(start)
        last = None if end is None else end_of(end)
        if first is not None and last is not None and first > last:
            raise UsageError(f"{start} to {end}: the range ends before it starts; swap the times")
        return cls(first, last, kinds == {True})

    def holds(self, moment: datetime) -> bool:
        """Whether an instant lies in the range."""
        moment = as_utc(moment)
        return (self.start is None or moment >= self.start) and (self.end is None or moment <= self.end)

    def present(self, moment: datetime) -> datetime:
        """A UTC time in the form of the question."""
        return moment.replace(tzinfo=None if self.is_naive else UTC)


ALWAYS: Final = Span()
"""Every time."""
