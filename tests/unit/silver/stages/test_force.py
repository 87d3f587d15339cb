from __future__ import annotations

import polars as pl
import pytest
from tests.unit.silver.stages.feature_rows import book, events, values

from ticklake.silver.stages.force import ForceParameters, force_columns


def moving(*rows):
    """Events with (direction, ofi, tape imbalance, acceleration), all at 100 s."""
    return events(*({"second": 100, "direction": row[0]} for row in rows)).with_columns(
        ofi_60s=pl.Series([row[1] for row in rows], dtype=pl.Float64),
        tape_imbalance=pl.Series([row[2] for row in rows], dtype=pl.Float64),
        acceleration_1min=pl.Series([row[3] for row in rows], dtype=pl.Float64),
    )


BOOK = book(
    (40, [(95.0, 1e6)], [(95.25, 1e6)]),  # exactly 60 s ago
    (50, [(95.0, 20.0)], [(95.25, 40.0)]),
    (100, [(95.0, 10.0)], [(95.25, 10.0)]),
    (100.25, [(95.0, 1e6)], [(95.25, 1e6)]),
)


def force(event_rows, book_rows=BOOK, **changes):
    return values(force_columns(event_rows, book_rows, ForceParameters(**changes)))


def test_flow_against_depth_predicts_acceleration():
    found = force(moving((1, 80.0, 0.5, 2.0), (-1, 80.0, 0.5, 2.0)))

    assert found["force"] == [85.0, -85.0]
    assert found["mass"] == [20.0, 20.0]  # of 30 and 10
    predicted = 2 * 0.25 * 85.0 / (2 * 20.0)  # within one minute
    assert found["predicted_acceleration"] == [pytest.approx(predicted), pytest.approx(-predicted)]
    assert found["force_residual"] == [pytest.approx(2.0 - predicted), pytest.approx(2.0 + predicted)]
    assert found["force_ratio"] == [pytest.approx(2.0 / predicted), pytest.approx(-2.0 / predicted)]


def test_a_longer_window_spreads_the_same_move():
    rows = moving((1, 80.0, 0.0, 2.0)).rename({"ofi_60s": "ofi_120s"})

    found = force(rows, book((90, [(95.0, 20.0)], [(95.25, 20.0)])), ofi_window_s=120)

    assert found["predicted_acceleration"] == [pytest.approx(0.25 * 80.0 / 20.0 / 4)]


def test_what_is_unknown_stays_unknown():
    found = force(moving((1, None, 0.5, 2.0), (1, 80.0, None, None), (1, 0.0, None, 2.0)))

    assert found["force"] == [None, 80.0, 0.0]
    assert found["predicted_acceleration"][0] is None
    assert found["force_residual"][1] is None
    assert found["force_ratio"][2] is None


def test_without_depth_there_is_no_mass():
    found = force(moving((1, 80.0, 0.0, 2.0)), book((90, [], [(95.25, 20.0)])))

    assert found["mass"] == [None]
    assert found["predicted_acceleration"] == [None]
