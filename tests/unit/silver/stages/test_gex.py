from __future__ import annotations

import pytest
from tests.unit.silver.stages.feature_rows import events, options, values

from ticklake.silver.stages.gex import gex_columns


def gex(event_rows, option_rows, strikes=(1, 2, 3)):
    return values(gex_columns(event_rows, option_rows, strike_points=5.0, strikes=strikes))


ROWS = options(
    (1, 85.0, "P", 1000.0),
    (2, 90.0, "P", 100.0),
    (3, 90.0, "C", 20.0),
    (4, 95.0, "P", 10.0),
    (5, 100.0, "C", 1.0),
    (6, 105.0, "C", 0.5),
    (7, 110.0, "P", 0.25),
    (8, 115.0, "C", 0.125),
    (20, 100.0, "C", 1e9),  # after the event
)
PERCENT = 97.0**2 * 0.01


def test_exposure_by_strikes_around_spot():
    found = gex(events({"second": 10, "entry": 97.0}), ROWS)

    assert found["gex_above_1"] == [pytest.approx(1.0 * PERCENT)]
    assert found["gex_above_2"] == [pytest.approx(1.5 * PERCENT)]
    assert found["gex_above_3"] == [pytest.approx(1.75 * PERCENT)]
    assert found["gex_below_1"] == [pytest.approx(10.0 * PERCENT)]
    assert found["gex_below_2"] == [pytest.approx(130.0 * PERCENT)]
    assert found["gex_below_3"] == [pytest.approx(1130.0 * PERCENT)]
    assert found["gex_call_above_3"] == [pytest.approx(1.5 * PERCENT)]
    assert found["gex_put_below_2"] == [pytest.approx(110.0 * PERCENT)]
    assert found["gex_asymmetry"] == [pytest.approx((1.75 - 1130.0) * PERCENT)]
    assert found["gex_ratio"] == [pytest.approx(1.75 / 1130.0)]


def test_a_strike_at_spot_is_above_and_n_strikes_are_n():
    found = gex(events({"second": 10, "entry": 100.0}), ROWS)

    assert found["gex_above_1"] == [pytest.approx(1.0 * 100)]
    assert found["gex_above_2"] == [pytest.approx(1.5 * 100)]
    assert found["gex_below_1"] == [pytest.approx(10.0 * 100)]
    assert found["gex_below_2"] == [pytest.approx(130.0 * 100)]


def test_exposure_grows_with_the_trades_so_far():
    found = gex(events({"second": 0}, {"second": 4}, {"second": 5}, {"second": 30}), ROWS, strikes=(2,))

    scale = 95.0**2 * 0.01
    assert found["gex_above_2"] == [None, *(pytest.approx(sum_ * scale) for sum_ in (10.0, 11.0, 11.0 + 1e9))]


def test_ratio_is_null_when_nothing_is_below():
    found = gex(events({"second": 10, "entry": 97.0}), options((1, 100.0, "C", 3.0)))

    assert found["gex_ratio"] == [None]
    assert found["gex_below_3"] == [0.0]


def test_without_option_trades_nothing_is_known():
    found = gex(events({"second": 10}), options())

    assert all(column == [None] for column in found.values())
