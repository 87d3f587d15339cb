from __future__ import annotations

import polars as pl
from tests.unit.silver.stages.feature_rows import at, events

from ticklake.silver.stages.distances import add_distances
from ticklake.silver.stages.levels import LEVEL_KINDS


def levels(*rows):
    """Levels as (second, kind, price)."""
    return pl.DataFrame(
        {
            "kind": pl.Series([row[1] for row in rows], dtype=pl.String),
            "level_price": pl.Series([row[2] for row in rows], dtype=pl.Float64),
            "valid_from_ns": pl.Series([at(row[0]) for row in rows], dtype=pl.Int64),
        }
    )


def distances(event_rows, level_rows):
    return add_distances(event_rows.lazy(), level_rows.lazy(), stacking_points=(2, 5, 10)).collect()


LEVELS = levels(
    (0, "CALL_WALL", 90.0),
    (0, "OR_HIGH", 102.0),
    (0, "PM_HIGH", 105.25),
    (5, "VWAP", 93.0),
    (10, "CALL_WALL", 100.0),  # known at t
    (10, "PUT_WALL", 110.0),
    (11, "CALL_WALL", 500.0),
    (11, "SMA_200", 97.0),
    (20, "VWAP", None),
)


def test_signed_distance_from_every_level_as_of_t():
    found = distances(events({"second": 10, "entry": 95.0, "atr": 4.0}), LEVELS).row(0, named=True)

    assert found["distance_call_wall_points"] == -5.0
    assert found["distance_vwap_points"] == 2.0
    assert found["distance_vwap_atr"] == 0.5
    assert found["distance_or_high_atr"] == -1.75
    assert found["distance_sma_200_points"] is None
    assert found["distance_sma_200_atr"] is None


def test_a_level_that_is_absent_again_has_no_distance():
    found = distances(events({"second": 20}), LEVELS).row(0, named=True)

    assert found["distance_vwap_points"] is None
    assert found["distance_sma_200_points"] == -2.0


def test_without_atr_there_are_points_only():
    found = distances(events({"second": 10, "atr": None}, {"second": 10, "atr": 0.0}), LEVELS)

    assert found["distance_vwap_points"].to_list() == [2.0, 2.0]
    assert found["distance_vwap_atr"].to_list() == [None, None]


def test_stacking_counts_the_other_levels_near_the_tested_one():
    found = distances(events({"second": 10, "kind": "CALL_WALL", "level": 100.0}), LEVELS).row(0, named=True)

    assert [found[f"stacking_{points}"] for points in (2, 5, 10)] == [1, 1, 4]


def test_rows_and_columns_of_the_events_stay():
    rows = events({"second": 20}, {"second": 10}, {"second": 10}).sort("ts_event_ns", maintain_order=True)

    found = distances(rows, LEVELS)

    assert found.select(rows.columns).equals(rows)
    assert found.width == rows.width + 2 * len(LEVEL_KINDS) + 3
