"""Options that expire today: quotes around the spot by Black's formula, and trades inside them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from ticklake.testing.market_dice import Dice
from ticklake.testing.market_event import SOURCE, SimulatedEvent
from ticklake.testing.market_session import NS_PER_S, Session

TRADES_SUBJECT = "market.options.trades"
NBBO_SUBJECT = "market.options.nbbo"
MULTIPLIER = 50  # dollars per index point

_EVENTS_FULL = 200_000
_QUOTE_SHARE = 0.8
_STRIKE_STEP = 5
_STRIKES_SPREAD = 4.0  # standard deviation of the chosen strike, in steps
_PRICE_TICK = 0.05
_YEAR_NS = 365 * 86_400 * NS_PER_S
_EXPIRY_NS_MIN = 60 * NS_PER_S  # the formula divides by the time left
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class OptionTrade:
    """What the level signals need to know about an option trade; gamma per index point, unsigned."""

    strike: int
    right: str
    contracts: int
    aggressor: int
    gamma: float


def black76(forward: float, strike: float, years: float, volatility: float, *, right: str) -> tuple[float, float]:
    """Value and gamma of a European option on a future, without discounting (it expires today)."""
    deviation = volatility * math.sqrt(years)
    d1 = math.log(forward / strike) / deviation + deviation / 2
    call = forward * _NORMAL.cdf(d1) - strike * _NORMAL.cdf(d1 - deviation)
    gamma = _NORMAL.pdf(d1) / (forward * deviation)
    return (call if right == "C" else call - forward + strike), gamma


class OptionFlow:
    """Option events in time order, independent of the futures feed but for the spot.

    Attributes:
        next_ns: when the next event is due.
        traded: trades since somebody last emptied the list.
    """

    __slots__ = ("_activity", "_contract", "_dice", "_rate", "_seq", "_session", "next_ns", "traded", "underlying")

    def __init__(
        self,
        session: Session,
        dice: Dice,
        *,
        underlying: str,
        contract: str,
        activity: list[float],
        begin_ns: int,
        scale: float,
    ) -> None:
        self.underlying = underlying
        self._contract = contract
        self._session = session
        self._dice = dice
        self._activity = activity
        self._rate = _EVENTS_FULL * scale
        self._seq = {TRADES_SUBJECT: 0, NBBO_SUBJECT: 0}
        self.traded: list[OptionTrade] = []
        self.next_ns = begin_ns
        self._wait()

    def due(self, until_ns: int, *, spot: float) -> Iterator[SimulatedEvent]:
        """All events before `until_ns`."""
        while self.next_ns < until_ns:
            yield self._event(self.next_ns, spot)
            self._wait()

    def _wait(self) -> None:
        second = (self.next_ns - self._session.premarket_ns) // NS_PER_S
        busy = self._activity[min(second, len(self._activity) - 1)] * self._rate
        self.next_ns += 1_000 + int(self._dice.wait() / busy * NS_PER_S)

    def _event(self, event_ns: int, spot: float) -> SimulatedEvent:
        dice = self._dice
        strike = _STRIKE_STEP * round(spot / _STRIKE_STEP + _STRIKES_SPREAD * dice.normal())
        right = "C" if strike + _STRIKE_STEP * dice.normal() >= spot else "P"  # mostly out of the money
        years = max(self._session.close_ns - event_ns, _EXPIRY_NS_MIN) / _YEAR_NS
        volatility = 0.13 + 0.0006 * abs(strike - spot) + 0.001 * dice.normal()
        value, gamma = black76(spot, strike, years, volatility, right=right)
        value_steps = int(max(0.0, round(value, 6)) / _PRICE_TICK)
        bid_steps = value_steps - dice.below(1 + value_steps // 40)
        ask_steps = value_steps + 1 + dice.below(1 + value_steps // 40)
        subject = NBBO_SUBJECT if dice.uniform() < _QUOTE_SHARE else TRADES_SUBJECT
        self._seq[subject] += 1
        payload: dict[str, object] = {
            "ts_event_ns": event_ns,
            "ts_recv_ns": event_ns + 90_000 + int(dice.wait() * 150_000),
            "source": SOURCE,
            "underlying": self.underlying,
            "option_symbol": f"{self._contract} {right}{strike}",
            "exp_date": self._session.day.isoformat(),
            "strike": float(strike),
            "right": right,
        }
        if subject == NBBO_SUBJECT:
            payload |= {
                "bid_px": _price(bid_steps),
                "ask_px": _price(ask_steps),
                "bid_sz": dice.lots() if bid_steps else None,  # nobody bids: absent, not zero
                "ask_sz": dice.lots(),
            }
        else:
            payload |= self._trade(strike, right, gamma, bid_steps, ask_steps)
        payload["seq"] = self._seq[subject]
        return SimulatedEvent(event_ns, subject, payload)

    def _trade(self, strike: int, right: str, gamma: float, bid_steps: int, ask_steps: int) -> dict[str, object]:
        draw = self._dice.uniform()
        if draw < 0.45 or not bid_steps:
            price_steps, aggressor = ask_steps, 1
        elif draw < 0.9 or ask_steps - bid_steps < 2:
            price_steps, aggressor = bid_steps, -1
        else:
            price_steps, aggressor = (bid_steps + ask_steps) // 2, 0
        contracts = self._dice.lots()
        self.traded.append(OptionTrade(strike, right, contracts, aggressor, round(gamma, 9)))
        return {
            "price": _price(price_steps),
            "size": contracts,
            "opt_bid": _price(bid_steps),
            "opt_ask": _price(ask_steps),
            "aggressor": aggressor,
        }


def _price(steps: int) -> float | None:
    return round(steps * _PRICE_TICK, 2) if steps else None
