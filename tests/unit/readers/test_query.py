from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.errors import UsageError
from ticklake.readers.query import (
    DAY_NS,
    HOUR_NS,
    Selection,
    TimeRange,
    closed,
    day_of,
    days_of,
    folder_span,
    half_open,
    instant_ns,
    values_of,
)

MONDAY_NS = 1_734_307_200 * 10**9  # 2024-12-16T00:00:00Z


def day_at(event_ns: int) -> date:
    return datetime.fromtimestamp(event_ns // 10**9, UTC).date()


def hour_at(event_ns: int) -> int:
    return datetime.fromtimestamp(event_ns // 10**9, UTC).hour


TIMES = st.integers(946_684_800 * 10**9, 4_102_444_800 * 10**9)


@pytest.mark.parametrize(
    ("value", "expected_ns"),
    [
        (5, 5),
        ("2024-12-16", MONDAY_NS),
        (date(2024, 12, 16), MONDAY_NS),
        ("2024-12-16T00:00:01", MONDAY_NS + 10**9),
        ("2024-12-16 00:01", MONDAY_NS + 60 * 10**9),
        ("2024-12-16T00:00:00.123456789Z", MONDAY_NS + 123_456_789),
        ("2024-12-16T00:00:00.5", MONDAY_NS + 500_000_000),
        ("2024-12-15T19:00:00-05:00", MONDAY_NS),
        (datetime(2024, 12, 16, 0, 0, 0, 7, UTC), MONDAY_NS + 7_000),
        (datetime(2024, 12, 15, 19, tzinfo=timezone(timedelta(hours=-5))), MONDAY_NS),
        ("1969-12-31T23:59:59Z", -(10**9)),
    ],
)
def test_every_way_to_write_a_time_means_the_same(value: int | str | date | datetime, expected_ns: int) -> None:
    assert instant_ns(value) == expected_ns


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "2024-13-01", "2024-12-16T25:00", "16.12.2024", True, 1.7e18, None],
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(UsageError, match="is no time"):
        instant_ns(value)


def test_times_of_numpy_and_pandas_keep_every_nanosecond() -> None:
    import pandas as pd

    assert instant_ns(pd.Timestamp("2024-12-16T00:00:00.123456789Z")) == MONDAY_NS + 123_456_789
    assert instant_ns(np.int64(MONDAY_NS)) == MONDAY_NS  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1.7e18, "2024-12-16", datetime(2024, 12, 16, tzinfo=UTC), True])
def test_nanoseconds_are_whole_numbers(value: Any) -> None:
    assert closed(np.int64(1), np.int64(5)) == TimeRange(1, 6)
    with pytest.raises(UsageError, match="start_ns is"):
        closed(value, None)
    with pytest.raises(UsageError, match="end_ns is"):
        closed(None, value)


def test_a_datetime_without_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="names no zone"):
        instant_ns(datetime(2024, 12, 16))  # noqa: DTZ001 - the point of the test


def test_half_open_excludes_its_end_and_closed_includes_it() -> None:
    assert half_open(1, 5) == TimeRange(1, 5)
    assert closed(1, 5) == TimeRange(1, 6)
    assert closed(5, 5) == TimeRange(5, 6)


def test_a_range_without_moments_is_refused() -> None:
    with pytest.raises(UsageError, match="end is exclusive"):
        half_open("2024-12-16", "2024-12-16")
    with pytest.raises(UsageError, match="before start_ns"):
        closed(2, 1)


def test_days_and_values_take_one_or_many() -> None:
    assert days_of(None) is None
    assert days_of("2024-12-16") == days_of(date(2024, 12, 16)) == {date(2024, 12, 16)}
    assert days_of(["2024-12-16", date(2024, 12, 17)]) == {date(2024, 12, 16), date(2024, 12, 17)}
    assert values_of(None) is None
    assert values_of("ES") == {"ES"}
    assert values_of(["ES", "NQ"]) == {"ES", "NQ"}
    with pytest.raises(UsageError, match="YYYY-MM-DD"):
        day_of("16.12.2024")
    with pytest.raises(UsageError, match="a moment, not a day"):
        day_of(datetime(2024, 12, 16, tzinfo=UTC))
    for number in (20241216, [20241216]):
        with pytest.raises(UsageError, match="20241216 is no date"):
            days_of(number)  # type: ignore[arg-type]
    for other in (5, [5], [None]):
        with pytest.raises(UsageError, match="is no symbol"):
            values_of(other)  # type: ignore[arg-type]


@given(event_ns=TIMES, start_ns=st.none() | TIMES, length_ns=st.none() | st.integers(1, 3 * DAY_NS))
def test_no_folder_that_holds_a_wanted_event_is_pruned(
    event_ns: int, start_ns: int | None, length_ns: int | None
) -> None:
    until_ns = None if length_ns is None else (start_ns or event_ns) + length_ns
    wanted = TimeRange(start_ns, until_ns)
    selection = Selection(range=wanted)
    inside = (start_ns is None or event_ns >= start_ns) and (until_ns is None or event_ns < until_ns)
    if inside:
        assert selection.wants_date(day_at(event_ns))
        assert selection.wants_hour(day_at(event_ns), hour_at(event_ns))


@given(event_ns=TIMES)
def test_a_range_of_one_hour_opens_one_hour(event_ns: int) -> None:
    start_ns = event_ns // HOUR_NS * HOUR_NS
    selection = Selection(range=TimeRange(start_ns, start_ns + HOUR_NS))
    opened = [
        (day, hour)
        for day in (day_at(start_ns - DAY_NS), day_at(start_ns), day_at(start_ns + DAY_NS))
        if selection.wants_date(day)
        for hour in range(24)
        if selection.wants_hour(day, hour)
    ]
    assert opened == [(day_at(event_ns), hour_at(event_ns))]


@given(event_ns=TIMES)
def test_a_folder_spans_its_events(event_ns: int) -> None:
    span = folder_span({"date": day_at(event_ns).isoformat(), "hour": f"{hour_at(event_ns):02d}"})
    assert span.start_ns is not None
    assert span.until_ns is not None
    assert span.start_ns <= event_ns < span.until_ns
    assert span.until_ns - span.start_ns == HOUR_NS


def test_a_folder_with_an_absurd_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="no hour of a day"):
        folder_span({"date": "2024-12-16", "hour": "24"})
