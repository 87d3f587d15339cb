"""Every number of book_flow on rows small enough to compute by hand."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from tests.unit.silver.stages.flow_rows import NS, START_NS, book_rows, run, trade_rows

from ticklake.base.errors import CheckFailedError, UsageError
from ticklake.silver.orderflow import added
from ticklake.silver.stages.book_flow import QUOTES_STAGES
from ticklake.silver.stages.book_flow_features import FlowParameters
from ticklake.silver.stages.book_flow_grid import GridParameters
from ticklake.silver.stages.book_flow_labels import ReturnParameters
from ticklake.silver.stages.book_flow_load import LoadFlowParameters

SHORT = {
    "order_and_trade_flow": FlowParameters(
        ofi_windows_s=(1, 2, 3),
        trade_window_s=2,
        vwap_window_s=3,
        volatility_window_s=2,
        kyle_window_s=4,
        kyle_steps_min=2,
    ),
    "label_returns": ReturnParameters(horizons_s=(1, 2)),
    "sample_grid": GridParameters(max_age_s=3),
}
# seconds, bid, size, ask, size: the mid goes 100, 100, 101, 101, 103, 102
BOOK = book_rows(
    (0.5, 99, 3, 101, 1), (1.2, 99, 5, 101, 2), (1.9, 100, 2, 102, 2), (3.5, 102, 4, 104, 4), (5, 101, 1, 103, 3)
)
TRADES = trade_rows((0.7, 101, 1, 1), (1.5, 101, 4, 1), (2.0, 100, 1, -1), (2.5, 101, 3, 0), (3.1, 102, 2, 1))
INPUTS = {"bronze_trades": TRADES, "bronze_book": BOOK}


def events(**more: object) -> pl.DataFrame:
    return run(INPUTS | more.pop("inputs", {}), parameters=SHORT | more)["events"]  # type: ignore[operator]


def values(rows: pl.DataFrame, name: str) -> list[object]:
    return rows[name].to_list()


def test_the_grid_begins_after_the_first_book_and_ends_when_the_book_is_stale() -> None:
    rows = events()
    assert [(time - START_NS) / NS for time in values(rows, "ts_event_ns")] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert rows["event_id"][0] == f"2024-08-08_X@V_{START_NS + NS}"


def test_the_shape_of_the_book_is_as_of_the_instant() -> None:
    rows = events()
    assert values(rows, "mid") == [100, 101, 101, 103, 102, 102, 102, 102]
    assert values(rows, "spread") == [2.0] * 8
    assert rows["microprice"][0] == (99 * 1 + 101 * 3) / 4
    assert values(rows, "queue_imbalance_1")[:2] == [0.5, 0.0]
    assert values(rows, "queue_imbalance_5")[-1] == -0.5


def test_a_side_that_is_absent_makes_nulls_not_zeros() -> None:
    one_sided = book_rows((0.5, 99, 3, None, None), (1.5, 99, 3, 101, 1))
    rows = run({"bronze_trades": TRADES, "bronze_book": one_sided}, parameters=SHORT)["events"]
    assert [rows[name][0] for name in ("mid", "spread", "microprice", "queue_imbalance_1")] == [None] * 4
    assert rows["queue_imbalance_5"][0] is None
    assert (rows["mid"][1], rows["outcome_1s"][0]) == (100.0, "NO_DATA")


def test_order_flow_is_summed_over_the_steps_of_the_window() -> None:
    rows = events()
    # e_n by hand: 1.2 s: +5 -3 -2 +1 = 1; 1.9 s: +2 (bid up) +2 (ask up) = 4; 3.5 s: +4 +2 = 6; 5 s: -4 -3 = -7
    assert values(rows, "ofi_1s") == [None, 5, 0, 6, -7, 0, 0, 0]
    assert values(rows, "ofi_2s") == [None, None, 5, 6, -1, -7, 0, 0]
    assert values(rows, "ofi_3s") == [None, None, None, 11, -1, -1, -7, 0]
    assert rows["ofi5_1s"][1] == 5 * (1 + 2 + 3 + 4 + 5)


def test_trades_of_a_window_are_those_after_its_begin_up_to_the_instant() -> None:
    rows = events()
    # steps: (1, 2]: +4 -1; (2, 3]: 3 of unknown side; (3, 4]: +2; later nothing
    assert values(rows, "signed_volume") == [None, None, 3, 2, 2, 0, 0, 0]
    assert values(rows, "trade_imbalance") == [None, None, 3 / 5, 1, 1, None, None, None]
    vwap = (4 * 101 + 1 * 100 + 3 * 101 + 2 * 102) / 10
    assert values(rows, "vwap_distance")[3] == pytest.approx(103 - vwap, abs=1e-12)
    assert values(rows, "vwap_distance")[-1] is None
    assert values(rows, "time_since_last_trade") == pytest.approx([0.3, 0.0, 0.5, 0.9, 1.9, 2.9, 3.9, 4.9])


def test_the_last_trade_may_lie_before_the_first_book() -> None:
    early = {"bronze_trades": trade_rows((-3, 101, 1, 1)), "bronze_book": BOOK}
    rows = run(early, parameters=SHORT)["events"]
    assert values(rows, "time_since_last_trade")[:2] == pytest.approx([4.0, 5.0])
    never = run(early | {"bronze_trades": TRADES.filter(pl.lit(value=False))}, parameters=SHORT)["events"]
    assert never["time_since_last_trade"].null_count() == never.height


def test_realised_volatility_is_the_root_of_summed_squared_log_returns() -> None:
    rows = events()
    up, down = math.log(103 / 101), math.log(102 / 103)
    expected = [None, None, math.log(101 / 100), up, math.hypot(up, down), -down, 0, 0]
    assert values(rows, "realised_volatility") == pytest.approx(expected, abs=1e-15)


def test_kyle_lambda_is_the_slope_of_mid_changes_on_signed_volume() -> None:
    rows = events()
    # at 5 s the steps have signed volume 3, 0, 2, 0 and mid change 1, 0, 2, -1: slope 4.5 / 6.75
    assert rows["kyle_lambda"][4] == pytest.approx(4.5 / 6.75, abs=1e-12)
    assert values(rows, "kyle_lambda")[:4] == [None] * 4
    assert rows["kyle_lambda"][6] is None  # one step with volume left


def test_returns_look_forward_and_say_when_the_data_end() -> None:
    rows = events()
    assert values(rows, "outcome_1s") == ["UP", "FLAT", "UP", "DOWN", "NO_DATA", "NO_DATA", "NO_DATA", "NO_DATA"]
    assert values(rows, "outcome_2s")[:4] == ["UP", "UP", "UP", "NO_DATA"]
    assert rows["forward_return_1s"][2] == 103 / 101 - 1
    assert rows["forward_return_1s"].null_count() == 4


def test_a_stale_book_is_no_event_and_no_answer() -> None:
    gap = {"bronze_trades": TRADES, "bronze_book": book_rows((0.5, 99, 3, 101, 1), (9.5, 100, 3, 102, 1))}
    rows = run(gap, parameters=SHORT)["events"]
    assert [(time - START_NS) / NS for time in values(rows, "ts_event_ns")] == [1, 2, 3, 10, 11, 12]
    assert values(rows, "outcome_1s") == ["FLAT", "FLAT", "NO_DATA", "NO_DATA", "NO_DATA", "NO_DATA"]


def test_venues_of_one_contract_stay_apart() -> None:
    other = {
        "bronze_trades": trade_rows((3.5, 200, 9, -1), venue="W"),
        "bronze_book": book_rows((2.2, 199, 1, 201, 1), (3.5, 199, 2, 201, 1), (6.0, 199, 2, 201, 1), venue="W"),
    }
    both = {name: pl.concat([rows, other[name]]) for name, rows in INPUTS.items()}
    together = run(both, parameters=SHORT)["events"]
    for venue, alone in (("V", INPUTS), ("W", other)):
        assert together.filter(venue=venue).equals(run(alone, parameters=SHORT)["events"])
    assert together["event_id"].is_unique().all()
    assert together["ts_event_ns"].is_sorted()


def test_the_order_of_the_input_rows_does_not_matter() -> None:
    shuffled = {name: rows.collect().sample(fraction=1, shuffle=True, seed=3).lazy() for name, rows in INPUTS.items()}
    assert events(inputs=shuffled).equals(events())


def test_quotes_give_the_same_numbers_as_the_best_level_of_a_book() -> None:
    best = {f"{side}_{part}_1": f"{side}_{part}" for side in ("bid", "ask") for part in ("px", "sz")}
    quotes = {"bronze_trades": TRADES, "bronze_quotes": BOOK.rename(best)}
    rows = run(quotes, QUOTES_STAGES, SHORT)["events"]
    deep = [name for name in events().columns if name.startswith(("ofi5", "queue_imbalance_5"))]
    assert len(deep) == 4
    assert rows.equals(events().drop(deep))


def test_rows_without_a_time_are_refused_and_the_other_clock_takes_them() -> None:
    unplaced = INPUTS | {"bronze_book": BOOK.with_columns(ts_event_ns=pl.lit(None, pl.Int64))}
    with pytest.raises(CheckFailedError, match=r"5 rows of bronze_book have no ts_event_ns.*clock: receive"):
        run(unplaced, parameters=SHORT)
    received = SHORT | {"load_flow": LoadFlowParameters(clock="receive")}
    rows = run(unplaced, parameters=received)["events"]
    assert values(rows, "mid") == [100, 101, 101, 103, 103, 102, 102, 102]  # the book of 5 s arrives after 5 s


def test_tables_without_venues_are_of_one_venue() -> None:
    parameters = SHORT | {"load_flow": LoadFlowParameters(has_venue=False)}
    rows = run({name: rows.drop("venue") for name, rows in INPUTS.items()}, parameters=parameters)["events"]
    assert rows["event_id"][0] == f"2024-08-08_X_{START_NS + NS}"
    assert rows["mid"].equals(events()["mid"])


@pytest.mark.parametrize("stage", ["order_and_trade_flow", "label_returns"])
def test_a_window_that_is_no_multiple_of_the_step_is_refused(stage: str) -> None:
    with pytest.raises(UsageError, match=f"{stage}.*no multiple"):
        run(INPUTS, parameters=SHORT | {"sample_grid": GridParameters(grid_ms=700), **_only(stage)})


def _only(stage: str) -> dict[str, object]:
    """Parameters with which only the named stage has a window that does not fit 700 ms."""
    fits = FlowParameters((7,), trade_window_s=7, vwap_window_s=7, volatility_window_s=7, kyle_window_s=7)
    return {} if stage == "order_and_trade_flow" else {"order_and_trade_flow": fits}


def test_no_book_gives_no_events_with_every_column() -> None:
    rows = run({"bronze_trades": TRADES, "bronze_book": BOOK.filter(pl.lit(value=False))}, parameters=SHORT)["events"]
    assert rows.height == 0
    assert rows.schema == events().schema


def test_floats_are_added_from_left_to_right_whatever_the_threads_do() -> None:
    draw = np.random.default_rng(3)
    columns = {f"c{n}": draw.normal(size=997) * 10.0 ** draw.integers(-3, 4, 997) for n in range(10)}
    left_to_right = np.zeros(997)
    for column in columns.values():
        left_to_right = left_to_right + column
    rows = pl.DataFrame(columns)
    for _ in range(20):
        assert (rows.select(added([pl.col(name) for name in columns])).to_series().to_numpy() == left_to_right).all()


def test_an_absent_size_adds_nothing() -> None:
    rows = pl.DataFrame({"a": [1.5, None], "b": [None, None]}, schema={"a": pl.Float64, "b": pl.Float64})
    assert rows.select(added([pl.col("a"), pl.col("b")])).to_series().to_list() == [1.5, 0.0]
