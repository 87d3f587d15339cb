"""The level signals: every 250 ms one message with what each level is up to."""

from __future__ import annotations

from collections import deque

from ticklake.testing.market_book import ASK, BID, TICK, Book
from ticklake.testing.market_dealers import Dealers
from ticklake.testing.market_event import SimulatedEvent
from ticklake.testing.market_flow import BookChange
from ticklake.testing.market_levels import LevelBoard, PriceLevel
from ticklake.testing.market_options import OptionTrade
from ticklake.testing.market_pressure import INTERVAL_S, Pressure

SIGNALS_SUBJECT = "levels.signals"
INTERVAL_NS = 250_000_000

_NS_PER_MS = 1_000_000
_VELOCITY_INTERVALS = 20  # five seconds
_INTERVALS_PER_BAR = 240  # one-minute bars
_NEAR_POINTS = 5.0
_VIEWPORT_POINTS = 10.0
_CLEAR_POINTS = 5.0
_CONFLUENCE_POINTS = 2.0
_CONFLUENCE_NAMES = ("NONE", "LOW", "MEDIUM", "HIGH")
_LIQUIDITY_SCORES = {"VACUUM": 100.0, "WEAK": 75.0, "CONSUMED": 60.0, "NEUTRAL": 50.0, "WALL": 0.0, "ABSORPTION": 0.0}
_HEDGE_SCORES = {"AMPLIFY": 100.0, "NEUTRAL": 50.0, "DAMPEN": 0.0}


class LevelSignals:
    """Builds the `levels.signals` messages from what the book and the options did since the last one."""

    __slots__ = ("_board", "_dealers", "_has_data", "_pressure", "_spots")

    def __init__(self, board: LevelBoard) -> None:
        self._board = board
        self._dealers = Dealers()
        self._pressure: dict[str, Pressure] = {}
        self._spots: deque[float] = deque(maxlen=_VELOCITY_INTERVALS + 1)
        self._has_data = False

    def snapshot(
        self, now_ns: int, book: Book, changes: list[BookChange], option_trades: list[OptionTrade]
    ) -> SimulatedEvent:
        """The message for `now_ns`. Until the book has changed once, it says that there is no data."""
        ts_ms = now_ns // _NS_PER_MS
        self._has_data = self._has_data or bool(changes)
        if not self._has_data:
            nothing = {"ts": ts_ms, "spy": {"spot": None, "bid": None, "ask": None}, "levels": []}
            return SimulatedEvent(now_ns, SIGNALS_SUBJECT, nothing)
        spot = book.mid_ticks * TICK
        self._spots.append(spot)
        velocity = (spot - self._spots[0]) / (max(1, len(self._spots) - 1) * INTERVAL_S)
        self._board.observe(now_ns, spot)
        self._dealers.take(option_trades)
        levels = []
        for level in self._board.levels:
            pressure = self._pressure.setdefault(level.kind, Pressure())
            pressure.take(changes, book, level_ticks=level.price / TICK, velocity=velocity)
            levels.append(self._level(level, pressure, spot, velocity))
        payload: dict[str, object] = {
            "ts": ts_ms,
            "spy": {"spot": spot, "bid": book.px[BID][0] * TICK, "ask": book.px[ASK][0] * TICK},
            "levels": levels,
        }
        targets = [_target(level) for level in levels if _number(level, "distance") <= _VIEWPORT_POINTS]
        if targets:
            payload["viewport"] = {"ts": ts_ms, "targets": targets}
        return SimulatedEvent(now_ns, SIGNALS_SUBJECT, payload)

    def _level(self, level: PriceLevel, pressure: Pressure, spot: float, velocity: float) -> dict[str, object]:
        upward = spot < level.price  # a break goes up
        distance = abs(spot - level.price)
        along = velocity if upward else -velocity
        fuel = self._dealers.fuel(level.kind, level.price)
        raw = _score(pressure, str(fuel["effect"]), along, upward=upward)
        pressure.score(raw)
        smooth = pressure.score_smooth
        return {
            "id": level.kind,
            "price": level.price,
            "kind": level.kind,
            "direction": "RESISTANCE" if upward else "SUPPORT",
            "distance": round(distance, 4),
            "break_score_raw": raw,
            "break_score_smooth": round(smooth, 4),
            "signal": _signal(smooth, distance),
            "confidence": _confidence(smooth),
            "approach_velocity": round(along * 60.0, 4),
            "approach_bars": pressure.approach_intervals // _INTERVALS_PER_BAR,
            "approach_distance": round(max(0.0, pressure.approach_from - distance), 4),
            "prior_touches": pressure.prior_touches,
            "barrier": _barrier(pressure),
            "tape": _tape(pressure, velocity),
            "fuel": fuel,
            "runway": self._runway(level, upward=upward),
            **self._confluence(level, along),
            "note": None,
        }

    def _runway(self, level: PriceLevel, *, upward: bool) -> dict[str, object]:
        beyond = [other for other in self._board.levels if other.price != level.price]
        beyond = [other for other in beyond if (other.price > level.price) == upward]
        nearest = min(beyond, key=lambda other: abs(other.price - level.price), default=None)
        distance = None if nearest is None else round(abs(nearest.price - level.price), 4)
        return {
            "direction": "UP" if upward else "DOWN",
            "distance": distance,
            "next_obstacle": None if nearest is None else {"id": nearest.kind, "price": nearest.price},
            "quality": "CLEAR" if distance is None or distance > _CLEAR_POINTS else "OBSTRUCTED",
        }

    def _confluence(self, level: PriceLevel, along: float) -> dict[str, object]:
        count = sum(abs(other.price - level.price) <= _CONFLUENCE_POINTS for other in self._board.levels) - 1
        return {
            "confluence_count": count,
            "confluence_pressure": round(count / max(1, len(self._board.levels) - 1), 4),
            "confluence_alignment": 0 if along == 0 else 1 if along > 0 else -1,
            "confluence_level": min(10, 3 * count),
            "confluence_level_name": _CONFLUENCE_NAMES[min(count, 3)],
        }


