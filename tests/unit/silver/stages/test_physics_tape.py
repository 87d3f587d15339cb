from __future__ import annotations

import pytest
from tests.unit.silver.stages.feature_rows import NS, events, trades, values

from ticklake.silver.stages.physics_tape import tape_columns

MS = NS // 1000


def tape(event_rows, trade_rows, **changes):
    settings = {
        "window_ns": 60 * NS,
        "near_points": 0.5,
        "gap_ns": 100 * MS,
        "notional_min": 500_000.0,
        "multiplier": 50.0,
    }
    return values(tape_columns(event_rows, trade_rows, **(settings | changes)))


def test_only_trades_near_the_level_inside_the_window_count():
    found = tape(
        events({"second": 100}),
        trades(
            (40, 100.0, 100, 1),  # exactly 60 s ago: outside (t - 60 s, t]
            (40.1, 100.5, 3, 1),
            (50, 99.5, 1, -1),
            (60, 99.25, 100, -1),  # 0.75 points away
            (70, 100.0, 7, 0),  # nobody knows who crossed
            (100, 100.0, 2, 1),  # at t itself
            (100.1, 100.0, 100, -1),  # later
        ),
    )

    assert found["tape_buy_volume"] == [5.0]
    assert found["tape_sell_volume"] == [1.0]
    assert found["tape_imbalance"] == [pytest.approx(4 / 6)]


def test_no_trade_near_the_level_is_no_imbalance_no_velocity_no_sweep():
    found = tape(events({"second": 100}), trades((90, 95.0, 10, 1)))

    assert found["tape_buy_volume"] == [0.0]
    assert found["tape_imbalance"] == [None]
    assert found["tape_velocity"] == [None]
    assert found["sweep_detected"] == [False]
    assert found["sweep_notional"] == [None]


def test_velocity_is_the_least_squares_slope_in_points_per_second():
    # x = 0, 1, 3 s; p = 100, 100.25, 100.25: mean x 4/3, mean p 100 1/6
    # slope = (4/3 * 1/6 + -1/3 * 1/12 + 5/3 * 1/12) / (16/9 + 1/9 + 25/9) = (1/3) / (42/9) = 1/14
    found = tape(events({"second": 100}), trades((90, 100.0, 1, 1), (91, 100.25, 9, 1), (93, 100.25, 1, -1)))

    assert found["tape_velocity"] == [pytest.approx(1 / 14, rel=1e-12)]


def test_trades_of_one_instant_have_no_velocity():
    found = tape(events({"second": 100}), trades((99.9, 100.0, 1, 1), (99.9, 100.25, 1, 1)))

    assert found["tape_velocity"] == [None]


@pytest.mark.parametrize(
    ("rows", "largest"),
    [
        ([(90, 100.0, 40, 1), (90.1, 100.0, 60, 1)], 100.0 * 100 * 50),  # 100 ms apart: one sweep
        ([(90, 100.0, 40, 1), (90.101, 100.0, 60, 1)], 100.0 * 60 * 50),  # 101 ms apart: two
        ([(90, 100.0, 40, 1), (90.05, 100.0, 60, -1)], 100.0 * 60 * 50),  # two directions: two
        ([(90, 100.0, 40, 1), (90.05, 100.0, 9, 0), (90.1, 100.0, 60, 1)], 100.0 * 100 * 50),  # unknown: not a break
    ],
)
def test_a_sweep_is_a_run_of_one_direction_with_short_gaps(rows, largest):
    found = tape(events({"second": 100}), trades(*rows), notional_min=500_000.0)

    assert found["sweep_notional"] == [largest]
    assert found["sweep_detected"] == [largest >= 500_000.0]


def test_a_run_of_trades_is_cut_where_the_next_event_begins():
    found = tape(
        events({"second": 90.05}, {"second": 90.05}),
        trades((90, 100.0, 40, 1), (90.04, 100.0, 60, 1)),
    )

    assert found["sweep_notional"] == [500_000.0, 500_000.0]


def test_no_events_give_empty_columns():
    found = tape(events(), trades((90, 100.0, 1, 1)))

    assert all(column == [] for column in found.values())
