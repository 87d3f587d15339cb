"""A clock that moves only when it is told to."""

from __future__ import annotations

NS_PER_S = 1_000_000_000

MONDAY_MORNING_NS = 1_734_359_400 * NS_PER_S
"""2024-12-16 14:30:00 UTC: the bell of an ordinary trading day."""


class ManualClock:
    """A `Clock` for tests: time stands still between two calls of `advance`."""

    def __init__(self, *, wall_ns: int = MONDAY_MORNING_NS, monotonic_s: float = 0.0) -> None:
        self._wall_ns = wall_ns
        self._monotonic_s = monotonic_s

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch, UTC."""
        return self._wall_ns

    def monotonic_s(self) -> float:
        """Seconds since the clock's own zero."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both hands.

        Raises:
            ValueError: time does not run backwards; use `set_wall_ns` for a jump of the wall clock.
        """
        if seconds < 0:
            raise ValueError(f"cannot advance by {seconds} s; call set_wall_ns to move the wall clock back")
        self._wall_ns += round(seconds * NS_PER_S)
        self._monotonic_s += seconds

    def set_wall_ns(self, wall_ns: int) -> None:
        """Let the wall clock jump, back or forth, as a time server may do. The monotonic hand stays."""
        self._wall_ns = wall_ns
