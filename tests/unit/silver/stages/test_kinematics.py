from __future__ import annotations

import numpy as np
import pytest
from tests.unit.silver.stages.feature_rows import NS, events, trades, values

from ticklake.silver.stages.kinematics import fit_derivatives, kinematics_columns


def motion(event_rows, trade_rows, windows_min=(1,)):
    return values(kinematics_columns(event_rows, trade_rows, windows_min=windows_min, sample_ns=NS))


def walk(price_of, seconds):
    return trades(*((second, price_of(second), 1, 1) for second in seconds))


def cubic(second):
    """p = 100 - 3 + 2 m - 0.5 m^2 + 0.25 m^3 with m minutes from the event at 1,300 s."""
    minutes = (second - 1_300) / 60
    return 97.0 + 2.0 * minutes - 0.5 * minutes**2 + 0.25 * minutes**3


@pytest.mark.parametrize("direction", [1, -1])
def test_a_cubic_is_found_again_in_every_window(direction):
    windows = (1, 3, 5, 10, 20)
    found = motion(events({"second": 1_300, "direction": direction}), walk(cubic, range(0, 1_301)), windows_min=windows)

    for window in windows:
        assert found[f"velocity_{window}min"] == [pytest.approx(direction * 2.0, rel=1e-9)]
        assert found[f"acceleration_{window}min"] == [pytest.approx(direction * -1.0, rel=1e-8)]
        assert found[f"jerk_{window}min"] == [pytest.approx(direction * 1.5, rel=1e-7)]


def test_noise_is_fitted_like_any_least_squares_solver():
    dice = np.random.default_rng(5)
    x = -np.sort(dice.random((60, 3)), axis=0)
    y = dice.normal(size=(60, 3))
    known = dice.random((60, 3)) < 0.8

    found = np.column_stack(fit_derivatives(x, y, known))

    for event in range(3):
        fit = np.polynomial.Polynomial.fit(x[known[:, event], event], y[known[:, event], event], 3)
        assert found[event] == pytest.approx([fit.deriv(order)(0.0) for order in (1, 2, 3)], rel=1e-9)


def test_where_unknown_points_lie_changes_no_bit():
    """So the fit of an event never depends on how many trades other, later events have."""
    dice = np.random.default_rng(6)
    x = -np.sort(dice.random((40, 5)), axis=0)
    y = dice.normal(size=(40, 5))
    known = np.ones((40, 5), dtype=bool)

    gaps = np.sort(dice.permutation(400)[:40])
    wide_x, wide_y, wide_known = np.ones((400, 5)), np.ones((400, 5)), np.zeros((400, 5), dtype=bool)
    wide_x[gaps], wide_y[gaps], wide_known[gaps] = x, y, known

    assert np.array_equal(fit_derivatives(x, y, known), fit_derivatives(wide_x, wide_y, wide_known))


def test_points_that_crowd_at_the_end_of_a_window_lose_no_digits():
    seconds = [1_299.0 + step / 10 for step in range(0, 11, 2)]
    found = values(
        kinematics_columns(events({"second": 1_300}), walk(cubic, seconds), windows_min=(20,), sample_ns=NS // 10)
    )

    assert found["velocity_20min"] == [pytest.approx(2.0, rel=1e-6)]


def test_fewer_points_than_degree_plus_two_are_null():
    four = walk(cubic, (1_250, 1_260, 1_270, 1_280))
    five = walk(cubic, (1_250, 1_260, 1_270, 1_280, 1_290))

    assert motion(events({"second": 1_300}), four)["velocity_1min"] == [None]
    assert motion(events({"second": 1_300}), five)["velocity_1min"] == [pytest.approx(2.0, rel=1e-8)]


def test_a_second_counts_once_by_its_last_trade():
    quiet = walk(cubic, range(1_241, 1_301))
    busy = trades(
        *((s - 0.5, 500.0, 1, 1) for s in range(1_250, 1_251)), *((s, cubic(s), 1, 1) for s in range(1_250, 1_301))
    )

    assert motion(events({"second": 1_300}), busy)["velocity_1min"] == [pytest.approx(2.0, rel=1e-8)]
    assert motion(events({"second": 1_300}), quiet)["velocity_1min"] == [pytest.approx(2.0, rel=1e-8)]


def test_the_window_is_open_at_its_start_and_closed_at_t():
    rows = trades((1_240, 900.0, 1, 1), *((s, cubic(s), 1, 1) for s in range(1_241, 1_301)), (1_300.5, 900.0, 1, 1))

    assert motion(events({"second": 1_300}), rows)["velocity_1min"] == [pytest.approx(2.0, rel=1e-8)]


def test_an_event_does_not_depend_on_the_events_beside_it():
    dice = np.random.default_rng(6)
    rows = trades(
        *((float(s), float(p), 1, 1) for s, p in zip(range(2_000), 100 + dice.normal(size=2_000), strict=True))
    )
    many = [{"second": second} for second in range(1_300, 1_960, 60)]

    together = motion(events(*many), rows, windows_min=(1, 20))
    alone = [motion(events(event), rows, windows_min=(1, 20)) for event in many]

    assert together == {name: [found[name][0] for found in alone] for name in together}


def test_a_window_shorter_than_a_step_knows_nothing():
    found = values(
        kinematics_columns(
            events({"second": 1_300}), walk(cubic, range(0, 1_301)), windows_min=(1, 20), sample_ns=120 * NS
        )
    )

    assert found["velocity_1min"] == [None]
    assert found["velocity_20min"] == [pytest.approx(2.0, rel=1e-6)]


def test_no_trades_at_all():
    assert motion(events({"second": 10}), trades())["jerk_1min"] == [None]
