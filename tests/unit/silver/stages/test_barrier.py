from __future__ import annotations

import pytest
from tests.unit.silver.stages.feature_rows import book, events, values

from ticklake.silver.stages.barrier import barrier_evolution_columns


def evolution(event_rows, book_rows, changes_min=(1, 3, 5)):
    return values(barrier_evolution_columns(event_rows, book_rows, reach_points=8.5 * 0.25, changes_min=changes_min))


def test_depth_on_both_sides_within_eight_ticks_of_the_zone():
    rows = book(
        (5, [(95.0, 1.0), (93.0, 2.0), (92.75, 4.0)], [(95.25, 8.0), (107.0, 16.0), (107.25, 32.0)]),
    )

    assert evolution(events({"second": 10}), rows)["near_depth"] == [27.0]


def test_a_level_without_width_counts_eight_ticks():
    rows = book((5, [(98.0, 1.0), (97.75, 2.0)], [(100.0, 4.0), (102.0, 8.0), (102.25, 16.0)]))

    assert evolution(events({"second": 10, "zone": 0.0}), rows)["near_depth"] == [13.0]


def test_change_and_percent_of_the_same_prices_earlier():
    rows = book(
        (0, [(80.0, 9.0)], [(90.0, 9.0)]),  # out of sight
        (120, [(94.0, 40.0)], [(94.25, 10.0)]),  # 180 s before t
        (240, [(95.0, 60.0)], [(95.25, 20.0)]),  # 60 s before t
        (300, [(95.0, 70.0)], [(95.25, 30.0)]),
        (300.25, [(95.0, 1e9)], [(95.25, 1e9)]),
    )

    found = evolution(events({"second": 300}), rows)

    assert found["near_depth"] == [100.0]
    assert found["near_depth_change_1min"] == [20.0]
    assert found["near_depth_pct_1min"] == [25.0]
    assert found["near_depth_change_3min"] == [50.0]
    assert found["near_depth_pct_3min"] == [100.0]
    assert found["near_depth_change_5min"] == [None]
    assert found["near_depth_pct_5min"] == [None]


def test_a_range_that_is_in_sight_but_empty_holds_nothing():
    rows = book((5, [(90.0, 5.0)], [(110.0, 5.0)]))

    found = evolution(events({"second": 65, "zone": 1.0}), rows)

    assert found["near_depth"] == [0.0]
    assert found["near_depth_change_1min"] == [0.0]
    assert found["near_depth_pct_1min"] == [None]


@pytest.mark.parametrize("rows", [book(), book((5, [], []))])
def test_without_a_book_nothing_is_known(rows):
    assert evolution(events({"second": 10}), rows)["near_depth"] == [None]
