"""What a reader asks for: a time range, dates and partition values, and which folders can hold the answer. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from operator import index
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.base.moments import since_epoch_ns, text_ns

Instant = int | str | date | datetime
"""A point in time: ns since 1970 (UTC), ISO 8601 text (UTC unless it names a zone), a date (its UTC midnight) or an
aware datetime."""

Day = str | date
"""A UTC day: `date(2024, 12, 16)` or "2024-12-16"."""

HOUR_NS: Final = 3_600_000_000_000
DAY_NS: Final = 24 * HOUR_NS
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Half-open stretch of time, ns UTC: `start_ns <= t < until_ns`. None is open on that side."""

    start_ns: int | None = None
    until_ns: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether every time lies inside."""
        return self.start_ns is None and self.until_ns is None

    def meets(self, start_ns: int, until_ns: int) -> bool:
        """Whether the stretch `[start_ns, until_ns)` shares a moment with this one."""
        return (self.start_ns is None or until_ns > self.start_ns) and (
            self.until_ns is None or start_ns < self.until_ns
        )


@dataclass(frozen=True, slots=True)
class Selection:
    """Which partitions and moments are wanted. None means all of them.

    Attributes:
        values: wanted raw values of the leading partition column (`symbol`, `underlying`), not encoded.
        dates: wanted UTC dates.
        range: wanted event times.
    """

    values: frozenset[str] | None = None
    dates: frozenset[date] | None = None
    range: TimeRange = TimeRange()

    def wants_date(self, day: date) -> bool:
        """Whether the folder of that UTC day can hold a wanted row."""
        start_ns = day_start_ns(day)
        return (self.dates is None or day in self.dates) and self.range.meets(start_ns, start_ns + DAY_NS)

    def wants_hour(self, day: date, hour: int) -> bool:
        """Whether the folder of that UTC hour can hold a wanted row."""
        start_ns = day_start_ns(day) + hour * HOUR_NS
        return self.range.meets(start_ns, start_ns + HOUR_NS)


EVERYTHING: Final = Selection()


def half_open(start: Instant | None, end: Instant | None) -> TimeRange:
    """`[start, end)`: the end itself is not included.

    Raises:
        UsageError: a text is no time, a datetime names no zone, or nothing lies between start and end.
    """
    wanted = TimeRange(None if start is None else instant_ns(start), None if end is None else instant_ns(end))
    if wanted.start_ns is not None and wanted.until_ns is not None and wanted.start_ns >= wanted.until_ns:
        raise UsageError(
            f"nothing lies between start {start!r} and end {end!r}: the end is exclusive; give a later end"
        )
    return wanted


def closed(start_ns: int | None, end_ns: int | None) -> TimeRange:
    """`[start_ns, end_ns]`, both included, ns UTC.

    Raises:
        UsageError: one is no whole number, or the end lies before the start.
    """
    start_ns = None if start_ns is None else _whole_ns("start_ns", start_ns)
    end_ns = None if end_ns is None else _whole_ns("end_ns", end_ns)
    if start_ns is not None and end_ns is not None and start_ns > end_ns:
        raise UsageError(f"end_ns {end_ns} lies before start_ns {start_ns}: swap them")
    return TimeRange(start_ns, None if end_ns is None else end_ns + 1)


def instant_ns(value: Instant) -> int:
    """Nanoseconds since 1970, UTC.

    Raises:
        UsageError: the text is no ISO 8601 time, or the datetime names no zone.
    """
    if isinstance(value, str):
        return text_ns(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise UsageError(f"{value!r} names no zone: add tzinfo=datetime.UTC, or give ISO text (read as UTC)")
        return since_epoch_ns(value)
    if isinstance(value, date):
        return day_start_ns(value)
    try:
        return _whole(value)
    except TypeError as error:
        raise UsageError(f"{value!r} is no time; give ns since 1970, ISO text, a date or an aware datetime") from error


def day_of(value: Day) -> date:
    """A UTC day.

    Raises:
        UsageError: the text is not YYYY-MM-DD.
    """
    if isinstance(value, datetime):
        raise UsageError(f"{value!r} is a moment, not a day: give its .date(), or use start and end")
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{value!r} is no date: write YYYY-MM-DD") from error


def days_of(value: Day | Iterable[Day] | None) -> frozenset[date] | None:
    """One day, several days, or None for all."""
    if value is None:
        return None
    several = value if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    return frozenset(map(day_of, several))


def values_of(value: str | Iterable[str] | None) -> frozenset[str] | None:
    """One partition value, several, or None for all.

    Raises:
        UsageError: one of them is no text.
    """
    if value is None:
        return None
    values = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
    for one in values:
        if not isinstance(one, str):
            raise UsageError(f"{one!r} is no symbol: give text, such as 'ES'")
    return frozenset(values)


def day_start_ns(day: date) -> int:
    """UTC midnight of the day, ns since 1970."""
    return (day - _EPOCH.date()).days * DAY_NS


def _whole(value: object) -> int:
    """The value of an int, or of what stands for one in numpy and its friends; a float has lost its nanoseconds."""
    if isinstance(value, bool):
        raise TypeError("True is 1, and no time")
    return index(value)  # type: ignore[arg-type]


def _whole_ns(name: str, value: object) -> int:
    try:
        return _whole(value)
    except TypeError as error:
        raise UsageError(f"{name} is {value!r}: give whole nanoseconds since 1970, UTC, as an int") from error


def folder_span(values: Mapping[str, str]) -> TimeRange:
    """The event times that a partition folder may hold, from its `date` and `hour` values.

    Raises:
        ValueError: the values are no date or no hour.
    """
    if "date" not in values:
        return TimeRange()
    start_ns = day_start_ns(date.fromisoformat(values["date"]))
    if "hour" not in values:
        return TimeRange(start_ns, start_ns + DAY_NS)
    hour = int(values["hour"])
    if not 0 <= hour < 24:
        raise ValueError(f"no hour of a day: {hour}")
    return TimeRange(start_ns + hour * HOUR_NS, start_ns + (hour + 1) * HOUR_NS)
