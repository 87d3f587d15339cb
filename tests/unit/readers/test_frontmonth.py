from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from ticklake.base.errors import NoDataError, UsageError
from ticklake.readers.frontmonth import FrontMonth, choose_front_month

DAY = date(2024, 12, 16)


def _trades(*pairs: tuple[str, int]) -> pl.DataFrame:
    return pl.DataFrame(pairs, schema={"contract": pl.String, "size": pl.Int32}, orient="row")


def test_volume_and_trade_count_may_disagree() -> None:
    trades = _trades(("ESZ4", 1), ("ESZ4", 1), ("ESZ4", 1), ("ESH5", 9))
    by_volume = choose_front_month(trades, day=DAY, symbol="ES", metric="volume")
    by_count = choose_front_month(trades, day=DAY, symbol="ES", metric="trade_count")
    assert by_volume == FrontMonth(DAY, "ES", "ESH5", "volume", 0.75, 2, "ESZ4", 0.25)
    assert by_count == FrontMonth(DAY, "ES", "ESZ4", "trade_count", 0.75, 2, "ESH5", 0.25)


def test_an_unknown_metric_is_refused_not_taken_for_another() -> None:
    with pytest.raises(UsageError, match="'trades' is no metric; choose from volume, trade_count"):
        choose_front_month(_trades(("ESZ4", 1)), day=DAY, symbol="ES", metric="trades")  # type: ignore[arg-type]


def test_a_day_without_a_dominant_contract_is_a_roll() -> None:
    chosen = choose_front_month(_trades(("ESZ4", 59), ("ESH5", 41)), day=DAY, symbol="ES", metric="volume")
    assert chosen.roll_contaminated
    chosen = choose_front_month(_trades(("ESZ4", 60), ("ESH5", 40)), day=DAY, symbol="ES", metric="volume")
    assert not chosen.roll_contaminated


def test_a_single_contract_dominates_wholly() -> None:
    chosen = choose_front_month(_trades(("ESZ4", 3)), day=DAY, symbol="ES", metric="volume")
    assert (chosen.dominance_ratio, chosen.contracts, chosen.runner_up, chosen.runner_up_ratio) == (1.0, 1, None, 0.0)


def test_a_tie_is_decided_the_same_way_every_time() -> None:
    for pairs in ([("ESZ4", 2), ("ESH5", 2)], [("ESH5", 2), ("ESZ4", 2)]):
        assert choose_front_month(_trades(*pairs), day=DAY, symbol="ES", metric="volume").contract == "ESH5"


def test_volume_does_not_overflow_the_type_of_size() -> None:
    chosen = choose_front_month(_trades(*[("ESZ4", 2**31 - 1)] * 3, ("ESH5", 7)), day=DAY, symbol="ES", metric="volume")
    assert chosen.contract == "ESZ4"


def test_without_trades_there_is_no_front_month() -> None:
    with pytest.raises(NoDataError, match="front_month_only=False"):
        choose_front_month(_trades(), day=DAY, symbol="ES", metric="volume")


def test_trades_without_any_size_are_no_volume():
    chosen = choose_front_month(_trades(("ESZ4", 0), ("ESH5", 0)), day=DAY, symbol="ES", metric="volume")
    assert (chosen.contract, chosen.dominance_ratio, chosen.runner_up_ratio) == ("ESH5", 0.0, 0.0)