def _score(pressure: Pressure, effect: str, along: float, *, upward: bool) -> float:
    """How likely a break looks, 0 to 100: 55 % liquidity, 10 % hedging, 35 % tape."""
    if pressure.sweep is not None and (pressure.sweep[0] == "UP") == upward:
        tape = 100.0
    else:
        leaning = pressure.imbalance if upward else -pressure.imbalance
        tape = min(50.0, 25.0 * min(1.0, max(0.0, along) / 0.5) + 25.0 * max(0.0, leaning))
    return round(0.55 * _LIQUIDITY_SCORES[pressure.barrier_state] + 0.10 * _HEDGE_SCORES[effect] + 0.35 * tape, 4)


def _signal(smooth: float, distance: float) -> str:
    if distance > _NEAR_POINTS:
        return "NEUTRAL"
    return "BREAK" if smooth >= 60.0 else "REJECT" if smooth <= 25.0 else "CONTESTED"


def _confidence(smooth: float) -> str:
    certainty = abs(smooth - 45.0)
    return "HIGH" if certainty >= 25.0 else "MEDIUM" if certainty >= 12.0 else "LOW"


def _barrier(pressure: Pressure) -> dict[str, object]:
    return {
        "state": pressure.barrier_state,
        "delta_liq": round(pressure.delta_liq, 4),
        "delta_liq_smooth": round(pressure.delta_liq_smooth, 4),
        "replenishment_ratio": round(pressure.replenishment, 4),
        "replenishment_ratio_smooth": round(pressure.replenishment_smooth, 4),
        "added": round(pressure.added, 4),
        "canceled": round(pressure.canceled, 4),
        "filled": round(pressure.filled, 4),
        "defending_quote": {"price": pressure.defending_price, "size": pressure.defending_size},
        "churn": round(pressure.added + pressure.canceled, 4),
        "depth_in_zone": pressure.depth,
    }


def _tape(pressure: Pressure, velocity: float) -> dict[str, object]:
    direction, notional, prints = pressure.sweep or (None, 0.0, 0)
    return {
        "imbalance": round(pressure.imbalance, 6),
        "buy_vol": round(pressure.bought, 4),
        "sell_vol": round(pressure.sold, 4),
        "velocity": round(velocity, 6),
        "velocity_smooth": round(pressure.velocity_smooth, 6),
        "sweep": {
            "detected": direction is not None,
            "direction": direction,
            "notional": notional,
            "num_prints": prints,
            "window_ms": INTERVAL_NS // _NS_PER_MS,
        },
    }


def _target(level: dict[str, object]) -> dict[str, object]:
    p_break = round(_number(level, "break_score_smooth") / 100.0, 4)
    distance = _number(level, "distance")
    strength = round(2.0 * p_break - 1.0, 4)
    return {
        "level_id": level["id"],
        "level_price": level["price"],
        "direction": level["direction"],
        "distance": distance,
        "p_tradeable_2": round(1.0 - distance / (2.0 * _VIEWPORT_POINTS), 4),
        "p_break": p_break,
        "p_bounce": round(1.0 - p_break, 4),
        "strength_signed": strength,
        "utility_score": round(abs(strength) * (1.0 - distance / (2.0 * _VIEWPORT_POINTS)), 4),
        "stage": "NEAR" if distance <= _NEAR_POINTS else "APPROACH",
        "time_to_threshold": {"t1": None, "t2": None},
        "retrieval": {"p_break": p_break, "similarity": None, "entropy": None},
    }


def _number(level: dict[str, object], key: str) -> float:
    value = level[key]
    assert isinstance(value, float)
    return value
