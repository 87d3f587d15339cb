"""The one place that reads a clock."""

from __future__ import annotations

import time
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
