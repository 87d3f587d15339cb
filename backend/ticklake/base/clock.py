"""The one place that reads a clock, and how a time is written."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC. May jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds since some start. Never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds since some start."""
        return time.monotonic()


def format_time(wall_ns: int) -> str:
    """RFC 3339, UTC, nanoseconds: `2024-12-16T14:30:12.000000001Z`."""
    seconds, fraction_ns = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction_ns:09d}Z"
