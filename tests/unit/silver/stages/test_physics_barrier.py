from __future__ import annotations

import polars as pl
import pytest
from tests.unit.silver.stages.feature_rows import NS, actions, book, events, values

from ticklake.silver.stages.physics_barrier import BarrierThresholds, barrier_columns, barrier_state

THRESHOLDS = BarrierThresholds(weak_depth=50, thin_ratio=0.3, wall_ratio=1.5, absorbed=100, depth_change=100)
BIDS = [(95.0, 10.0), (94.75, 20.0), (93.0, 40.0), (92.75, 80.0)]  # 93.0 is 8 ticks from the best, 92.75 is 9
ASKS = [(95.25, 1.0), (95.5, 2.0), (97.25, 4.0), (97.5, 8.0)]


def barrier(event_rows, book_rows, action_rows):
    columns = barrier_columns(
        event_rows,
        book_rows.lazy(),
        action_rows.lazy(),
        window_ns=240 * NS,
        reach_points=8.5 * 0.25,
        thresholds=THRESHOLDS,
    )
    return values(columns)


def test_depth_is_of_the_defending_side_within_eight_ticks_of_its_best():
    found = barrier(
        events({"second": 10, "direction": 1}, {"second": 10, "direction": -1}), book((5, BIDS, ASKS)), actions()
    )

    assert found["barrier_depth"] == [7.0, 70.0]
    assert found["barrier_depth_change"] == [None, None]  # no book 240 s earlier
    assert found["wall_ratio"] == [1.0, 1.0]


def test_change_and_mean_use_rows_up_to_t_only():
    rows = book(
        (60, [(95.0, 30.0)], [(95.25, 10.0)]),  # at t - 240 s
        (100, [], [(95.25, 20.0)]),  # no bid at all
        (300, [(95.0, 90.0)], [(95.25, 60.0)]),  # at t
        (300.25, [(95.0, 9e9)], [(95.25, 9e9)]),
    )

    found = barrier(events({"second": 300, "direction": 1}, {"second": 300, "direction": -1}), rows, actions())

    assert found["barrier_depth"] == [60.0, 90.0]
    assert found["barrier_depth_change"] == [50.0, 60.0]
    assert found["wall_ratio"] == [60.0 / 30.0, 90.0 / 60.0]  # of (10 + 20 + 60) / 3 and of (30 + 90) / 2


def test_flows_count_known_actions_on_the_defending_side():
    rows = actions(
        (60, "A", "A", 95.25, 1000),  # exactly 240 s ago
        (61, "A", "A", 95.25, 5),
        (62, "A", "A", 97.25, 7),  # 8 ticks from the best
        (63, "A", "A", 97.5, 1000),  # 9 ticks
        (64, "A", "A", 95.0, 11),  # a new best is inside
        (65, "A", "B", 95.0, 100),
        (66, "C", "A", 95.25, 3),
        (67, "M", "A", 95.25, 1000),
        (68, "F", "A", 95.25, 2),
        (69, "T", "B", 95.25, 4),  # a buyer crosses and takes from the asks
        (70, "T", "A", 95.0, 50),  # a seller takes from the bids
        (71, "T", "N", 95.25, 1000),
        (300, "C", "A", 95.25, 1),
        (300.1, "C", "A", 95.25, 1000),  # later
    )

    found = barrier(
        events({"second": 300, "direction": 1}, {"second": 300, "direction": -1}), book((5, BIDS, ASKS)), rows
    )

    assert found["barrier_added"] == [23.0, 100.0]
    assert found["barrier_canceled"] == [4.0, 0.0]
    assert found["barrier_filled"] == [6.0, 50.0]
    assert found["barrier_replenishment"] == [2.3, 2.0]


def test_a_flow_counts_where_the_barrier_stood_when_it_happened_not_where_it_ends():
    rows = book(
        (5, [(95.0, 10.0)], [(95.25, 10.0)]),
        (100, [(99.0, 10.0)], [(99.25, 10.0)]),  # four points up: the asks in reach were 95.25 to 97.25, now to 101.25
        (200, [(93.0, 10.0)], [(93.25, 10.0)]),  # six down: to 95.25
    )
    flows = actions(
        (80, "A", "A", 97.25, 1),  # in reach then, two points too far at the end
        (81, "A", "A", 95.25, 2),  # in reach then and at the end
        (82, "A", "A", 97.5, 100),  # never in reach
        (83, "C", "B", 93.0, 4),  # bids in reach: from 93.0 on
        (99.999, "C", "A", 101.25, 100),  # not yet in reach
        (100, "C", "A", 101.25, 8),  # of the instant of the row, which goes first
        (150, "A", "A", 97.5, 16),  # out of reach before, in reach now
        (151, "C", "B", 93.0, 100),  # the best bid at the end; far below 97.0, the last in reach at 99.0
        (152, "T", "A", 97.0, 32),  # a seller takes bids at 97.0
        (250, "A", "A", 97.25, 100),  # as at 80 s, but price has left
        (251, "F", "A", 95.25, 64),
        (252, "C", "B", 91.0, 128),
    )

    found = barrier(events({"second": 300, "direction": 1}, {"second": 300, "direction": -1}), rows, flows)

    assert found["barrier_added"] == [1.0 + 2.0 + 16.0, 0.0]
    assert found["barrier_canceled"] == [8.0, 4.0 + 128.0]
    assert found["barrier_filled"] == [64.0, 32.0]
    assert found["barrier_replenishment"] == [19.0 / 72.0, 0.0]


def test_a_feed_without_actions_does_not_say_zero():
    found = barrier(events({"second": 10}), book((5, BIDS, ASKS)), actions())

    assert found["barrier_added"] == [None]
    assert found["barrier_filled"] == [None]
    assert found["barrier_replenishment"] == [None]


def test_without_a_book_nothing_is_known():
    found = barrier(events({"second": 10}), book(), actions())

    assert found["barrier_depth"] == [None]
    assert found["wall_ratio"] == [None]
    assert found["barrier_state"] == [None]


@pytest.mark.parametrize(
    ("depth", "wall", "change", "filled", "state"),
    [
        (None, None, None, None, None),
        (49, 2.0, 200, 500, "WEAK"),
        (50, 0.3, 200, 500, "THIN"),
        (50, 1.5, -200, 500, "WALL"),
        (50, 1.0, 0, 100, "ABSORBING"),
        (50, 1.0, 0, 99, "NORMAL"),
        (50, 1.0, -100, 500, "DRAINING"),
        (50, 1.0, 100, 0, "BUILDING"),
        (50, 1.0, 99, None, "NORMAL"),
        (50, None, None, None, "NORMAL"),
    ],
)
def test_the_first_state_that_holds(depth, wall, change, filled, state):
    row = {"barrier_depth": depth, "wall_ratio": wall, "barrier_depth_change": change, "barrier_filled": filled}

    frame = pl.DataFrame([row], schema=dict.fromkeys(row, pl.Float64))

    assert frame.select(barrier_state(THRESHOLDS)).item() == state
