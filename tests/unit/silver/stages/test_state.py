"""The state table: a regular grid that knows the last event of each level, and the level as of now."""

from __future__ import annotations

import polars as pl
import pytest
from tests.unit.silver.stages.level_rows import NS, OPEN_NS, event_rows, level_frames, session

from ticklake.base.errors import UsageError
from ticklake.silver.stages.state import STAGE, STATE_FEATURES, StateParameters

EVENTS = event_rows((45, "PM_HIGH", 1.0), (60, "VWAP", 200.0), (100, "PM_HIGH", 3.0))


def state(events: pl.DataFrame = EVENTS, parameters: StateParameters | None = None) -> pl.DataFrame:
    frames = level_frames(events)
    return STAGE.run(frames, parameters or StateParameters(), session())["state"].collect()


def at(rows: pl.DataFrame, second: float, kind: str) -> dict[str, object]:
    return rows.row(
        by_predicate=(pl.col("ts_event_ns") == OPEN_NS + int(second * NS)) & (pl.col("kind") == kind), named=True
    )


def test_a_level_appears_at_the_first_grid_instant_after_its_first_event() -> None:
    rows = state()
    first = rows.group_by("kind", maintain_order=True).agg((pl.col("ts_event_ns").min() - OPEN_NS) // NS)
    assert dict(first.iter_rows()) == {"PM_HIGH": 60, "VWAP": 60}
    assert (rows["ts_event_ns"].max() - OPEN_NS) // NS == 3 * 3600 - 30
    assert rows.height == 2 * (3 * 120 - 2)


def test_rows_are_sorted_and_unique() -> None:
    keys = state().select("ts_event_ns", "kind")
    assert keys.equals(keys.sort("ts_event_ns", "kind"))
    assert keys.is_unique().all()


def test_features_are_those_of_the_last_event_so_far() -> None:
    rows = state()
    feature = STATE_FEATURES[0]
    assert [at(rows, second, "PM_HIGH")[feature] for second in (60, 90, 120)] == [1.0, 1.0, 3.0]
    assert at(rows, 60, "VWAP")[feature] == 200.0  # an event at the instant itself counts
    assert at(rows, 90, "PM_HIGH")["last_event_id"] == EVENTS["event_id"][0]


def test_time_since_last_touch_counts_from_the_last_event() -> None:
    rows = state()
    assert [at(rows, second, "PM_HIGH")["time_since_last_touch_s"] for second in (60, 90, 120, 150)] == pytest.approx(
        [15, 45, 20, 50]
    )


def test_spot_distance_and_level_are_as_of_the_instant() -> None:
    rows = state()
    assert (at(rows, 150, "PM_HIGH")["spot"], at(rows, 150, "PM_HIGH")["distance_points"]) == (102.0, 2.0)
    assert at(rows, 570, "VWAP")["level_price"] == 100.0
    absent = at(rows, 600, "VWAP")
    assert (absent["level_price"], absent["distance_points"]) == (None, None)


def test_no_events_give_an_empty_table_of_the_same_columns() -> None:
    empty, full = state(EVENTS.clear()), state()
    assert empty.height == 0
    assert empty.schema == full.schema
    assert [(spec.name, spec.dtype) for spec in STAGE.gives_with(StateParameters())["state"]] == list(
        full.schema.items()
    )


def test_the_step_comes_from_the_parameters() -> None:
    rows = state(parameters=StateParameters(step_s=600))
    assert rows["ts_event_ns"].n_unique() == 17
    with pytest.raises(UsageError, match="step_s"):
        state(parameters=StateParameters(step_s=0))


def test_what_comes_later_changes_no_earlier_row() -> None:
    later = EVENTS.with_columns(ts_event_ns=pl.col("ts_event_ns")).vstack(event_rows((4000, "OR_LOW", 9.0)))
    cut = pl.col("ts_event_ns") < OPEN_NS + 4000 * NS
    assert state().filter(cut).equals(state(later).filter(cut))


def test_seconds_have_the_bits_of_whole_seconds_plus_the_rest() -> None:
    rows = state(event_rows((7.123456789, "PM_HIGH", 1.0)))
    touch_ns = OPEN_NS + int(7.123456789 * NS)
    spans = [divmod(time - touch_ns, NS) for time in rows["ts_event_ns"]]
    assert rows["time_since_last_touch_s"].to_list() == [whole + rest * 1e-9 for whole, rest in spans]
