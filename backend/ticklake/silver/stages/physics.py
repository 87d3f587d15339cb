"""Stage 6, compute_physics: tape, barrier and fuel at each event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import polars as pl

from ticklake.silver.stage import LookBack, Stage, StageParameters
from ticklake.silver.stages.event_features import BOOK_LEVELS, NS_PER_S, book_columns, with_columns
from ticklake.silver.stages.fuel import FUEL_COLUMNS, fuel_columns
from ticklake.silver.stages.physics_barrier import BARRIER_COLUMNS, BarrierThresholds, barrier_columns
from ticklake.silver.stages.physics_tape import TAPE_COLUMNS, tape_columns
from ticklake.silver.stages.rows import rows_of

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

_Positive = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0)]
_NS_PER_MS: Final = 10**6


class PhysicsParameters(StageParameters, frozen=True):
    """Windows and thresholds of stage 6.

    Attributes:
        tape_s: how long before t the tape is read.
        tape_points: how far from the level a trade may be.
        sweep_gap_ms: longest silence inside a sweep.
        sweep_notional (dollars): dollars from which a run of trades counts as a sweep.
        contract_multiplier (dollars/point): dollars per index point of one futures contract.
        barrier_s: how long before t the barrier is watched.
        barrier_ticks: how far behind the best defending price the barrier reaches; the feed shows ten levels.
        tick_size (points): points per tick.
        weak_depth (contracts): contracts below which a barrier is WEAK.
        thin_ratio: share of its mean depth up to which a barrier is THIN.
        wall_ratio: multiple of its mean depth from which a barrier is a WALL.
        absorbed (contracts): contracts filled from which a barrier that did not shrink is ABSORBING.
        depth_change (contracts): contracts of change from which a barrier is DRAINING or BUILDING.
        fuel_points: how far from the level a strike may be.
        fuel_gamma_min (dollars/point^2): dealer gamma beyond which its effect is not NEUTRAL.
    """

    tape_s: Annotated[int, msgspec.Meta(ge=1)] = 60
    tape_points: _NotNegative = 0.5
    sweep_gap_ms: Annotated[int, msgspec.Meta(ge=0)] = 100
    sweep_notional: _NotNegative = 500_000.0
    contract_multiplier: _Positive = 50.0
    barrier_s: Annotated[int, msgspec.Meta(ge=1)] = 240
    barrier_ticks: Annotated[int, msgspec.Meta(ge=0)] = 8
    tick_size: _Positive = 0.25
    weak_depth: _NotNegative = 50.0
    thin_ratio: _NotNegative = 0.3
    wall_ratio: _NotNegative = 1.5
    absorbed: _NotNegative = 100.0
    depth_change: _NotNegative = 100.0
    fuel_points: _NotNegative = 15.0
    fuel_gamma_min: _NotNegative = 100.0


def _run(frames: Frames, parameters: PhysicsParameters, session: SessionWindow) -> Frames:
    events = rows_of(frames["events"])
    tape = tape_columns(
        events,
        rows_of(frames["trades"].select("ts_event_ns", "price", "size", "aggressor")),
        window_ns=parameters.tape_s * NS_PER_S,
        near_points=parameters.tape_points,
        gap_ns=parameters.sweep_gap_ms * _NS_PER_MS,
        notional_min=parameters.sweep_notional,
        multiplier=parameters.contract_multiplier,
    )
    barrier = barrier_columns(
        events,
        frames["book"],
        frames["book_actions"],
        window_ns=parameters.barrier_s * NS_PER_S,
        reach_points=(parameters.barrier_ticks + 0.5) * parameters.tick_size,
        thresholds=BarrierThresholds(
            weak_depth=parameters.weak_depth,
            thin_ratio=parameters.thin_ratio,
            wall_ratio=parameters.wall_ratio,
            absorbed=parameters.absorbed,
            depth_change=parameters.depth_change,
        ),
    )
    options = frames["options"].filter(pl.col("ts_event_ns") >= session.start_ns)
    fuel = fuel_columns(
        events,
        rows_of(options.select("ts_event_ns", "strike", "dealer_gamma_flow")),
        near_points=parameters.fuel_points,
        gamma_min=parameters.fuel_gamma_min,
    )
    return with_columns(events, [*tape, *barrier, *fuel])


def _lookback(parameters: PhysicsParameters) -> LookBack:
    return LookBack(ns=max(parameters.tape_s, parameters.barrier_s) * NS_PER_S)


STAGE: Final = Stage(
    name="compute_physics",
    run=_run,
    needs={
        "events": ("ts_event_ns", "level_price", "direction"),
        "trades": ("ts_event_ns", "price", "size", "aggressor"),
        "book": ("ts_event_ns", *book_columns("bid_px", "bid_sz", "ask_px", "ask_sz", levels=BOOK_LEVELS)),
        "book_actions": ("ts_event_ns", "action", "side", "action_price", "action_size"),
        "options": ("ts_event_ns", "strike", "dealer_gamma_flow"),
    },
    gives={"events": (*TAPE_COLUMNS, *BARRIER_COLUMNS, *FUEL_COLUMNS)},
    parameters=PhysicsParameters,
    lookback=_lookback,
)
