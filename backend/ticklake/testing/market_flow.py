"""What happens to the book next: orders come, go and trade, and pull the price towards its fair value."""

from __future__ import annotations

from typing import NamedTuple

from ticklake.testing.market_book import ASK, BID, Book
from ticklake.testing.market_dice import Dice

_SIDES = ("B", "A")
_TRADE_SHARE = 0.29
_CROSSED_SHARE = 0.0002
_MODIFIED_SHARE = 0.04
_FOLLOW_TICKS = 1.0  # further away than this, the book moves towards the fair value
_FOLLOW_BY_TRADE = 0.6
_WIDE_TICKS_MAX = 4
_STAYS_WIDE = 0.7  # inside a burst, how often a wide spread is left alone
_DEEP = (0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9)  # where orders land: mostly at the top


class BookChange(NamedTuple):
    """One change of the book (a tuple, because there are millions).

    Attributes:
        action: A added, C cancelled, M the level now holds `contracts`, T traded against, F filled away to nothing.
        side: whose orders changed (B or A); for T the side of the aggressor.
        price_ticks: where.
        contracts: how many came or went (for M: how many there are now).
        aggressor: 1 a buyer lifted the ask, -1 a seller hit the bid, 0 nothing traded.
    """

    action: str
    side: str
    price_ticks: int
    contracts: int
    aggressor: int


class OrderFlow:
    """Changes a book step by step. Every step is exactly one change, so snapshots differ by what their action says."""

    __slots__ = ("_crossed_side", "_dice", "book")

    def __init__(self, book: Book, dice: Dice) -> None:
        self.book = book
        self._dice = dice
        self._crossed_side: int | None = None

    def is_behind(self, fair_ticks: float) -> bool:
        """Whether the book still has to move to reach the fair value."""
        return abs(fair_ticks - self.book.mid_ticks) > _FOLLOW_TICKS

    def step(self, fair_ticks: float, *, heat: float) -> BookChange:
        """Change the book once."""
        book = self.book
        if self._crossed_side is not None:
            return self._uncross(self._crossed_side)
        away_ticks = fair_ticks - book.mid_ticks
        spread_ticks = book.spread_ticks
        if spread_ticks > 1 and not self._stays_wide(spread_ticks, heat):
            return self._narrow(away_ticks)
        if away_ticks > _FOLLOW_TICKS:
            return self._take_level(ASK)
        if away_ticks < -_FOLLOW_TICKS:
            return self._take_level(BID)
        return self._noise(away_ticks)

    def _stays_wide(self, spread_ticks: int, heat: float) -> bool:
        return heat > 1.0 and spread_ticks < _WIDE_TICKS_MAX and self._dice.uniform() < _STAYS_WIDE

    def _narrow(self, away_ticks: float) -> BookChange:
        side = BID if away_ticks + self._dice.uniform() - 0.5 > 0 else ASK
        price_ticks = self.book.px[side][0] + (1 if side == BID else -1)
        return self._improve(side, price_ticks)

    def _improve(self, side: int, price_ticks: int) -> BookChange:
        contracts = 1 + self._dice.below(self.book.size_wanted(0))
        self.book.improve(side, price_ticks, contracts)
        return BookChange("A", _SIDES[side], price_ticks, contracts, 0)

    def _take_level(self, side: int) -> BookChange:
        """The whole best level of `side` goes, by a trade or by a cancel."""
        price_ticks, contracts = self.book.px[side][0], self.book.sz[side][0]
        self.book.drop_best(side)
        if self._dice.uniform() < _FOLLOW_BY_TRADE:
            return BookChange("F", _SIDES[side], price_ticks, contracts, 1 if side == ASK else -1)
        return BookChange("C", _SIDES[side], price_ticks, contracts, 0)

    def _noise(self, away_ticks: float) -> BookChange:
        draw = self._dice.uniform()
        if draw < _TRADE_SHARE:
            return self._trade(away_ticks)
        if draw < _TRADE_SHARE + _CROSSED_SHARE:
            return self._cross()
        side = self._dice.below(2)
        level = _DEEP[self._dice.below(len(_DEEP))]
        if draw < _TRADE_SHARE + _CROSSED_SHARE + _MODIFIED_SHARE:
            return self._modify(side, level)
        return self._add_or_cancel(side, level)

    def _trade(self, away_ticks: float) -> BookChange:
        side = ASK if self._dice.uniform() < 0.5 + 0.1 * away_ticks else BID
        aggressor = 1 if side == ASK else -1
        resting, wanted = self.book.sz[side][0], self._dice.lots()
        if wanted >= resting and away_ticks * aggressor > 0:
            price_ticks = self.book.px[side][0]
            self.book.drop_best(side)
            return BookChange("F", _SIDES[side], price_ticks, resting, aggressor)
        if resting == 1:
            return self._add_or_cancel(side, 0)  # nothing to spare: somebody joins first
        contracts = min(wanted, resting - 1)
        self.book.resize(side, 0, resting - contracts)
        return BookChange("T", _SIDES[1 - side], self.book.px[side][0], contracts, aggressor)

    def _modify(self, side: int, level: int) -> BookChange:
        contracts = 1 + self._dice.below(2 * self.book.size_wanted(level))
        self.book.resize(side, level, contracts)
        return BookChange("M", _SIDES[side], self.book.px[side][level], contracts, 0)

    def _add_or_cancel(self, side: int, level: int) -> BookChange:
        resting = self.book.sz[side][level]
        wanted = self.book.size_wanted(level)
        if resting == 1 or self._dice.uniform() < 0.5 + 0.35 * (wanted - resting) / wanted:
            contracts = self._dice.lots()
            self.book.resize(side, level, resting + contracts)
            return BookChange("A", _SIDES[side], self.book.px[side][level], contracts, 0)
        contracts = min(self._dice.lots(), resting - 1)
        self.book.resize(side, level, resting - contracts)
        return BookChange("C", _SIDES[side], self.book.px[side][level], contracts, 0)

    def _cross(self) -> BookChange:
        """A bid at or above the best ask: feeds show such moments, and readers must live with them."""
        self._crossed_side = BID
        return self._improve(BID, self.book.px[ASK][0] + self._dice.below(2))

    def _uncross(self, side: int) -> BookChange:
        self._crossed_side = None
        price_ticks, contracts = self.book.px[side][0], self.book.sz[side][0]
        self.book.drop_best(side)
        return BookChange("C", _SIDES[side], price_ticks, contracts, 0)
