"""How option dealers must hedge, as far as today's option trades tell."""

from __future__ import annotations

from collections import Counter

from ticklake.testing.market_options import MULTIPLIER, OptionTrade
from ticklake.testing.market_pressure import smoothing

_NEAR_POINTS = 10
_STRONG = 25.0  # contracts of hedge per index point
_SMOOTH = smoothing(5.0)


class Dealers:
    """Net gamma by strike and the strikes with the most volume.

    Attributes:
        call_wall: strike with the most call contracts, None before the first.
        put_wall: the same for puts.
        busiest: strike with the most contracts of both ("hvl").
    """

    __slots__ = ("_calls", "_gamma", "_puts", "_smooth", "_volume", "busiest", "call_wall", "put_wall")

    def __init__(self) -> None:
        self._gamma: dict[int, float] = {}
        self._calls: Counter[int] = Counter()
        self._puts: Counter[int] = Counter()
        self._volume: Counter[int] = Counter()
        self._smooth: dict[str, float] = {}
        self.call_wall: int | None = None
        self.put_wall: int | None = None
        self.busiest: int | None = None

    def take(self, trades: list[OptionTrade]) -> None:
        """Add trades; a customer who buys leaves the dealer short of gamma."""
        for trade in trades:
            strike = trade.strike
            hedge = -trade.aggressor * trade.gamma * trade.contracts * MULTIPLIER
            self._gamma[strike] = self._gamma.get(strike, 0.0) + hedge
            if trade.right == "C":
                self.call_wall = _leader(self._calls, strike, trade.contracts, self.call_wall)
            else:
                self.put_wall = _leader(self._puts, strike, trade.contracts, self.put_wall)
            self.busiest = _leader(self._volume, strike, trade.contracts, self.busiest)

    def fuel(self, kind: str, price: float) -> dict[str, object]:
        """The `fuel` object of a level."""
        first = -(-int(price - _NEAR_POINTS) // 5) * 5
        net = round(sum(self._gamma.get(strike, 0.0) for strike in range(first, int(price) + _NEAR_POINTS + 1, 5)), 6)
        smooth = self._smooth.get(kind, net)
        self._smooth[kind] = smooth = smooth + _SMOOTH * (net - smooth)
        return {
            "effect": "AMPLIFY" if net < -_STRONG else "DAMPEN" if net > _STRONG else "NEUTRAL",
            "net_dealer_gamma": net,
            "net_dealer_gamma_smooth": round(smooth, 6),
            "call_wall": self.call_wall,
            "put_wall": self.put_wall,
            "hvl": self.busiest,
        }


def _leader(counts: Counter[int], strike: int, contracts: int, leader: int | None) -> int:
    counts[strike] += contracts
    return strike if leader is None or counts[strike] > counts[leader] else leader
