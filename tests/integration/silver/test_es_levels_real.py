"""The feature stages of es_levels on a real future: no feature is constant, no two are the same, units are kept.

BTCUSD_PERP of Binance trades whole contracts beside a ten-level book, like the future of the design. The recording has
no options, no actions on the book and no four hundred minutes: what is made of these is null, nothing else is.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import combinations

import polars as pl
import pytest
from tests.e2e.real_data import source_rows
from tests.integration.silver.test_es_levels import breaks

from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.frames import Frames
from ticklake.silver.pipeline import columns_given, default_parameters, run_pipeline
from ticklake.silver.pipelines import es_levels
from ticklake.silver.stage import Role
from ticklake.silver.stages.barrier import BarrierParameters
from ticklake.silver.stages.bars import BarParameters
from ticklake.silver.stages.force import ForceParameters
from ticklake.silver.stages.levels import STAGE as LEVELS
from ticklake.silver.stages.levels import LevelParameters
from ticklake.silver.stages.physics import PhysicsParameters
from ticklake.silver.stages.zones import ZoneParameters

CONTRACT = "BTCUSD_PERP"
NS_PER_S, NS_PER_MIN = 10**9, 60 * 10**9
TICK = 0.1
ROUND, ROUND_S = 20.0, 30
"""Walls stand at the multiples of so many points around the price, looked for every so many seconds."""

UNKNOWN = (
    *("barrier_added", "barrier_canceled", "barrier_filled", "barrier_replenishment"),  # no actions
    *("fuel_", "gex_"),  # no options
    *("distance_sma_200_", "distance_sma_400_"),  # eleven minutes
)


def recorded_session() -> SessionWindow:
    """Eleven minutes around midnight, open from the fourth on: highs and lows before and after it differ."""
    day = session_window("always_open", date(2024, 8, 8))
    assert day is not None
    midnight_ns, around_ns = day.end_ns, 6 * NS_PER_MIN
    return replace(
        day,
        end_ns=midnight_ns + around_ns,
        premarket_ns=midnight_ns - around_ns,
        open_ns=midnight_ns - 2 * NS_PER_MIN,
        close_ns=midnight_ns + around_ns,
    )


def with_round_prices(frames: Frames, parameters: LevelParameters, session: SessionWindow) -> Frames:
    """The levels of the stage, with walls at round prices: where the strikes would be."""
    step_ns, price = ROUND_S * NS_PER_S, pl.col("price")
    closes = frames["trades"].group_by(
        valid_from_ns=(pl.col("ts_event_ns") // step_ns + 1) * step_ns, maintain_order=True
    )
    last = closes.agg(price.last())
    walls = [
        last.select(pl.lit(kind).alias("kind"), level_price=level * ROUND, valid_from_ns="valid_from_ns")
        for kind, level in (("CALL_WALL", (price / ROUND).floor() + 1), ("PUT_WALL", (price / ROUND).ceil() - 1))
    ]
    made = LEVELS.run(frames, parameters, session)["levels"].filter(~pl.col("kind").str.ends_with("_WALL"))
    return {"levels": pl.concat([made, *walls]).sort("valid_from_ns", "kind")}


SHIPPED = es_levels()
FEATURE_STAGES = SHIPPED.stages[: SHIPPED.position("label_outcomes")]
PIPELINE = SHIPPED.with_stages(
    replace(stage, run=with_round_prices) if stage is LEVELS else stage for stage in FEATURE_STAGES
)
PARAMETERS = default_parameters(PIPELINE) | {
    "build_ohlcv_1min": BarParameters(atr_bars=3, volatility_bars=3),
    "generate_levels": LevelParameters(opening_range_s=30),
    "detect_interaction_zones": ZoneParameters(zone_points=4.0, outside_s=5.0, tick_points=TICK),
    "compute_physics": PhysicsParameters(tape_points=10.0, contract_multiplier=1.0, barrier_ticks=50, tick_size=TICK),
    "barrier_evolution": BarrierParameters(near_ticks=100, tick_size=TICK),
    "force_mass": ForceParameters(tick_size=TICK),
}
SPECS = columns_given(PIPELINE, PARAMETERS)["events"]


def recorded() -> Frames:
    """The recording as bronze has it."""
    text, number = pl.lit(None, pl.String), pl.lit(None, pl.Float64)
    frames = {
        name: pl.DataFrame(source_rows(table))
        .filter(pl.col("contract") == CONTRACT)
        .with_columns(stream_seq=pl.int_range(pl.len()), message_row=pl.lit(0, pl.Int32))
        .lazy()
        for name, table in {"bronze_trades": "trades", "bronze_book": "mbp10"}.items()
    }
    frames["bronze_book"] = frames["bronze_book"].with_columns(
        action=text, side=text, action_price=number, action_size=number
    )
    none = frames["bronze_trades"].clear().select("ts_event_ns", "price", "size", "aggressor", "stream_seq")
    frames["bronze_options"] = none.with_columns(
        *(pl.lit("").alias(name) for name in ("option_symbol", "right")),
        strike=0.0,
        exp_date=pl.lit(date(2024, 8, 8)),
        message_row=pl.lit(0, pl.Int32),
    )
    return frames


@pytest.fixture(scope="module")
def events() -> pl.DataFrame:
    return run_pipeline(PIPELINE, recorded(), PARAMETERS, recorded_session())["events"].collect()


def features(events: pl.DataFrame) -> list[str]:
    """Names of those that can be known."""
    return [spec.name for spec in SPECS.values() if spec.role is Role.FEATURE and not spec.name.startswith(UNKNOWN)]


def test_the_price_meets_real_levels_of_every_kind(events: pl.DataFrame) -> None:
    met = dict(events["kind"].value_counts().iter_rows())
    assert events.height > 50
    assert {"PM_LOW", "OR_HIGH", "OR_LOW", "SESSION_HIGH", "SESSION_LOW", "VWAP", "CALL_WALL", "PUT_WALL"} <= set(met)


def test_what_needs_options_actions_or_hours_is_null_and_nothing_else(events: pl.DataFrame) -> None:
    empty = {spec.name for spec in SPECS.values() if events[spec.name].null_count() == events.height}
    assert empty - {"runner_up"} == {name for name in events.columns if name.startswith(UNKNOWN)}


def test_no_feature_is_constant(events: pl.DataFrame) -> None:
    assert [name for name in features(events) if events[name].drop_nulls().n_unique() < 2] == []


def test_no_two_features_are_identical(events: pl.DataFrame) -> None:
    known = events.select(features(events)).with_columns((~pl.selectors.string()).cast(pl.Float64))
    pairs = combinations(known.columns, 2)
    assert [(one, other) for one, other in pairs if known[one].equals(known[other], check_dtypes=True)] == []


def test_values_keep_to_their_declaration(events: pl.DataFrame) -> None:
    assert {spec.name for spec in SPECS.values() if breaks(events[spec.name], spec)} == set()
    floats = events.select(pl.selectors.float())
    assert [name for name in floats.columns if not floats[name].drop_nulls().is_finite().all()] == []
