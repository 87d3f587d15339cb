"""Points in time as people, feeds and old files write them -> nanoseconds UTC, and back to text. No I/O."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.base.moments import NS_PER_S, since_epoch_ns, text_ns

Moment = int | float | str | date | datetime
"""A point in time: ISO 8601 text, a date (its midnight), a datetime, a number since 1970. What names no zone is UTC."""

NS_PER_DAY: Final = 86_400 * NS_PER_S

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A number since 1970 gives away its unit by its size: the same moment in the next unit is a thousand times larger.
# The limits put 1973 to 5138 into each unit.
_UNITS: Final = ((100_000_000_000, NS_PER_S), (100_000_000_000_000, 1_000_000), (100_000_000_000_000_000, 1_000))


def moment_ns(value: Moment) -> int:
    """Nanoseconds since 1970, UTC.

    A number below 1e11 counts seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds.

    Raises:
        UsageError: it is no time, or lies outside of what 64 bits hold (1678 to 2261).
    """
    ns = _any_ns(value)
    if not -(2**63) <= ns < 2**63:
        raise UsageError(f"{value!r} is no time between 1678 and 2261; write 2024-12-16T14:30:00Z")
    return ns


def date_text(ns: int) -> str:
    """The UTC date: `2024-12-16`."""
    return (_EPOCH + timedelta(seconds=ns // NS_PER_S)).date().isoformat()


def is_midnight(ns: int) -> bool:
    """Whether a UTC day begins then."""
    return ns % NS_PER_DAY == 0


def _any_ns(value: Moment) -> int:
    if isinstance(value, bool):
        raise UsageError(f"{value!r} is no time; write 2024-12-16T14:30:00Z")
    if isinstance(value, int | float):
        return _number_ns(value)
    if isinstance(value, str):
        return text_ns(value)
    if isinstance(value, datetime):
        ns = since_epoch_ns(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
        return ns + int(getattr(value, "nanosecond", 0))  # pandas' Timestamp is a datetime with three digits more
    if isinstance(value, date):
        return (value - _EPOCH.date()).days * NS_PER_DAY
    raise UsageError(f"{value!r} is no time; write 2024-12-16T14:30:00Z")


def _number_ns(value: float) -> int:
    try:
        exact = Decimal(value) if isinstance(value, int) else Decimal(repr(value))
        size = abs(exact)
        scale = next((scale for limit, scale in _UNITS if size < limit), 1)
        return int(exact * scale)
    except (ArithmeticError, ValueError) as error:
        raise UsageError(f"{value!r} is no time since 1970; write 2024-12-16T14:30:00Z") from error
