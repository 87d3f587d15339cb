"""PURE: ISO 8601 text and datetimes -> nanoseconds since 1970, UTC, and back to text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from ticklake.base.errors import UsageError

NS_PER_S: Final = 1_000_000_000

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9})\d*)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII
)


def text_ns(text: str) -> int:
    """Nanoseconds since 1970 of ISO 8601 text; UTC unless it names a zone, a date is its midnight.

    Digits below a nanosecond are cut.

    Raises:
        UsageError: the text is no time.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no time; write 2024-12-16 or 2024-12-16T14:30:00.123456789Z")
    day, clock, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock or '00:00'}{zone or 'Z'}")
    except ValueError as error:
        raise UsageError(f"{text!r} is no time: {error}; write 2024-12-16T14:30:00Z") from error
    return since_epoch_ns(moment) + int((fraction or "").ljust(9, "0"))


def since_epoch_ns(moment: datetime) -> int:
    """Nanoseconds since 1970 of an aware datetime; a pandas timestamp, which is one, keeps its last three digits."""
    below_us: int = getattr(moment, "nanosecond", 0)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000 + below_us


def iso_text(ns: int) -> str:
    """ISO 8601 text in UTC with as many digits as needed: `2024-12-16T14:30:00Z`, `...00.123456789Z`."""
    seconds, rest = divmod(ns, NS_PER_S)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{(_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()}{fraction}Z"


def short_text(ns: int) -> str:
    """The same cut to the second, for tables that must fit a terminal: `2024-12-16T14:30:00Z`."""
    return iso_text(ns // NS_PER_S * NS_PER_S)
