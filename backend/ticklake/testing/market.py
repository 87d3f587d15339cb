"""One seeded trading day of ES: futures, book, options and level signals, event by event.

The same seed gives the same bytes on every machine. Nothing is precomputed but one fair value per second, so a day of
3 million events needs a few megabytes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, time

import polars as pl

from ticklake.base.errors import UsageError
from ticklake.testing.market_book import TICK, Book
from ticklake.testing.market_bulk import draw_trades
from ticklake.testing.market_dice import Dice
from ticklake.testing.market_event import SOURCE, SimulatedEvent, encode
from ticklake.testing.market_flow import BookChange, OrderFlow
from ticklake.testing.market_levels import LevelBoard
from ticklake.testing.market_options import OptionFlow
from ticklake.testing.market_path import FeedGap, draw_gaps, draw_path
from ticklake.testing.market_session import (
    NS_PER_S,
    PREMARKET,
    activity_by_second,
    new_york_ns,
    quarterly_contracts,
    trading_session,
)
from ticklake.testing.market_signals import INTERVAL_NS, SIGNALS_SUBJECT, LevelSignals

__all__ = ["MarketSimulator", "SimulatedEvent", "encode"]

TRADES_SUBJECT = "market.futures.trades"
BOOK_SUBJECT = "market.futures.mbp10"
UNDERLYING = "ES"

_BOOK_UPDATES_FULL = 1_950_000  # steps drawn by the clock; following the price adds a few percent
_NEXT_CONTRACT_SHARE = 0.11
_BASIS_SHARE = 0.009  # a quarter of carry
_EXCHANGE = "XCME"


class MarketSimulator:
    """A market that never was.

    Events: `market.futures.trades` (front contract, and the next one for a tenth), `market.futures.mbp10` (front
    contract, one snapshot per change), `market.options.trades` and `.nbbo` (expiring today), `levels.signals` (every
    250 ms whatever the scale). All numbers are as on the wire: index points, contracts, UTC ns.

    Two snapshots in a row differ by exactly what the second one's action says: A and C change the level at
    `action_price` by `action_size` contracts, M sets it to that size, T took that many from the other side than
    `side`, F filled away the whole level of `side`.
    """

    def __init__(
        self, seed: int, session_date: date, *, scale: float = 1.0, open_price: float = 6_000.0, begin: time = PREMARKET
    ) -> None:
        """Choose a day.

        Args:
            seed: the same seed, date and scale give the same events.
            session_date: a weekday in New York.
            scale: 1.0 is a full day (about 2 million book updates, 600,000 trades); 0.01 a sketch of it. Prices move as
                much at any scale, so below 0.05 the book needs more updates than the scale says.
            open_price: where the day starts, in index points.
            begin: when the first event may come, New York time; a late beginning spares the premarket.

        Raises:
            UsageError: a weekend, a scale that is not positive, or a beginning outside 04:00 to 16:00.
        """
        if not scale > 0:
            raise UsageError(f"scale is {scale}; it must be above 0, for example 0.01")
        self._seed = seed
        self._scale = scale
        self._open_ticks = round(open_price / TICK)
        self.session = trading_session(session_date)
        self._begin_ns = new_york_ns(session_date, begin)
        if not self.session.premarket_ns <= self._begin_ns < self.session.close_ns:
            raise UsageError(f"begin is {begin}; the session runs from 04:00 to 16:00 New York time")
        self.contracts = quarterly_contracts(UNDERLYING, session_date)
        self.feed_gaps: tuple[FeedGap, ...] = draw_gaps(self.session, Dice(seed, "gaps"))
        """When the futures feed is silent; sequence numbers of futures events jump there and nowhere else."""

    def events(
        self, start_ns: int | None = None, end_ns: int | None = None, *, subjects: Collection[str] | None = None
    ) -> Iterator[SimulatedEvent]:
        """Events in [start_ns, end_ns), ordered by time; the whole day by default.

        The day is always played from where it begins, silently until `start_ns`: a window holds the same events as the
        whole day shows there.

        Args:
            start_ns: UTC; the beginning of the day when None.
            end_ns: UTC; the close when None.
            subjects: events of these only, the same as among all; a day without level signals takes half the time.
        """
        start_ns = self._begin_ns if start_ns is None else start_ns
        end_ns = self.session.close_ns if end_ns is None else min(end_ns, self.session.close_ns)
        day = _Day(self._seed, self, begin_ns=self._begin_ns, scale=self._scale, open_ticks=self._open_ticks)
        if subjects is None:
            return day.play(start_ns, end_ns)
        day.has_signals = SIGNALS_SUBJECT in subjects
        return (event for event in day.play(start_ns, end_ns) if event.subject in subjects)

    def trades_frame(self, rows: int) -> pl.DataFrame:
        """Many futures trades at once, for benchmarks: a plain walk over regular hours, not the events of `events`.

        Shape: `rows` rows ordered by ts_event_ns. Columns as on the wire: ts_event_ns, ts_recv_ns int64; source, symbol
        string; price float64; size int32; aggressor int8; exchange string; seq int64. No nulls.
        """
        return draw_trades(
            self.session, Dice(self._seed, "bulk"), rows=rows, contracts=self.contracts, open_ticks=self._open_ticks
        )


class _Day:
    """The moving parts of one day."""

    def __init__(self, seed: int, market: MarketSimulator, *, begin_ns: int, scale: float, open_ticks: int) -> None:
        self._session = market.session
        self._begin_ns = begin_ns
        self._front, self._next = market.contracts
        self._gaps = market.feed_gaps
        self._dice = Dice(seed, "futures")
        self._path = draw_path(self._session, Dice(seed, "path"), start_ticks=open_ticks)
        activity = activity_by_second(self._session)
        self._rate_per_s = [
            share * scale * _BOOK_UPDATES_FULL * min(3.0, heat)
            for share, heat in zip(activity, self._path.heat, strict=True)
        ]
        self._book = Book(Dice(seed, "book"), bid_ticks=round(self._fair_ticks(begin_ns)))
        self._flow = OrderFlow(self._book, Dice(seed, "flow"))
        self._options = OptionFlow(
            self._session,
            Dice(seed, "options"),
            underlying=UNDERLYING,
            contract=self._front,
            activity=activity,
            begin_ns=begin_ns,
            scale=scale,
        )
        self._signals = LevelSignals(
            LevelBoard(self._session, Dice(seed, "levels"), begin_ns=begin_ns, open_price=open_ticks * TICK)
        )
        self._signal_ns = begin_ns
        self.has_signals = True  # nothing else in the day depends on them
        self._changes: list[BookChange] = []
        self._trade_seq = 0
        self._book_seq = 0
        self._basis_ticks = round(open_ticks * _BASIS_SHARE)

    def play(self, start_ns: int, end_ns: int) -> Iterator[SimulatedEvent]:
        """Play from the beginning, showing [start_ns, end_ns)."""
        now_ns = self._begin_ns
        gaps = iter(self._gaps)
        gap = next(gaps, None)
        while (now_ns := now_ns + self._wait_ns(now_ns)) < end_ns:
            if now_ns >= self._signal_ns or now_ns >= self._options.next_ns:
                yield from self._others(now_ns, start_ns)
            if gap is not None and now_ns >= gap.until_ns:
                gap = next(gaps, None)
            change = self._step(now_ns)
            is_shown = now_ns >= start_ns and (gap is None or now_ns < gap.start_ns)
            yield from self._tell(now_ns, change, is_shown=is_shown)
        yield from self._others(end_ns, start_ns)

    def _second(self, now_ns: int) -> int:
        return min((now_ns - self._session.premarket_ns) // NS_PER_S, self._session.seconds - 1)

    def _fair_ticks(self, now_ns: int) -> float:
        return self._path.fair_ticks[self._second(now_ns)]

    def _wait_ns(self, now_ns: int) -> int:
        if self._flow.is_behind(self._fair_ticks(now_ns)):
            return 15_000 + int(self._dice.wait() * 60_000)  # moves come in flurries
        return 2_000 + int(self._dice.wait() / self._rate_per_s[self._second(now_ns)] * NS_PER_S)

    def _step(self, now_ns: int) -> BookChange:
        second = self._second(now_ns)
        change = self._flow.step(self._path.fair_ticks[second], heat=self._path.heat[second])
        self._changes.append(change)
        return change

    def _others(self, until_ns: int, start_ns: int) -> Iterator[SimulatedEvent]:
        """Options and signals that are due before the futures event at `until_ns`, in order."""
        spot = self._book.mid_ticks * TICK
        while self._signal_ns < until_ns:
            for event in self._options.due(self._signal_ns, spot=spot):
                if event.event_ns >= start_ns:
                    yield event
            if self.has_signals:
                signal = self._signals.snapshot(self._signal_ns, self._book, self._changes, self._options.traded)
                if signal.event_ns >= start_ns:
                    yield signal
            self._changes.clear()
            self._options.traded.clear()
            self._signal_ns += INTERVAL_NS
        for event in self._options.due(until_ns, spot=spot):
            if event.event_ns >= start_ns:
                yield event

    def _tell(self, now_ns: int, change: BookChange, *, is_shown: bool) -> Iterator[SimulatedEvent]:
        """The messages of one change. Sequences and chance go on when nobody hears them."""
        recv_ns = now_ns + 80_000 + int(self._dice.wait() * 120_000)
        if change.aggressor:
            self._trade_seq += 1
            if is_shown:
                yield self._trade(now_ns, recv_ns, self._front, change.price_ticks, change.contracts, change.aggressor)
        self._book_seq += 1
        if is_shown:
            yield self._snapshot(now_ns, recv_ns, change)
        if change.aggressor and self._dice.uniform() < _NEXT_CONTRACT_SHARE:
            self._trade_seq += 1
            price_ticks = change.price_ticks + self._basis_ticks + self._dice.below(3) - 1
            contracts = min(change.contracts, self._dice.lots())
            if is_shown:
                yield self._trade(now_ns, recv_ns, self._next, price_ticks, contracts, change.aggressor)

    def _trade(
        self, now_ns: int, recv_ns: int, contract: str, price_ticks: int, contracts: int, aggressor: int
    ) -> SimulatedEvent:
        payload: dict[str, object] = {
            "ts_event_ns": now_ns,
            "ts_recv_ns": recv_ns,
            "source": SOURCE,
            "symbol": contract,
            "price": price_ticks * TICK,
            "size": contracts,
            "aggressor": aggressor,
            "exchange": _EXCHANGE,
            "seq": self._trade_seq,
        }
        return SimulatedEvent(now_ns, TRADES_SUBJECT, payload)

    def _snapshot(self, now_ns: int, recv_ns: int, change: BookChange) -> SimulatedEvent:
        payload: dict[str, object] = {
            "ts_event_ns": now_ns,
            "ts_recv_ns": recv_ns,
            "source": SOURCE,
            "symbol": self._front,
            "levels": self._book.levels.copy(),
            "is_snapshot": False,
            "action": change.action,
            "side": change.side,
            "action_price": change.price_ticks * TICK,
            "action_size": change.contracts,
            "seq": self._book_seq,
        }
        return SimulatedEvent(now_ns, BOOK_SUBJECT, payload)
