"""The stretches of time that stored frames cover, and which of them together answer a question. No I/O."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.base.moments import NS_PER_S, iso_text
from ticklake.files.names import safe_name
from ticklake.schema.partition import HASH_PREFIX, TOKEN_BYTES_MAX
from ticklake.stores.decision_time import NS_PER_DAY, Moment, is_midnight, moment_ns

SUFFIX: Final = ".parquet"
_TIMEFRAME_CHARACTERS_MAX: Final = 32  # no timeframe is longer, and the file name has 255 bytes for everything
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_STEP: Final = re.compile(r"(\d{1,6})\s*(s|sec|m|min|h|hour|d|day)s?", re.ASCII | re.IGNORECASE)
_UNIT_S: Final = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "hour": 3600, "d": 86_400, "day": 86_400}


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A stretch of time, both ends included, ns UTC."""

    start_ns: int
    end_ns: int

    @classmethod
    def of(cls, start: Moment, end: Moment) -> TimeSpan:
        """From what people write; an end that is a date, or the text of one, includes that whole day.

        Raises:
            UsageError: one is no time, or the end lies before the start.
        """
        is_day = (isinstance(end, date) and not isinstance(end, datetime)) or (
            isinstance(end, str) and _DAY.fullmatch(end.strip()) is not None
        )
        span = cls(moment_ns(start), moment_ns(end) + (NS_PER_DAY - 1 if is_day else 0))
        if span.end_ns < span.start_ns:
            raise UsageError(f"the end {end!r} lies before the start {start!r}; swap them")
        return span

    def meets(self, other: TimeSpan) -> bool:
        """Whether they share a moment."""
        return self.start_ns <= other.end_ns and other.start_ns <= self.end_ns

    @property
    def text(self) -> str:
        """For a file name: `2024-01-01_2024-01-31` for whole days, else with the times of day."""
        start = _name_of(self.start_ns, is_day=is_midnight(self.start_ns))
        return f"{start}_{_name_of(self.end_ns, is_day=is_midnight(self.end_ns + 1))}"

    @classmethod
    def parse(cls, text: str) -> TimeSpan | None:
        """The span of a `text`; None when it is none of ours."""
        start, _, end = text.partition("_")
        try:
            return cls.of(_time_of(start), _time_of(end))
        except UsageError:
            return None


def series_prefix(asset_pair: str, timeframe: str) -> str:
    """What the file names of one series begin with. Two series never share one; capitals make no difference.

    Raises:
        UsageError: a name is empty, or the timeframe is none.
    """
    if not timeframe or len(timeframe) > _TIMEFRAME_CHARACTERS_MAX:
        raise UsageError(f"{timeframe!r} is no timeframe; write 1m, 5m, 1h or 1d")
    return f"{symbol_name(asset_pair)}_{_part(timeframe)}_"


def symbol_name(symbol: str) -> str:
    """The file-name part of a symbol: in small letters, without `_`.

    Raises:
        UsageError: it is empty, or no text.
    """
    if not isinstance(symbol, str) or not symbol:
        raise UsageError(f"{symbol!r} is no symbol; give its name, such as BTCUSD")
    return _part(symbol.lower())


def step_ns(timeframe: str) -> int:
    """The length of a bar; 1 ns for what has no fixed length or is no bar (weeks and months, ticks)."""
    match = _STEP.fullmatch(timeframe.strip())
    if match is None or timeframe.strip().endswith("M"):  # 1M is a month everywhere, 1m a minute
        return 1
    return max(1, int(match[1]) * _UNIT_S[match[2].lower()] * NS_PER_S)


def covers(spans: Sequence[TimeSpan], wanted: TimeSpan, *, step_ns: int) -> bool:
    """Whether the spans together hold every bar of `wanted`: between two of them no bar may begin.

    Args:
        spans: in any order.
        wanted: what is asked for.
        step_ns: bars begin at multiples of it since 1970.
    """
    reached_ns = wanted.start_ns  # every bar that begins before is held
    for span in sorted(spans, key=lambda span: span.start_ns):
        if span.start_ns > _next_bar(reached_ns - 1, step_ns):
            return False
        reached_ns = max(reached_ns, span.end_ns + 1)
        if reached_ns > wanted.end_ns:
            return True
    return False if not spans else _next_bar(reached_ns - 1, step_ns) > wanted.end_ns


def _next_bar(after_ns: int, step_ns: int) -> int:
    """Where the first bar begins after that time."""
    return (after_ns // step_ns + 1) * step_ns


def _part(text: str) -> str:
    """A `safe_name` without the sign that separates the parts; again a hash when that makes it too long."""
    name = safe_name(text).replace("_", "%5F")
    if len(name) > TOKEN_BYTES_MAX:
        return HASH_PREFIX + hashlib.sha256(text.encode("utf-8")).hexdigest()[:32]
    return name


def _name_of(ns: int, *, is_day: bool) -> str:
    text = iso_text(ns)
    return text[:10] if is_day else text.replace(":", "")


def _time_of(text: str) -> str:
    """A name's part as ISO text."""
    day, separator, clock = text.partition("T")
    return f"{day}T{clock[:2]}:{clock[2:4]}:{clock[4:]}" if separator else day
