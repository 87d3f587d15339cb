"""Labels of hand-made prices: which barrier comes first, when, and when there is no answer."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.stages.labels import STAGE, LabelParameters

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
ATR = 2.0
MINUTE_S = 60
FAR = (10 * MINUTE_S, 100.0)  # a last trade far behind the longest horizon
DAY = session_window("us_index_futures", date(2023, 11, 14))


def label(
    *trades: tuple[float, float],
    direction: int = 1,
    atr: float | None = ATR,
    entry: float = 100.0,
    parameters: LabelParameters | None = None,
) -> dict[str, object]:
    """Labels of one event at T0 with these trades (seconds after T0, price)."""
    events = pl.LazyFrame(
        {
            "event_id": ["e"],
            "ts_event_ns": [T0],
            "entry_price": [entry],
            "direction": [direction],
            "atr": [atr],
            "level_price": [entry + 3],
        },
        schema_overrides={"direction": pl.Int8, "atr": pl.Float64},
    )
    rows = pl.LazyFrame(
        {"ts_event_ns": [T0 + int(second * NS) for second, _ in trades], "price": [price for _, price in trades]},
        schema={"ts_event_ns": pl.Int64, "price": pl.Float64},
    )
    assert isinstance(DAY, SessionWindow)
    made = STAGE.run({"events": events, "trades": rows}, parameters or LabelParameters(), DAY)
    return made["events"].collect().row(0, named=True)


def test_the_barrier_in_direction_of_travel_is_a_break() -> None:
    row = label((30, 101.75), (90, 102.0), (100, 90.0), FAR)
    assert (row["outcome_2min"], row["time_to_barrier_2min"]) == ("BREAK", 90.0)


def test_the_other_barrier_is_a_reject() -> None:
    row = label((30, 98.25), (90, 98.0), (100, 110.0), FAR)
    assert (row["outcome_2min"], row["time_to_barrier_2min"]) == ("REJECT", 90.0)


def test_directions_mirror_each_other() -> None:
    down = label((90, 98.0), FAR, direction=-1)
    assert (down["outcome_2min"], down["favorable_2min"], down["adverse_2min"]) == ("BREAK", 2.0, 0.0)
    up = label((90, 102.0), FAR, direction=-1)
    assert (up["outcome_2min"], up["favorable_2min"], up["adverse_2min"]) == ("REJECT", 0.0, 2.0)


def test_both_barriers_in_one_instant_are_a_chop() -> None:
    row = label((90, 102.5), (90, 97.5), FAR)
    assert (row["outcome_2min"], row["time_to_barrier_2min"]) == ("CHOP", 90.0)
    ends_there = label((90, 102.5), (90, 97.5))
    assert [ends_there[f"outcome_{h}min"] for h in (2, 4, 8)] == ["CHOP"] * 3


def test_no_barrier_within_the_horizon_is_a_chop_and_a_later_horizon_may_differ() -> None:
    row = label((30, 101.0), (200, 103.0), FAR)
    assert [row[f"outcome_{h}min"] for h in (2, 4, 8)] == ["CHOP", "BREAK", "BREAK"]
    assert [row[f"time_to_barrier_{h}min"] for h in (2, 4, 8)] == [None, 200.0, 200.0]
    assert [row[f"favorable_{h}min"] for h in (2, 4, 8)] == [1.0, 3.0, 3.0]


def test_the_horizon_itself_still_counts_and_the_entry_instant_does_not() -> None:
    at_horizon = label((120, 102.0), FAR)
    assert at_horizon["outcome_2min"] == "BREAK"
    behind = label((120.000000001, 102.0), FAR)
    assert behind["outcome_2min"] == "CHOP"
    at_entry = label((0, 102.0), FAR)
    assert (at_entry["outcome_2min"], at_entry["favorable_2min"]) == ("CHOP", 0.0)


def test_data_that_end_early_are_no_data_unless_a_barrier_came_before() -> None:
    row = label((100, 101.0), (130, 101.5))
    assert [row[f"outcome_{h}min"] for h in (2, 4, 8)] == ["CHOP", "NO_DATA", "NO_DATA"]
    assert [row[f"favorable_{h}min"] for h in (2, 4, 8)] == [1.0, None, None]
    known = label((100, 97.0))
    assert [known[f"outcome_{h}min"] for h in (2, 4, 8)] == ["REJECT"] * 3
    assert [known[f"adverse_{h}min"] for h in (2, 4, 8)] == [None] * 3


def test_data_that_reach_just_the_horizon_are_enough() -> None:
    assert label((120, 100.0))["outcome_2min"] == "CHOP"
    assert label((119.999999999, 100.0))["outcome_2min"] == "NO_DATA"


@pytest.mark.parametrize("atr", [None, 0.0, float("nan")])
def test_without_an_atr_there_is_no_barrier(atr: float | None) -> None:
    row = label((30, 150.0), FAR, atr=atr)
    assert (row["outcome_2min"], row["time_to_barrier_2min"]) == ("NO_DATA", None)
    assert (row["favorable_2min"], row["adverse_2min"]) == (50.0, 0.0)


def test_without_any_trade_everything_is_no_data() -> None:
    row = label()
    assert {row[f"outcome_{h}min"] for h in (2, 4, 8)} == {"NO_DATA"}
    assert row["favorable_8min"] is None


def test_threshold_and_horizons_come_from_the_parameters() -> None:
    parameters = LabelParameters(horizons_min=(1,), threshold_atr=0.5)
    row = label((30, 101.0), FAR, parameters=parameters)
    assert row["outcome_1min"] == "BREAK"
    assert "outcome_2min" not in row
    given = [spec.name for spec in STAGE.gives_with(parameters)["events"]]
    assert given == ["outcome_1min", "time_to_barrier_1min", "favorable_1min", "adverse_1min"]


def test_no_events_give_no_rows_with_every_label() -> None:
    events = pl.LazyFrame(
        schema={"ts_event_ns": pl.Int64, "entry_price": pl.Float64, "direction": pl.Int8, "atr": pl.Float64}
    )
    trades = pl.LazyFrame({"ts_event_ns": [T0], "price": [1.0]})
    assert isinstance(DAY, SessionWindow)
    made = STAGE.run({"events": events, "trades": trades}, LabelParameters(), DAY)["events"].collect()
    assert made.height == 0
    for spec in STAGE.gives_with(LabelParameters())["events"]:
        assert made.schema[spec.name] == spec.dtype
