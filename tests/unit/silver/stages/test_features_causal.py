"""Features of an event are bit-equal whatever comes after it, and have the declared types and ranges."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from tests.unit.silver.stages.feature_rows import DATE, NS, OPEN_NS, session

from ticklake.silver.stages import approach, barrier, distances, force, gex, kinematics, ofi, physics
from ticklake.silver.stages.event_features import book_columns
from ticklake.silver.stages.levels import LEVEL_KINDS

STAGES = [stage.STAGE for stage in (physics, kinematics, ofi, barrier, distances, gex, force, approach)]
SECONDS = 3_000
EVENTS = 60
TIMES = {"bars_1min": "available_ns", "levels": "valid_from_ns"}


def simulated():
    """A walk of 20,000 trades, 6,000 book rows with fractional sizes, and events at trades of it."""
    dice = np.random.default_rng(17)

    def times(count):
        return np.sort(dice.integers(0, SECONDS * NS, count)) + OPEN_NS

    price = 6_000 + np.cumsum(dice.integers(-1, 2, 20_000)) * 0.25
    trades = pl.DataFrame(
        {
            "ts_event_ns": times(20_000),
            "price": price,
            "size": dice.integers(1, 30, 20_000),
            "aggressor": dice.integers(-1, 2, 20_000).astype(np.int8),
        }
    )
    book = pl.DataFrame({"ts_event_ns": np.unique(times(6_000) // (NS // 4)) * (NS // 4)}).join_asof(
        trades.select("ts_event_ns", mid="price"), on="ts_event_ns"
    )
    book = book.filter(pl.col("mid").is_not_null()).with_columns(
        *((pl.col("mid") - 0.25 * k).alias(f"bid_px_{k}") for k in range(1, 11)),
        *((pl.col("mid") + 0.25 * k).alias(f"ask_px_{k}") for k in range(1, 11)),
    )
    sizes = {name: dice.random(book.height) * 90 for name in book_columns("bid_sz", "ask_sz")}
    book = book.with_columns(**{name: pl.Series(values) for name, values in sizes.items()})
    actions = pl.DataFrame({"ts_event_ns": times(9_000)}).join_asof(
        trades.select("ts_event_ns", "price"), on="ts_event_ns"
    )
    actions = actions.drop_nulls().select(
        "ts_event_ns",
        action=pl.Series(dice.choice(list("ACMTF"), actions.drop_nulls().height)),
        side=pl.Series(dice.choice(list("ABN"), actions.drop_nulls().height)),
        action_price="price",
        action_size=pl.Series(dice.random(actions.drop_nulls().height) * 9),
    )
    options = pl.DataFrame(
        {
            "ts_event_ns": times(800),
            "strike": 6_000.0 + 5 * dice.integers(-8, 9, 800),
            "right": dice.choice(["C", "P"], 800),
            "dealer_gamma_flow": dice.normal(size=800) * 50,
        }
    )
    minutes = np.arange(SECONDS // 60) * 60 * NS + OPEN_NS
    walk = price[:: 20_000 // minutes.size][: minutes.size]
    bars = pl.DataFrame(
        {
            "bar_start_ns": minutes,
            "available_ns": minutes + 60 * NS,
            "open": walk,
            "high": walk + dice.random(minutes.size) * 3,
            "low": walk - dice.random(minutes.size) * 3,
            "close": walk + dice.normal(size=minutes.size),
        }
    )
    levels = pl.DataFrame(
        {
            "valid_from_ns": times(500),
            "kind": dice.choice(LEVEL_KINDS, 500),
            "level_price": np.where(dice.random(500) < 0.1, np.nan, 6_000 + dice.normal(size=500) * 10),
        },
        nan_to_null=True,
    )
    rows = np.sort(dice.integers(200, 20_000, EVENTS))
    direction = dice.choice([-1, 1], EVENTS)
    events = pl.DataFrame(
        {
            "event_id": [f"e{place}" for place in range(EVENTS)],
            "date": [DATE] * EVENTS,
            "ts_event_ns": trades["ts_event_ns"].to_numpy()[rows],
            "kind": dice.choice(LEVEL_KINDS, EVENTS),
            "level_price": price[rows] + direction * dice.integers(0, 21, EVENTS) * 0.25,
            "direction": direction.astype(np.int8),
            "entry_price": price[rows],
            "zone_points": np.full(EVENTS, 5.0),
            "atr": 1 + dice.random(EVENTS),
        }
    )
    for name in ("ofi", "ofi5"):
        book = book.with_columns(pl.Series(name, dice.normal(size=book.height) * 40))
    return {
        "trades": trades, "book": book.drop("mid"), "book_actions": actions, "options": options, "bars_1min": bars,
        "levels": levels, "events": events,
    }  # fmt: skip


def features(frames):
    lazy = {name: frame.lazy() for name, frame in frames.items()}
    for stage in STAGES:
        lazy |= stage.run(lazy, stage.parameters(), session())
        lazy["events"] = lazy["events"].collect().lazy()
    return lazy["events"].collect()


def removed(name, frame, cut_ns):
    return frame.filter(pl.col(TIMES.get(name, "ts_event_ns")) <= cut_ns)


def absurd(name, frame, cut_ns):
    """What comes after the cut, and no time, has another value; the events stay as they are."""
    if name == "events":
        return frame
    later = pl.col(TIMES.get(name, "ts_event_ns")) > cut_ns
    numbers = [column for column, dtype in frame.schema.items() if dtype.is_numeric() and not column.endswith("_ns")]
    return frame.with_columns(
        pl.when(later).then(pl.col(column) * 7).otherwise(pl.col(column)).cast(frame.schema[column]).alias(column)
        for column in numbers
    )


@pytest.fixture(scope="module")
def day():
    frames = simulated()
    return frames, features(frames)


@pytest.mark.parametrize("change", [removed, absurd])
@pytest.mark.parametrize("place", [5, 23, 41, 58])
def test_what_comes_later_changes_no_bit(day, change, place):
    frames, whole = day
    cut_ns = whole["ts_event_ns"][place]

    again = features({name: change(name, frame, cut_ns) for name, frame in frames.items()})

    known = pl.col("ts_event_ns") <= cut_ns
    assert again.filter(known).equals(whole.filter(known), null_equal=True)


def test_columns_are_as_declared(day):
    _, whole = day
    for stage in STAGES:
        for spec in stage.gives_with(stage.parameters())["events"]:
            values = whole[spec.name]
            assert values.dtype == spec.dtype, spec.name
            assert spec.null or values.null_count() == 0, spec.name
            assert values.n_unique() > 1, spec.name
            assert spec.low is None or values.min() >= spec.low, spec.name
            assert spec.high is None or values.max() <= spec.high, spec.name
            if values.dtype == pl.Float64:
                assert values.is_finite().fill_null(value=True).all(), spec.name


def test_no_two_features_are_the_same(day):
    _, whole = day
    names = [spec.name for stage in STAGES for spec in stage.gives_with(stage.parameters())["events"]]
    contents = {name: tuple(whole[name].to_list()) for name in names}

    assert len(set(names)) == len(names)
    assert len(set(contents.values())) == len(names)


def test_a_session_without_events_gives_the_same_columns(day):
    frames, whole = day

    assert features(frames | {"events": frames["events"].clear()}).schema == whole.schema


def test_a_session_without_anything_before_the_event_is_all_unknown(day):
    frames, whole = day
    empty = {name: frame if name == "events" else frame.clear() for name, frame in frames.items()}

    found = features(empty)

    assert found.schema == whole.schema
    assert found["velocity_1min"].null_count() == found.height
    assert found["barrier_depth"].null_count() == found.height


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_stages_look_back_as_far_as_their_windows(stage):
    wanted_s = {
        "compute_physics": 240,
        "multiwindow_kinematics": 1_200,
        "multiwindow_ofi": 300,
        "barrier_evolution": 300,
        "force_mass": 60,
        "approach_features": 600,
    }

    assert stage.lookback(stage.parameters()).ns == wanted_s.get(stage.name, 0) * NS
