"""When the simulated market is open, how busy it is, and which contracts trade."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ticklake.base.errors import UsageError

NS_PER_S = 1_000_000_000
NEW_YORK = ZoneInfo("America/New_York")

PREMARKET = time(4, 0)
_BELL = time(9, 30)
_CLOSE = time(16, 0)
_QUARTERS = {3: "H", 6: "M", 9: "U", 12: "Z"}
_ROLL_DAYS = 8  # volume moves to the next contract eight days before expiry


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day, New York hours as UTC nanoseconds.

    Attributes:
        day: the date in New York.
        premarket_ns: 04:00, the first event may come.
        bell_ns: 09:30, regular trading begins.
        close_ns: 16:00, no event at or after it.
    """

    day: date
    premarket_ns: int
    bell_ns: int
    close_ns: int

    @property
    def seconds(self) -> int:
        """Length of the day from premarket to close."""
        return (self.close_ns - self.premarket_ns) // NS_PER_S

    @property
    def premarket_seconds(self) -> int:
        """Length of the premarket."""
        return (self.bell_ns - self.premarket_ns) // NS_PER_S


def trading_session(day: date) -> Session:
    """The hours of `day`. Exchange holidays are not known here: they simulate as ordinary days.

    Raises:
        UsageError: `day` is a Saturday or Sunday; choose a weekday.
    """
    if day.weekday() >= 5:
        raise UsageError(f"{day.isoformat()} is a {day:%A}: the market is closed; choose a weekday")
    return Session(day, new_york_ns(day, PREMARKET), new_york_ns(day, _BELL), new_york_ns(day, _CLOSE))


def new_york_ns(day: date, at: time) -> int:
    """A moment of `day` by the clock in New York, summer time or not."""
    return int(datetime.combine(day, at, NEW_YORK).timestamp()) * NS_PER_S


def activity_by_second(session: Session) -> list[float]:
    """Share of the day's events in each second; sums to 1. Thin premarket, busy bell, quiet noon, busy close."""
    before = session.premarket_seconds
    regular = session.seconds - before
    weights = [0.05 + 0.12 * (s / before) * (s / before) for s in range(before)]
    for s in range(regular):
        side = 2.0 * s / regular - 1.0  # -1 at the bell, +1 at the close
        early = 1.0 - s / regular
        weights.append(0.5 + 0.8 * side * side + 1.4 * early * early * early * early * early * early)
    total = sum(weights)
    return [weight / total for weight in weights]


def quarterly_contracts(root: str, day: date) -> tuple[str, str]:
    """Codes of the front contract and the one after it, for example `("ESH5", "ESM5")`; one year digit."""
    codes: list[str] = []
    year, month = day.year, (day.month + 2) // 3 * 3
    while len(codes) < 2:
        if codes or day < _third_friday(year, month) - timedelta(days=_ROLL_DAYS):
            codes.append(f"{root}{_QUARTERS[month]}{year % 10}")
        year, month = (year, month + 3) if month < 12 else (year + 1, 3)
    return codes[0], codes[1]


def _third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)
