"""Chance that falls the same way on every machine.

Only `Random.random` is promised to stay the same between Python versions, and logarithms differ between C libraries
in the last bit. So every other distribution is looked up in a table whose entries are rounded far above that bit.
"""

from __future__ import annotations

import math
from random import Random
from statistics import NormalDist

_CELLS = 4096
_CENTRES = [(cell + 0.5) / _CELLS for cell in range(_CELLS)]
_NORMAL = [round(NormalDist().inv_cdf(p), 9) for p in _CENTRES]
_WAIT = [round(-math.log(1.0 - p), 9) for p in _CENTRES]
_LOT = [min(200, 1 + int(0.9 * (1.0 / (1.0 - p) - 1.0))) for p in _CENTRES]  # half are one lot, one in 200 is over 170


class Dice:
    """Seeded draws for one part of the market; parts with different names do not disturb each other."""

    __slots__ = ("uniform",)

    def __init__(self, seed: int, name: str) -> None:
        self.uniform = Random(f"{seed}/{name}").random  # noqa: S311 - a market, not a secret
        """A float in [0, 1)."""

    def normal(self) -> float:
        """Mean 0, deviation 1, within +-3.7."""
        return _NORMAL[int(self.uniform() * _CELLS)]

    def wait(self) -> float:
        """Exponential waiting time with mean 1, at most 9."""
        return _WAIT[int(self.uniform() * _CELLS)]

    def lots(self) -> int:
        """Size of an order in contracts, 1 to 200, with a fat tail."""
        return _LOT[int(self.uniform() * _CELLS)]

    def below(self, count: int) -> int:
        """An integer in [0, count)."""
        return int(self.uniform() * count)
