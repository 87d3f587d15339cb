"""Ten levels a side in whole ticks, and the shared picture of them that goes on the wire."""

from __future__ import annotations

from ticklake.testing.market_dice import Dice

LEVELS = 10
TICK = 0.25
BID, ASK = 0, 1

Level = dict[str, float | int]

_SIZE_TYPICAL = 24  # contracts at the best level; three times as many further out


class Book:
    """A limit order book, aggregated by price. Best level first.

    Attributes:
        px: prices in ticks, `px[BID]` falling and `px[ASK]` rising, LEVELS each.
        sz: contracts at those prices, each at least 1.
        levels: the same as wire objects. An object in it is replaced when it changes, never edited, so a copy of the
            list is a snapshot.
    """

    __slots__ = ("_dice", "levels", "px", "sz")

    def __init__(self, dice: Dice, *, bid_ticks: int) -> None:
        self._dice = dice
        self.px = ([bid_ticks - k for k in range(LEVELS)], [bid_ticks + 1 + k for k in range(LEVELS)])
        self.sz = ([self._new_size(k) for k in range(LEVELS)], [self._new_size(k) for k in range(LEVELS)])
        self.levels: list[Level] = []
        self._draw_all()

    @property
    def mid_ticks(self) -> float:
        """Half way between the best prices."""
        return (self.px[BID][0] + self.px[ASK][0]) / 2

    @property
    def spread_ticks(self) -> int:
        """Best ask minus best bid; zero or less while crossed."""
        return self.px[ASK][0] - self.px[BID][0]

    def resize(self, side: int, level: int, contracts: int) -> None:
        """Let a level hold `contracts`, at least 1."""
        self.sz[side][level] = contracts
        bid_px, ask_px = self.px
        bid_sz, ask_sz = self.sz
        self.levels[level] = {
            "bid_px": bid_px[level] * TICK,
            "bid_sz": bid_sz[level],
            "ask_px": ask_px[level] * TICK,
            "ask_sz": ask_sz[level],
        }

    def drop_best(self, side: int) -> None:
        """The best level is gone; one more becomes visible at the far end."""
        away = -1 if side == BID else 1
        del self.px[side][0], self.sz[side][0]
        self.px[side].append(self.px[side][-1] + away)
        self.sz[side].append(self._new_size(LEVELS - 1))
        self._draw_all()

    def improve(self, side: int, price_ticks: int, contracts: int) -> None:
        """A new best level; the last one is out of sight."""
        self.px[side].insert(0, price_ticks)
        self.sz[side].insert(0, contracts)
        del self.px[side][-1], self.sz[side][-1]
        self._draw_all()

    def size_wanted(self, level: int) -> int:
        """Contracts a level tends to hold."""
        return _SIZE_TYPICAL * (1 + min(level, 4) // 2)

    def _new_size(self, level: int) -> int:
        return 1 + int(self.size_wanted(level) * (0.5 + self._dice.uniform()))

    def _draw_all(self) -> None:
        (bid_pxs, ask_pxs), (bid_szs, ask_szs) = self.px, self.sz
        self.levels = [
            {"bid_px": bid_px * TICK, "bid_sz": bid_sz, "ask_px": ask_px * TICK, "ask_sz": ask_sz}
            for bid_px, bid_sz, ask_px, ask_sz in zip(bid_pxs, bid_szs, ask_pxs, ask_szs, strict=True)
        ]
