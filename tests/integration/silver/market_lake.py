"""Simulated sessions as bronze files: trades, ten-level book and option trades of ES."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, time
from typing import Any

from tests.integration.small_lake import SmallLake

from ticklake.testing.market import MarketSimulator
from ticklake.testing.market_session import PREMARKET, new_york_ns

_SUBJECTS = ("market.futures.trades", "market.futures.mbp10", "market.options.trades")
_CHUNK_ROWS = 200_000


def add_session(
    lake: SmallLake, day: date, *, seed: int, scale: float, begin: time = PREMARKET, end: time | None = None
) -> dict[str, int]:
    """Play one session into the lake; gives the rows of each table."""
    market = MarketSimulator(seed, day, scale=scale, begin=begin)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for event in market.events(end_ns=None if end is None else new_york_ns(day, end), subjects=_SUBJECTS):
        name = event.subject.removeprefix("market.")
        rows[name].append(_stored(event.payload))
        counts[name] += 1
        if len(rows[name]) >= _CHUNK_ROWS:
            lake.add(name, rows.pop(name))
    for name, rest in rows.items():
        lake.add(name, rest)
    return dict(counts)


def _stored(payload: dict[str, Any]) -> dict[str, Any]:
    row = {key: value for key, value in payload.items() if key not in ("levels", "symbol")}
    if "symbol" in payload:
        row["contract"] = payload["symbol"]
    if "exp_date" in row:
        row["exp_date"] = date.fromisoformat(row["exp_date"])
    for level, sides in enumerate(payload.get("levels", ()), 1):
        row |= {f"{side}_{level}": value for side, value in sides.items()}
    return row
