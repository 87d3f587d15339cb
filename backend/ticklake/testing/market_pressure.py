"""What pushes at one level: resting orders, trades and dealers, remembered over a few seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ticklake.testing.market_book import ASK, BID, TICK, Book
from ticklake.testing.market_flow import BookChange

ZONE_TICKS = 8  # two points either side of the level
INTERVAL_S = 0.25

_FADE = 0.92  # per interval: a memory of about three seconds
_TOUCH_POINTS, _LEAVE_POINTS = 0.5, 2.0
_SWEEP_PRINTS_MIN = 3
_SWEEP_NOTIONAL_MIN = 500_000.0
_POINT_DOLLARS = 50.0


def smoothing(tau_s: float) -> float:
    """Weight of the newest value in an average with time constant `tau_s`."""
    return round(1.0 - math.exp(-INTERVAL_S / tau_s), 9)


_SCORE, _VELOCITY, _LIQUIDITY = smoothing(2.0), smoothing(1.5), smoothing(3.0)


@dataclass(slots=True)
class Pressure:
    """Running numbers of one level. Sizes in contracts, velocity in points per second.

    Attributes:
        delta_liq: contracts the zone gained.
        replenishment: contracts added per contract that went; 1.0 when nothing moved.
        barrier_state: what the resting orders are doing.
        sweep: direction, notional in dollars and number of prints of a sweep in the last interval, or None.
    """

    added: float = 0.0
    canceled: float = 0.0
    filled: float = 0.0
    bought: float = 0.0
    sold: float = 0.0
    barrier_state: str = "NEUTRAL"
    delta_liq: float = 0.0
    replenishment: float = 1.0
    depth: int = 0
    is_visible: bool = False
    defending_price: float | None = None
    defending_size: int | None = None
    delta_liq_smooth: float = 0.0
    replenishment_smooth: float = 1.0
    velocity_smooth: float = 0.0
    score_smooth: float = 50.0
    prior_touches: int = 0
    approach_intervals: int = 0
    approach_from: float = 0.0
    sweep: tuple[str, float, int] | None = None
    _distance: float = math.inf
    _has_left: bool = True

    @property
    def imbalance(self) -> float:
        """Bought minus sold over both, -1 to +1."""
        total = self.bought + self.sold
        return (self.bought - self.sold) / total if total > 0.5 else 0.0

    def take(self, changes: list[BookChange], book: Book, *, level_ticks: float, velocity: float) -> None:
        """Fade the past and add one interval of book changes."""
        self.added *= _FADE
        self.canceled *= _FADE
        self.filled *= _FADE
        self.bought *= _FADE
        self.sold *= _FADE
        defending = BID if book.mid_ticks >= level_ticks else ASK
        low, high = level_ticks - ZONE_TICKS, level_ticks + ZONE_TICKS
        near = [change for change in changes if low <= change.price_ticks <= high]
        for change in near:
            self._count(change, "BA"[defending])
        self.sweep = _find_sweep(near)
        self._look(book, defending, low=low, high=high)
        gone = self.canceled + self.filled
        self.delta_liq = self.added - gone
        self.replenishment = min(100.0, self.added / gone) if gone > 0.5 else 1.0
        self.barrier_state = self._judge()
        self.delta_liq_smooth += _LIQUIDITY * (self.delta_liq - self.delta_liq_smooth)
        self.replenishment_smooth += _LIQUIDITY * (self.replenishment - self.replenishment_smooth)
        self.velocity_smooth += _VELOCITY * (velocity - self.velocity_smooth)
        self._approach(abs(book.mid_ticks - level_ticks) * TICK)

    def score(self, raw: float) -> None:
        """Add one raw score (0 to 100) to the smooth one."""
        self.score_smooth += _SCORE * (raw - self.score_smooth)

    def _count(self, change: BookChange, defending: str) -> None:
        if change.aggressor:
            resting = "A" if change.aggressor > 0 else "B"
            if change.aggressor > 0:
                self.bought += change.contracts
            else:
                self.sold += change.contracts
            if resting == defending:
                self.filled += change.contracts
        elif change.side == defending:
            if change.action == "A":
                self.added += change.contracts
            elif change.action == "C":
                self.canceled += change.contracts

    def _look(self, book: Book, side: int, *, low: float, high: float) -> None:
        prices = book.px[side]
        seen = []
        if min(prices[0], prices[-1]) <= high and max(prices[0], prices[-1]) >= low:
            seen = [(px, sz) for px, sz in zip(prices, book.sz[side], strict=True) if low <= px <= high]
        self.is_visible = bool(seen)
        self.depth = sum(size for _, size in seen)
        self.defending_price = seen[0][0] * TICK if seen else None
        self.defending_size = seen[0][1] if seen else None

    def _judge(self) -> str:
        if not self.is_visible:
            return "NEUTRAL"
        delta, ratio = self.delta_liq, self.replenishment
        if delta < -100:
            return "VACUUM" if ratio < 0.3 else "CONSUMED" if self.filled > self.canceled else "NEUTRAL"
        if delta > 100 and ratio > 1.5:
            return "WALL"
        if (delta > 0 and ratio > 1) or (abs(delta) < 50 and self.added + self.canceled > 100):
            return "ABSORPTION"
        return "WEAK" if self.depth < 50 else "NEUTRAL"

    def _approach(self, distance: float) -> None:
        if distance < self._distance:
            self.approach_from = distance if not self.approach_intervals else self.approach_from
            self.approach_intervals += 1
        elif distance > self._distance + TICK:
            self.approach_intervals = 0
        if distance <= _TOUCH_POINTS and self._has_left:
            self.prior_touches += 1
            self._has_left = False
        elif distance >= _LEAVE_POINTS:
            self._has_left = True
        self._distance = distance


def _find_sweep(near: list[BookChange]) -> tuple[str, float, int] | None:
    prints = [change for change in near if change.aggressor]
    if len(prints) < _SWEEP_PRINTS_MIN or len({change.aggressor for change in prints}) > 1:
        return None
    notional = sum(change.price_ticks * TICK * change.contracts for change in prints) * _POINT_DOLLARS
    if notional < _SWEEP_NOTIONAL_MIN:
        return None
    return ("UP" if prints[0].aggressor > 0 else "DOWN"), notional, len(prints)
