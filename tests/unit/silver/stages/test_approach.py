from __future__ import annotations

import polars as pl
import pytest
from tests.unit.silver.stages.feature_rows import NS, at, events, session, values

from ticklake.silver.stages.approach import STAGE, ApproachParameters, attempt_index, bar_columns, prior_touches

MIN = 60 * NS


def bars(*rows):
    """One-minute bars as (minute, open, high, low, close)."""
    prices = {
        name: pl.Series([row[1 + place] for row in rows], dtype=pl.Float64)
        for place, name in enumerate(("open", "high", "low", "close"))
    }
    starts = pl.Series([at(60 * row[0]) for row in rows], dtype=pl.Int64)
    return pl.DataFrame({"bar_start_ns": starts, "available_ns": starts + MIN, **prices})


BARS = bars(
    (-1, 50, 50, 10, 20),  # begins before t - 10 min
    (0, 90, 91, 88, 91),
    (1, 91, 91, 89, 90),
    (2, 90, 92, 90, 91),
    (3, 91, 93, 91, 92),
    (9, 92, 95, 92, 94),  # closes at t
    (10, 94, 99, 80, 81),  # not closed yet
)


def approach(event_rows, bar_rows=BARS):
    return values(bar_columns(event_rows, bar_rows, window_ns=10 * MIN))


def test_the_way_of_the_closed_bars_from_below():
    found = approach(events({"second": 600, "direction": 1, "entry": 95.0}))

    assert found["approach_velocity"] == [pytest.approx((94 - 90) / 10)]
    assert found["approach_bars"] == [3]
    assert found["approach_distance"] == [95.0 - 88.0]


def test_the_way_of_the_closed_bars_from_above():
    falling = bars((0, 100, 101, 99, 100), (1, 100, 100.5, 98, 98), (2, 98, 98, 96, 97))

    found = approach(events({"second": 190, "direction": -1, "entry": 96.0}), falling)

    assert found["approach_velocity"] == [1.0]
    assert found["approach_bars"] == [2]
    assert found["approach_distance"] == [5.0]


def test_a_price_beyond_the_bars_has_come_no_way():
    assert approach(events({"second": 600, "direction": 1, "entry": 70.0}))["approach_distance"] == [0.0]


def test_a_run_is_no_longer_than_the_window():
    rising = bars(*((minute, minute, minute + 1, minute, minute + 1) for minute in range(30)))

    assert approach(events({"second": 1_800, "entry": 30.0}), rising)["approach_bars"] == [10]


def test_a_price_that_stands_still_ends_a_run():
    flat = bars((0, 1, 1, 1, 1), (1, 1, 2, 1, 2), (2, 2, 2, 2, 2))

    assert approach(events({"second": 200, "entry": 2.0}), flat)["approach_bars"] == [0]


@pytest.mark.parametrize("rows", [bars(), BARS])
def test_without_a_closed_bar_in_the_window_nothing_is_known(rows):
    found = approach(events({"second": 3_600}), rows)

    assert found == {"approach_velocity": [None], "approach_bars": [None], "approach_distance": [None]}


def test_touches_are_earlier_events_of_the_kind_near_the_level():
    rows = events(
        {"second": 1, "kind": "VWAP", "level": 100.0},
        {"second": 2, "kind": "PM_LOW", "level": 100.0},
        {"second": 3, "kind": "VWAP", "level": 102.0, "direction": -1},
        {"second": 4, "kind": "VWAP", "level": 102.25},
        {"second": 5, "kind": "VWAP", "level": 101.0},
    )

    assert prior_touches(rows, touch_points=2.0).to_list() == [0, 0, 1, 1, 3]


def test_attempts_are_numbered_inside_their_cluster():
    rows = events(
        {"second": 0, "level": 100.0},
        {"second": 900, "level": 100.0},  # 15 min later
        {"second": 950, "level": 100.0, "direction": -1},
        {"second": 960, "level": 100.0, "kind": "VWAP"},
        {"second": 1_000, "level": 100.125},  # the level moved too far
        {"second": 1_001, "level": 100.125},
        {"second": 1_902, "level": 100.125},  # 15 min and 1 s later
    )

    assert rows.select(attempt_index(gap_ns=15 * MIN, move_points=0.1)).to_series().to_list() == [1, 2, 1, 1, 1, 2, 1]


def test_minutes_are_counted_from_the_open():
    frames = {"events": events({"second": -90}, {"second": 30}).lazy(), "bars_1min": BARS.lazy()}

    found = STAGE.run(frames, ApproachParameters(), session())["events"].collect()

    assert found["minutes_since_open"].to_list() == [-1.5, 0.5]
