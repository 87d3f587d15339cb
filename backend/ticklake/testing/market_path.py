"""The fair value the book follows: a walk whose volatility reverts to its mean and sometimes bursts."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from ticklake.testing.market_dice import Dice
from ticklake.testing.market_session import NS_PER_S, Session

_TICKS_PER_ROOT_SECOND = 0.9  # about 35 points a day at 0.25
_PREMARKET_CALM = 0.4
_PULL_PER_S = 1e-5  # keeps the day within sight of where it opened
_BURSTS_PER_S = 1 / 2_400
_GAPS = 4
_GAP_NS_MIN = 1 * NS_PER_S
_GAP_NS_MAX = 8 * NS_PER_S


@dataclass(frozen=True, slots=True)
class FeedGap:
    """The futures feed is silent in [start_ns, until_ns); its sequence numbers go on without us."""

    start_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class PricePath:
    """Fair value second by second.

    Attributes:
        start_ns: time of the first value.
        fair_ticks: fair value ('d', in ticks), one more than there are seconds.
        heat: 1.0 in quiet seconds, 2.5 to 5 inside a burst ('d').
    """

    start_ns: int
    fair_ticks: array[float]
    heat: array[float]


def draw_path(session: Session, dice: Dice, *, start_ticks: int) -> PricePath:
    """One day of fair values around `start_ticks`."""
    fair = float(start_ticks)
    volatility = 1.0
    burst_s = 0
    burst_heat = 1.0
    values = array("d", [fair])
    heats = array("d")
    for second in range(session.seconds):
        if burst_s > 0:
            burst_s -= 1
        elif dice.uniform() < _BURSTS_PER_S:
            burst_s = 20 + dice.below(100)
            burst_heat = 2.5 + 2.5 * dice.uniform()
        heat = burst_heat if burst_s else 1.0
        volatility = min(2.5, max(0.4, volatility + 0.002 * (1.0 - volatility) + 0.03 * dice.normal()))
        calm = _PREMARKET_CALM if second < session.premarket_seconds else 1.0
        fair += _TICKS_PER_ROOT_SECOND * calm * volatility * heat * dice.normal() + _PULL_PER_S * (start_ticks - fair)
        values.append(fair)
        heats.append(heat)
    return PricePath(session.premarket_ns, values, heats)


def draw_gaps(session: Session, dice: Dice) -> tuple[FeedGap, ...]:
    """A few silences of the feed, in order, one per equal part of the day."""
    part_ns = (session.close_ns - session.premarket_ns) // _GAPS
    gaps = []
    for part in range(_GAPS):
        length_ns = _GAP_NS_MIN + int(dice.uniform() * (_GAP_NS_MAX - _GAP_NS_MIN))
        start_ns = session.premarket_ns + part * part_ns + int(dice.uniform() * (part_ns - length_ns))
        gaps.append(FeedGap(start_ns, start_ns + length_ns))
    return tuple(gaps)
