"""Which price levels matter today: premarket and opening extremes, and two slow averages."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from ticklake.testing.market_book import TICK
from ticklake.testing.market_dice import Dice
from ticklake.testing.market_session import NS_PER_S, Session

_OPENING_RANGE_NS = 15 * 60 * NS_PER_S
_BAR_NS = 120 * NS_PER_S
_AVERAGES = {"SMA_200": 200, "SMA_400": 400}
_WARMUP_STEP_TICKS = 3.0  # typical move of one bar before today


@dataclass(frozen=True, slots=True)
class PriceLevel:
    """A level and where it stands now; `kind` is also its id."""

    kind: str
    price: float


class LevelBoard:
    """Follows the spot and keeps the levels.

    PM_HIGH and PM_LOW move until the bell, OR_HIGH and OR_LOW in the first 15 minutes after it; the averages move with
    every two-minute bar, warmed up with bars from before today.
    """

    __slots__ = ("_averages", "_bar_until_ns", "_closes", "_extremes", "_session", "levels")

    def __init__(self, session: Session, dice: Dice, *, begin_ns: int, open_price: float) -> None:
        self._session = session
        self._extremes: dict[str, float] = {}
        self._bar_until_ns = begin_ns + _BAR_NS
        self._closes = deque(_bars_before_today(dice, open_price), maxlen=max(_AVERAGES.values()))
        self._averages: dict[str, float] = {}
        self.levels: tuple[PriceLevel, ...] = ()
        self._average()

    def observe(self, now_ns: int, spot: float) -> None:
        """Take in one spot price."""
        changed = self._stretch(now_ns, spot)
        while now_ns >= self._bar_until_ns:
            self._bar_until_ns += _BAR_NS
            self._closes.append(spot)
            self._average()
            changed = True
        if changed or not self.levels:
            self.levels = tuple(PriceLevel(kind, price) for kind, price in (self._extremes | self._averages).items())

    def _stretch(self, now_ns: int, spot: float) -> bool:
        if now_ns < self._session.bell_ns:
            prefix = "PM"
        elif now_ns < self._session.bell_ns + _OPENING_RANGE_NS:
            prefix = "OR"
        else:
            return False
        high, low = f"{prefix}_HIGH", f"{prefix}_LOW"
        before = (self._extremes.get(high), self._extremes.get(low))
        self._extremes[high] = max(spot, self._extremes.get(high, spot))
        self._extremes[low] = min(spot, self._extremes.get(low, spot))
        return before != (self._extremes[high], self._extremes[low])

    def _average(self) -> None:
        closes = list(self._closes)
        for kind, bars in _AVERAGES.items():
            self._averages[kind] = round(sum(closes[-bars:]) / bars, 4)


def _bars_before_today(dice: Dice, open_price: float) -> list[float]:
    """Closes that end at the open, oldest first; whole ticks, so their sums are exact."""
    price, closes = open_price, []
    for _ in range(max(_AVERAGES.values())):
        closes.append(price)
        price += TICK * round(_WARMUP_STEP_TICKS * dice.normal())
    return closes[::-1]
