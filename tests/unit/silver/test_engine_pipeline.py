"""The engine's pure half: stages that fit, stages that do not, stopping and resuming."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from tests.integration.silver.toy import EPISODES, EVENTS, FIRST, LABEL, LOAD, MOVE, TOY, NoParameters

from ticklake.base.errors import NoDataError, UsageError
from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.checkpoint import load_frames, save_frames
from ticklake.silver.feature_run import feature_pipeline
from ticklake.silver.pipeline import (
    PRIMARY,
    Pipeline,
    StageFailedError,
    check_order,
    default_parameters,
    input_columns,
    lookback_of,
    run_pipeline,
)
from ticklake.silver.stage import ColumnSpec, Frames, LookBack, Role, Stage, check_gives, check_needs


def session() -> SessionWindow:
    window = session_window("us_index_futures", FIRST)
    assert window is not None
    return window


def inputs(rows: int = 100) -> Frames:
    start = session().open_ns
    return {
        "bronze_trades": pl.LazyFrame(
            {
                "ts_event_ns": [start + n * 10**9 for n in range(rows)],
                "stream_seq": list(range(rows)),
                "message_row": [0] * rows,
                "price": [6000 + (n * n % 37) / 4 for n in range(rows)],
                "size": [1] * rows,
            }
        )
    }


def stage(name: str, run: Callable[..., Frames], **more: object) -> Stage[NoParameters]:
    return Stage(name=name, run=run, parameters=NoParameters, **{"needs": {}, "gives": {}, **more})


def with_stages(*stages: Stage) -> Pipeline:
    return TOY.with_stages(stages)


def test_a_run_gives_the_outputs_and_nothing_else() -> None:
    frames = run_pipeline(TOY, inputs(), default_parameters(TOY), session())
    assert set(frames) == {"events", "episodes"}
    events = frames["events"].collect()
    assert events.columns == [
        "event_id", "date", "ts_event_ns", "entry_price", "step_points", "distance_points", "later_price",
    ]  # fmt: skip
    assert events.height == 10


def test_stopped_and_resumed_is_as_run_through(tmp_path: Path) -> None:
    own = default_parameters(TOY)
    whole = run_pipeline(TOY, inputs(), own, session())
    half = run_pipeline(TOY, inputs(), own, session(), stop_at="events")
    assert {"trades", "events"} <= set(half)
    save_frames(tmp_path, "events", half)
    rest = run_pipeline(TOY, load_frames(tmp_path, "events"), own, session(), resume_after="events")
    for name, frame in whole.items():
        assert frame.collect().equals(rest[name].collect()), name


def test_there_is_nothing_between_a_stage_and_itself() -> None:
    with pytest.raises(UsageError, match="'events' is not after 'move'"):
        run_pipeline(TOY, inputs(), default_parameters(TOY), session(), stop_at="events", resume_after="move")
    with pytest.raises(UsageError, match="no stage 'mvoe'; it has load, events"):
        run_pipeline(TOY, inputs(), default_parameters(TOY), session(), stop_at="mvoe")


def test_a_missing_checkpoint_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="--stop-at events"):
        load_frames(tmp_path, "events")


def test_a_missing_column_names_stage_frame_column_and_giver() -> None:
    frames = {**inputs(), "trades": pl.LazyFrame({"ts_event_ns": [1]}), "events": pl.LazyFrame({"ts_event_ns": [1]})}
    with pytest.raises(UsageError, match=r"stage 'move' needs columns price of frame 'trades'.*run load before it"):
        check_needs(frames, MOVE, MOVE.parameters(), TOY.stages)
    with pytest.raises(UsageError, match=r"stage 'move' needs frame 'events'.*run events before it"):
        check_needs({"trades": frames["trades"]}, MOVE, MOVE.parameters(), TOY.stages)


def test_a_broken_declaration_is_refused() -> None:
    made = {"events": pl.LazyFrame({"distance_points": [1]})}
    with pytest.raises(UsageError, match=r"declares events.distance_points as Float64 and made Int64"):
        check_gives(made, MOVE, MOVE.parameters())
    with pytest.raises(UsageError, match=r"declares events.distance_points and did not make it"):
        check_gives({"events": pl.LazyFrame({"x": [1]})}, MOVE, MOVE.parameters())
    with pytest.raises(UsageError, match="did not return it"):
        check_gives({}, MOVE, MOVE.parameters())


def test_a_wrong_order_is_refused_before_any_row_is_read() -> None:
    wrong = with_stages(LOAD, MOVE, EVENTS)
    with pytest.raises(
        UsageError, match=r"stage 'move' of 'toy' needs columns ts_event_ns of frame 'events'.*put events"
    ):
        check_order(wrong, default_parameters(wrong))
    check_order(TOY, default_parameters(TOY))


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        (
            {"signals": ("event_id",)},
            "frame 'signals', which no earlier stage gives; of frames there are: events, trades",
        ),
        ({"events": ("event_ids",)}, "frame 'events', which no earlier stage gives; of columns did you mean event_id"),
    ],
)
def test_a_name_that_nobody_gives_is_told_with_those_there_are(needs: dict[str, tuple[str, ...]], told: str) -> None:
    pipeline = with_stages(LOAD, EVENTS, stage("mine", lambda f, p, s: {}, needs=needs))
    with pytest.raises(UsageError, match=told):
        check_order(pipeline, default_parameters(pipeline))


def test_a_feature_made_from_a_label_is_refused() -> None:
    spec = ColumnSpec("peek", pl.Float64, "points", Role.FEATURE, "Knows the future.")
    peek = stage("peek", lambda f, p, s: f, needs={"events": ("later_price",)}, gives={"events": (spec,)})
    pipeline = with_stages(LOAD, EVENTS, LABEL, peek)
    with pytest.raises(UsageError, match=r"makes feature 'peek' and reads label events.later_price"):
        check_order(pipeline, default_parameters(pipeline))


def test_a_stage_that_knows_later_rows_makes_no_feature() -> None:
    spec = ColumnSpec("peek", pl.Float64, "points", Role.FEATURE, "Knows the future.")
    peek = stage("peek", lambda f, p, s: f, needs={"events": ("event_id",)}, gives={"events": (spec,)})
    pipeline = with_stages(LOAD, EVENTS, replace(peek, knows_later=True))
    with pytest.raises(UsageError, match="'peek' knows later rows and makes feature 'peek'; declare it as a label"):
        check_order(pipeline, default_parameters(pipeline))
    check_order(with_stages(LOAD, EVENTS, peek), default_parameters(TOY) | {"peek": NoParameters()})


def test_what_a_stage_that_knows_later_rows_gives_feeds_no_feature_whatever_its_role() -> None:
    context = ColumnSpec("later_size", pl.Float64, "contracts", Role.INFO, "Of a later trade.")
    later = stage("later", lambda f, p, s: f, needs={"events": ("event_id",)}, gives={"events": (context,)})
    spec = ColumnSpec("peek", pl.Float64, "points", Role.FEATURE, "Knows the future.")
    peek = stage("peek", lambda f, p, s: f, needs={"events": ("later_size",)}, gives={"events": (spec,)})
    pipeline = with_stages(LOAD, EVENTS, replace(later, knows_later=True), peek)
    with pytest.raises(UsageError, match=r"makes feature 'peek' and reads label events\.later_size"):
        check_order(pipeline, default_parameters(pipeline))
    check_order(with_stages(LOAD, EVENTS, later, peek), default_parameters(pipeline))


def test_two_stages_of_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="two stages named 'load'"):
        with_stages(LOAD, LOAD)


def test_a_stage_that_breaks_is_named_with_its_date() -> None:
    broken = stage("broken", lambda f, p, s: {"events": f["events"].select(pl.col("event_id").cast(pl.Int64))})
    pipeline = with_stages(LOAD, EVENTS, broken)
    with pytest.raises(StageFailedError, match="stage 'broken' failed on 2024-12-16: InvalidOperationError"):
        run_pipeline(pipeline, inputs(), default_parameters(pipeline), session())


def test_a_stage_that_leaves_the_program_is_a_failure() -> None:
    def leave(frames: Frames, parameters: NoParameters, window: SessionWindow) -> Frames:
        raise SystemExit(0)

    pipeline = with_stages(LOAD, EVENTS, stage("leaver", leave))
    with pytest.raises(StageFailedError, match="stage 'leaver' failed on 2024-12-16: SystemExit: 0"):
        run_pipeline(pipeline, inputs(), default_parameters(pipeline), session())


def test_a_stage_may_return_whole_frames_and_must_return_what_it_declares() -> None:
    spec = ColumnSpec("mine", pl.Float64, "points", Role.FEATURE, "Of a user.")

    def run(made: object) -> Frames:
        pipeline = with_stages(LOAD, EVENTS, stage("mine", lambda f, p, s: made, gives={"events": (spec,)}))
        return run_pipeline(pipeline, inputs(), default_parameters(pipeline), session())

    whole = pl.DataFrame({"mine": [1.0]})
    assert run({"events": whole})["events"].collect().equals(whole)
    with pytest.raises(UsageError, match="'mine' declares frame 'events' and did not return it"):
        run({})
    with pytest.raises(UsageError, match="'mine' returned NoneType; return a dict of the frames"):
        run(None)


def test_a_frame_that_nobody_needs_is_not_computed() -> None:
    def explode(frame: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError("computed")

    def make(frames: Frames, parameters: NoParameters, window: SessionWindow) -> Frames:
        return {"aside": frames["bronze_trades"].map_batches(explode, schema={"x": pl.Int64})}

    pipeline = with_stages(stage("aside", make), *TOY.stages)
    assert "events" in run_pipeline(pipeline, inputs(), default_parameters(pipeline), session())


def test_the_largest_lookback_and_every_needed_column_count() -> None:
    longer = replace(EVENTS, lookback=lambda own: LookBack(ns=7, sessions=0))
    pipeline = with_stages(LOAD, longer, MOVE)
    own = default_parameters(pipeline)
    assert lookback_of(pipeline, own) == LookBack(ns=7, sessions=1)
    assert input_columns(pipeline, own) == {
        "bronze_trades": ("ts_event_ns", "stream_seq", "message_row", "price", "size")
    }


def test_the_certificate_runs_no_labels_and_other_files_only_where_they_are_asked_for() -> None:
    drop = stage("drop", lambda f, p, s: {"events": f["events"].head(3)}, needs={"events": ("event_id",)})
    pipeline = with_stages(LOAD, EVENTS, MOVE, LABEL, drop, EPISODES)
    assert feature_pipeline(pipeline, default_parameters(pipeline)).stage_names == (
        "load", "events", "move", "drop", "episodes",
    )  # fmt: skip
    lean = feature_pipeline(pipeline, default_parameters(pipeline), (PRIMARY,))
    assert lean.stage_names == ("load", "events", "move", "drop")
    assert lean.second_pass is None
