"""The state table: a regular grid that knows the last event of each level, and the level as of now."""

from __future__ import annotations

import polars as pl
import pytest
from tests.unit.silver.stages.level_rows import NS, OPEN_NS, event_rows, level_frames, session

from ticklake.base.errors import UsageError
from ticklake.silver.pipeline import columns_given, default_parameters
from ticklake.silver.pipelines import es_levels
from ticklake.silver.stages.state import STAGE, STATE_FEATURES, STATE_WORDS, StateParameters

EVENTS = event_rows((45, "PM_HIGH", 1.0), (60, "VWAP", 200.0), (100, "PM_HIGH", 3.0))


def state(events: pl.DataFrame = EVENTS, parameters: StateParameters | None = None) -> pl.DataFrame:
    frames = level_frames(events)
    return STAGE.run(frames, parameters or StateParameters(), session())["state"].collect()


def at(rows: pl.DataFrame, second: float, kind: str) -> dict[str, object]:
    return rows.row(
        by_predicate=(pl.col("ts_event_ns") == OPEN_NS + int(second * NS)) & (pl.col("kind") == kind), named=True
    )


def test_a_level_has_a_row_at_every_instant_from_which_it_is_known() -> None:
    frames = level_frames(EVENTS)
    late = frames["levels"].with_columns(
        valid_from_ns=pl.when(pl.col("kind") == "OR_LOW").then(OPEN_NS + 900 * NS).otherwise("valid_from_ns")
    )
    rows = STAGE.run({**frames, "levels": late}, StateParameters(), session())["state"].collect()
    first = rows.group_by("kind", maintain_order=True).agg((pl.col("ts_event_ns").min() - OPEN_NS) // NS)
    assert dict(first.iter_rows()) == {"PM_HIGH": 0, "VWAP": 0, "OR_LOW": 900}
    assert (rows["ts_event_ns"].max() - OPEN_NS) // NS == 3 * 3600 - 30
    assert rows.height == 3 * 3 * 120 - 30


def test_before_the_first_event_of_a_level_nothing_but_level_and_spot_is_known() -> None:
    row = at(state(), 30, "PM_HIGH")
    assert (row["level_price"], row["spot"], row["distance_points"]) == (100.0, 100.0, 0.0)
    unknown = ("last_event_id", "time_since_last_touch_s", *STATE_FEATURES, *STATE_WORDS)
    assert {row[name] for name in unknown} == {None}


def test_a_touch_before_the_regular_hours_counts_and_gives_no_features() -> None:
    row = at(state(event_rows((-50, "VWAP", 7.0), (100, "VWAP", 9.0))), 30, "VWAP")
    assert (row["time_since_last_touch_s"], row["last_event_id"], row[STATE_FEATURES[0]]) == (80.0, None, None)


def test_carried_features_have_the_units_of_the_events() -> None:
    pipeline = es_levels()
    given = columns_given(pipeline, default_parameters(pipeline))
    units = {name: given["state"][name].unit for name in STATE_FEATURES}
    assert units == {name: given["events"][name].unit for name in STATE_FEATURES}
    assert (units["velocity_1min"], units["tape_buy_volume"]) == ("points/min", "contracts")


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


def test_without_events_the_table_has_the_same_columns() -> None:
    empty, full = state(EVENTS.clear()), state()
    assert empty["last_event_id"].null_count() == empty.height == full.height
    assert empty.schema == full.schema
    assert [(spec.name, spec.dtype) for spec in STAGE.gives_with(StateParameters())["state"]] == list(
        full.schema.items()
    )


def test_the_step_comes_from_the_parameters() -> None:
    rows = state(parameters=StateParameters(step_s=600))
    assert rows["ts_event_ns"].n_unique() == 18
    with pytest.raises(UsageError, match="step_s"):
        state(parameters=StateParameters(step_s=0))


def test_what_comes_later_changes_no_earlier_row() -> None:
    later = EVENTS.with_columns(ts_event_ns=pl.col("ts_event_ns")).vstack(event_rows((4000, "OR_LOW", 9.0)))
    cut = pl.col("ts_event_ns") < OPEN_NS + 4000 * NS
    assert state().filter(cut).equals(state(later).filter(cut))


def test_seconds_have_the_bits_of_whole_seconds_plus_the_rest() -> None:
    rows = state(event_rows((7.123456789, "PM_HIGH", 1.0)))
    touch_ns = OPEN_NS + int(7.123456789 * NS)
    rows = rows.filter((pl.col("kind") == "PM_HIGH") & (pl.col("ts_event_ns") > touch_ns))
    spans = [divmod(time - touch_ns, NS) for time in rows["ts_event_ns"]]
    assert rows["time_since_last_touch_s"].to_list() == [whole + rest * 1e-9 for whole, rest in spans]
