"""A thin hour of simulated sessions, and the shipped pipelines on it: a build of two dates takes a second or two."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, time
from pathlib import Path
from typing import Final

import msgspec
from tests.integration.silver.market_lake import add_session
from tests.integration.small_lake import SmallLake

from ticklake.cli.tour_features import flow_manifest
from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.manifest import Certificate, Manifest
from ticklake.testing.market import MarketSimulator

EARLIER: Final = (date(2025, 5, 28), date(2025, 5, 29), date(2025, 5, 30))
"""Sessions that only warm up: many trades, no book."""

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = DAYS = tuple(date(2025, 6, day) for day in (2, 3, 4, 5))
SHORT: Final = Certificate(cuts=4)


def levels(certificate: Certificate = SHORT) -> Manifest:
    """es_levels as shipped, version `levels`, with a short certificate."""
    return msgspec.structs.replace(baseline_manifest("es_levels", "levels"), certificate=certificate)


def flow() -> Manifest:
    """book_flow on the future, every second, version `flow`, with a short certificate."""
    return msgspec.structs.replace(flow_manifest(), version="flow", certificate=SHORT)


def lay_thin_market(root: Path, days: Iterable[date]) -> SmallLake:
    """Trades of the week before, then sessions of these days."""
    lake = SmallLake(root)
    for day in EARLIER:
        trades = MarketSimulator(day.day, day).trades_frame(3_000).rename({"symbol": "contract"})
        lake.add("futures.trades", trades.to_dicts())
    for day in days:
        play(lake, day)
    return lake


def play(lake: SmallLake, day: date) -> None:
    """One session."""
    add_session(lake, day, seed=day.day, scale=0.02, begin=time(9, 15), end=time(10, 15))
