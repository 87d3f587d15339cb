"""Which futures contract is the front month of a day: the one that trades most, and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, get_args

import polars as pl

from ticklake.base.errors import NoDataError, UsageError

DOMINANCE_RATIO_MIN: Final = 0.60
"""Below this share of the day's trading the market is rolling from one contract to the next."""

Metric = Literal["volume", "trade_count"]


@dataclass(frozen=True, slots=True)
class FrontMonth:
    """The contract that traded most on one UTC date.

    Attributes:
        date: the UTC date.
        symbol: the root (`ES`).
        contract: the front month (`ESZ5`).
        metric: what was counted: contracts traded or trades.
        dominance_ratio: its share of the day's total, 0 to 1.
        contracts: how many contracts of the root traded.
        runner_up: the second contract, None when there is only one.
        runner_up_ratio: its share, 0 when there is none.
    """

    date: date
    symbol: str
    contract: str
    metric: Metric
    dominance_ratio: float
    contracts: int
    runner_up: str | None
    runner_up_ratio: float

    @property
    def roll_contaminated(self) -> bool:
        """Whether no contract dominates, so that the day mixes two."""
        return self.dominance_ratio < DOMINANCE_RATIO_MIN


def choose_front_month(trades: pl.DataFrame, *, day: date, symbol: str, metric: Metric) -> FrontMonth:
    """Choose from one date's trades. A tie goes to the contract whose name sorts first.

    Needs:  contract (text), size (contracts per trade).

    Raises:
        NoDataError: there is no trade to choose by.
        UsageError: no such metric.
    """
    if metric not in get_args(Metric):
        raise UsageError(f"{metric!r} is no metric; choose from {', '.join(get_args(Metric))}")
    amount = pl.col("size").cast(pl.Int64).sum() if metric == "volume" else pl.len().cast(pl.Int64)
    amounts = trades.group_by("contract").agg(amount.alias("amount"))
    return rank_contracts(dict(amounts.iter_rows()), day=day, symbol=symbol, metric=metric)


def rank_contracts(amounts: Mapping[str, int], *, day: date, symbol: str, metric: Metric) -> FrontMonth:
    """The choice by what each contract traded. A tie goes to the contract whose name sorts first.

    Raises:
        NoDataError: there is nothing to choose by.
    """
    if not amounts:
        raise NoDataError(
            f"no trades of {symbol} on {day}, so its front month is unknown; "
            "name a specific_contract or read with front_month_only=False"
        )
    total = sum(amounts.values()) or 1  # trades of size 0 are no volume
    first, *others = sorted(amounts, key=lambda contract: (-amounts[contract], contract))
    return FrontMonth(
        date=day,
        symbol=symbol,
        contract=first,
        metric=metric,
        dominance_ratio=amounts[first] / total,
        contracts=len(amounts),
        runner_up=others[0] if others else None,
        runner_up_ratio=amounts[others[0]] / total if others else 0.0,
    )
