"""Session hours, contracts and the shape of the day."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ticklake.base.errors import UsageError
from ticklake.testing.market_session import activity_by_second, quarterly_contracts, trading_session


@pytest.mark.parametrize(
    ("day", "bell_utc_hour"),
    [(date(2025, 3, 7), 14), (date(2025, 3, 10), 13), (date(2025, 10, 31), 13), (date(2025, 11, 3), 14)],
)
def test_hours_follow_new_york_through_summer_time(day: date, bell_utc_hour: int) -> None:
    session = trading_session(day)
    bell = datetime(day.year, day.month, day.day, bell_utc_hour, 30, tzinfo=UTC)
    assert session.bell_ns == int(bell.timestamp()) * 10**9
    assert session.bell_ns - session.premarket_ns == timedelta(hours=5.5) // timedelta(microseconds=1) * 1_000
    assert session.close_ns - session.bell_ns == timedelta(hours=6.5) // timedelta(microseconds=1) * 1_000


def test_weekends_are_refused() -> None:
    with pytest.raises(UsageError, match="Saturday"):
        trading_session(date(2024, 12, 14))


@pytest.mark.parametrize(
    ("day", "codes"),
    [
        (date(2024, 12, 11), ("ESZ4", "ESH5")),
        (date(2024, 12, 12), ("ESH5", "ESM5")),  # eight days before the third Friday
        (date(2025, 1, 2), ("ESH5", "ESM5")),
        (date(2025, 9, 10), ("ESU5", "ESZ5")),
        (date(2029, 12, 31), ("ESH0", "ESM0")),
    ],
)
def test_front_contract_rolls_eight_days_before_expiry(day: date, codes: tuple[str, str]) -> None:
    assert quarterly_contracts("ES", day) == codes


def test_activity_is_a_share_that_peaks_at_the_bell() -> None:
    session = trading_session(date(2024, 12, 16))
    activity = activity_by_second(session)
    bell = session.premarket_seconds
    noon = bell + 3 * 3600
    assert len(activity) == session.seconds == 12 * 3600
    assert sum(activity) == pytest.approx(1.0)
    assert activity[bell] == max(activity)
    assert activity[-1] > activity[noon] > activity[bell - 1] > activity[0] > 0
