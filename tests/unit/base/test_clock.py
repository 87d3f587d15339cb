"""A time as text, exact to the nanosecond."""

from __future__ import annotations

from ticklake.base.clock import format_time


def test_times_keep_their_nanoseconds() -> None:
    assert format_time(1) == "1970-01-01T00:00:00.000000001Z"
    assert format_time(-1) == "1969-12-31T23:59:59.999999999Z"
