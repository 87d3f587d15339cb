"""The whole pipeline on one simulated session, with simulated trades of the sessions before it."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, time
from typing import Any

import polars as pl
import pytest

from ticklake.schema.session import SessionWindow, previous_sessions, session_window
from ticklake.silver.pipeline import check_order, columns_given, default_parameters, run_pipeline
from ticklake.silver.pipelines import es_levels
from ticklake.silver.stage import ColumnSpec, Role
from ticklake.silver.stages.es_levels import STAGES
from ticklake.silver.stages.levels import LEVEL_KINDS
from ticklake.silver.stages.physics import PhysicsParameters
from ticklake.testing.market import MarketSimulator
from ticklake.testing.market_session import new_york_ns

_HOUR_NS = 3600 * 10**9
_FRAMES = {
    "market.futures.trades": "bronze_trades",
    "market.futures.mbp10": "bronze_book",
    "market.options.trades": "bronze_options",
}
_END = time(11, 15)


def _session() -> SessionWindow:
    session = session_window("us_index_futures", date(2025, 6, 3))
    assert session is not None
    return session


DAY = _session()
PIPELINE = es_levels()
PARAMETERS = default_parameters(PIPELINE) | {
    # The price enters a zone 5 points from the level: hardly a trade before that lies within the default 0.5 of it.
    # 500,000 dollars, the default, are two contracts at 6,000: every run of trades would be a sweep.
    "compute_physics": PhysicsParameters(tape_points=10.0, sweep_notional=30e6)
}
GIVEN = columns_given(PIPELINE, PARAMETERS)
FEATURES = [spec.name for spec in GIVEN["events"].values() if spec.role is Role.FEATURE]


def _bronze() -> dict[str, pl.LazyFrame]:
    """Bronze frames of one day: events in the order of the market, and a bulk of earlier trades for warm-up."""
    market = MarketSimulator(5, DAY.date, scale=0.04, begin=time(9, 0))
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for number, event in enumerate(market.events(end_ns=new_york_ns(DAY.date, _END), subjects=_FRAMES), 1):
        row = {key: value for key, value in event.payload.items() if key != "levels"} | {"stream_seq": number}
        for level, sides in enumerate(event.payload.get("levels", ()), 1):
            row |= {f"{side}_{level}": value for side, value in sides.items()}
        rows[_FRAMES[event.subject]].append(row)
    frames = {name: pl.DataFrame(some).with_columns(message_row=pl.lit(0, pl.Int32)) for name, some in rows.items()}
    frames["bronze_trades"] = _with_earlier(frames["bronze_trades"])
    contract = {"symbol": "contract"}
    frames["bronze_options"] = frames["bronze_options"].with_columns(pl.col("exp_date").str.to_date())
    return {name: frame.rename(contract, strict=False).lazy() for name, frame in frames.items()}


def _with_earlier(trades: pl.DataFrame) -> pl.DataFrame:
    days = [window.date for window in previous_sessions("us_index_futures", DAY.date, 3)]
    walks = [MarketSimulator(day.day, day).trades_frame(8_000) for day in days]
    earlier = pl.concat(walks).with_columns(stream_seq=pl.col("seq") - 10**6, message_row=pl.lit(0, pl.Int32))
    columns = ["ts_event_ns", "symbol", "price", "size", "aggressor", "stream_seq", "message_row"]
    return pl.concat([earlier.select(columns), trades.select(columns)], how="vertical_relaxed")


@pytest.fixture(scope="module")
def bronze() -> dict[str, pl.LazyFrame]:
    return _bronze()


@pytest.fixture(scope="module")
def made(bronze: dict[str, pl.LazyFrame]) -> dict[str, pl.DataFrame]:
    return {name: frame.collect() for name, frame in run_pipeline(PIPELINE, bronze, PARAMETERS, DAY).items()}


def test_there_are_eighteen_stages_in_the_order_of_the_design() -> None:
    assert [stage.name for stage in STAGES] == [
        *("load_bronze", "build_ohlcv_1min", "build_ohlcv_2min", "init_market_state", "generate_levels"),
        *("detect_interaction_zones", "compute_physics", "multiwindow_kinematics", "multiwindow_ofi"),
        *("barrier_evolution", "level_distances", "gex_features", "force_mass", "approach_features"),
        *("label_outcomes", "filter_rth", "materialize_state_table", "construct_episodes"),
    ]
    check_order(PIPELINE, PARAMETERS)


@pytest.mark.parametrize("frame", ["events", "state", "episodes"])
def test_an_output_has_the_declared_columns_and_no_other(made: dict[str, pl.DataFrame], frame: str) -> None:
    assert dict(made[frame].schema) == {spec.name: spec.dtype for spec in GIVEN[frame].values()}
    assert not made[frame].is_empty()


@pytest.mark.parametrize("frame", ["events", "state", "episodes"])
def test_values_keep_to_their_declaration(made: dict[str, pl.DataFrame], frame: str) -> None:
    wrong = {spec.name for spec in GIVEN[frame].values() if breaks(made[frame][spec.name], spec)}
    assert wrong == set()


def breaks(values: pl.Series, spec: ColumnSpec) -> bool:
    if not spec.null and values.has_nulls():
        return True
    if not values.dtype.is_numeric():
        return False
    low, high = values.min(), values.max()
    return (spec.low is not None and low is not None and low < spec.low) or (
        spec.high is not None and high is not None and high > spec.high
    )


def test_events_lie_in_regular_hours_in_order_each_with_its_name(made: dict[str, pl.DataFrame]) -> None:
    events = made["events"]
    assert events["event_id"].is_unique().all()
    assert events["ts_event_ns"].is_sorted()
    assert events["ts_event_ns"].is_between(DAY.open_ns, DAY.open_ns + 3 * _HOUR_NS, closed="left").all()
    assert set(events["contract"]) == {"ESM5"}
    assert len(set(events["kind"]) & set(LEVEL_KINDS)) >= 8


def test_the_entry_price_lies_in_the_zone(made: dict[str, pl.DataFrame]) -> None:
    events = made["events"]
    assert ((events["entry_price"] - events["level_price"]).abs() <= events["zone_points"]).all()


def test_no_feature_is_constant(made: dict[str, pl.DataFrame]) -> None:
    assert [name for name in FEATURES if made["events"][name].n_unique() < 2] == []


def test_no_two_features_are_identical(made: dict[str, pl.DataFrame]) -> None:
    first: dict[tuple[Any, ...], str] = {}
    twins = []
    for name in FEATURES:
        values = made["events"][name]
        key = tuple(values.cast(pl.Float64) if values.dtype.is_numeric() or values.dtype == pl.Boolean else values)
        if (twin := first.setdefault(key, name)) != name:
            twins.append((twin, name))
    assert twins == []


def test_no_feature_is_nan_or_infinite(made: dict[str, pl.DataFrame]) -> None:
    floats = made["events"].select(FEATURES).select(pl.selectors.float())
    assert [name for name in floats.columns if not floats[name].is_finite().all()] == []


def test_the_same_input_makes_the_same_frames_whatever_the_order_of_its_rows(
    bronze: dict[str, pl.LazyFrame], made: dict[str, pl.DataFrame]
) -> None:
    shuffled = {
        name: frame.collect().sample(fraction=1.0, shuffle=True, seed=1).lazy() for name, frame in bronze.items()
    }
    again = run_pipeline(PIPELINE, shuffled, PARAMETERS, DAY)
    for name, frame in made.items():
        assert frame.equals(again[name].collect()), name


@pytest.mark.parametrize("future", ["absent", "absurd"])
def test_features_are_what_they_were_when_the_event_happened(
    bronze: dict[str, pl.LazyFrame], made: dict[str, pl.DataFrame], future: str
) -> None:
    compared = ["event_id", "ts_event_ns", *FEATURES]
    times = made["events"]["ts_event_ns"]
    for place in (len(times) // 3, 2 * len(times) // 3):
        is_known = pl.col("ts_event_ns") <= times[place]
        then = {
            name: frame.filter(is_known) if future == "absent" else _with_absurd_future(frame, is_known)
            for name, frame in bronze.items()
        }
        events = run_pipeline(PIPELINE, then, PARAMETERS, DAY)["events"].filter(is_known).collect()
        assert events.select(compared).equals(made["events"].filter(is_known).select(compared))
        assert events.height > place


def _with_absurd_future(frame: pl.LazyFrame, is_known: pl.Expr) -> pl.LazyFrame:
    """Rows that are not known yet with prices seven times as high, sizes a thousand times and turned aggressors."""
    factors = {"price": 7, "px": 7, "size": 1000, "sz": 1000, "aggressor": -1, "strike": 7}
    changes = [
        pl.when(is_known).then(pl.col(name)).otherwise(pl.col(name) * factor).alias(name)
        for name in frame.collect_schema().names()
        for word, factor in factors.items()
        if word in name.split("_")
    ]
    return frame.with_columns(changes)
