"""Stage 16, materialize_state_table: what was last known of every level, on a regular grid. Pure."""

from __future__ import annotations

from itertools import product
from typing import Annotated

import msgspec
import polars as pl

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.stage import ColumnSpec, Frames, Gives, Needs, Role, Stage, StageParameters
from ticklake.silver.stages.levels import LEVEL_KINDS

LEVEL_NAMES = tuple(kind.lower() for kind in LEVEL_KINDS)
"""The kinds of levels, as they stand in column names."""

_MOTION = product(("velocity", "acceleration", "jerk"), (1, 3, 5, 10, 20))
_FLOW = product(("ofi", "ofi5", "ofi_near"), (30, 60, 120, 300))
_DEPTH = product(("near_depth_change", "near_depth_pct"), (1, 3, 5))
_DISTANCE = product(LEVEL_NAMES, ("points", "atr"))
_GAMMA = product(("gex_above", "gex_below", "gex_call_above", "gex_put_below"), (1, 2, 3))

STATE_FEATURES = (
    "tape_buy_volume", "tape_sell_volume", "tape_imbalance", "tape_velocity", "sweep_detected", "sweep_notional",
    "barrier_depth", "barrier_depth_change", "barrier_added", "barrier_canceled", "barrier_filled",
    "barrier_replenishment", "wall_ratio", "fuel_gamma",
    *(f"{what}_{window}min" for what, window in _MOTION),
    *(f"{what}_{window}s" for what, window in _FLOW),
    "near_depth",
    *(f"{what}_{window}min" for what, window in _DEPTH),
    *(f"distance_{level}_{unit}" for level, unit in _DISTANCE),
    "stacking_2", "stacking_5", "stacking_10",
    *(f"{what}_{strikes}" for what, strikes in _GAMMA),
    "gex_asymmetry", "gex_ratio",
    "force", "mass", "predicted_acceleration", "force_residual", "force_ratio",
    "approach_velocity", "approach_bars", "approach_distance", "prior_touches", "attempt_index",
)  # fmt: skip
"""Numeric features of an event that the state carries on; flags become 0 and 1."""

STATE_WORDS = ("barrier_state", "fuel_effect")
"""Features of an event that are words."""

_NS_PER_S = 1_000_000_000
_KEYS = ("event_id", "ts_event_ns", "kind")


class StateParameters(StageParameters, frozen=True):
    """The grid, and what it carries.

    Attributes:
        step_s: seconds between two rows of one level.
        features: numeric columns of the events.
        words: string columns of the events.
    """

    step_s: Annotated[int, msgspec.Meta(gt=0)] = 30
    features: tuple[str, ...] = STATE_FEATURES
    words: tuple[str, ...] = STATE_WORDS


def materialize_state_table(frames: Frames, parameters: StateParameters, session: SessionWindow) -> Frames:
    """One row per grid instant g and level kind, from the first instant on at which that level and the price are known.

    Grid: every `step_s` seconds in the bounds of stage 15. Features are those of the last kept event of the kind at or
    before g, null before the first; the last touch may have come before those bounds. The level and the spot are as of
    g, so `distance_points` moves between events.

    Shape:  sorted by ts_event_ns, kind; unique in both.
    Gives:  `level_price` null while the level is absent; `time_since_last_touch_s` >= 0, null before the first touch of
            the session; the rest is in `STAGE.gives`.
    Knows:  nothing later than g.

    Raises:
        UsageError: the step is not positive.
    """
    if parameters.step_s <= 0:
        raise UsageError(f"materialize_state_table: step_s is {parameters.step_s}; it must be 1 or more seconds")
    carried = [
        *(pl.col(name).cast(pl.Float64) for name in parameters.features),
        *(pl.col(name).cast(pl.String) for name in parameters.words),
    ]
    events = frames["events"].select("kind", *carried, last_event_id="event_id", event_ns="ts_event_ns")
    touches = frames["touches"].select("kind", touch_ns="ts_event_ns")
    levels = frames["levels"].select("kind", "level_price", "valid_from_ns")
    spots = frames["trades"].select("ts_event_ns", spot="price")
    grid = _grid(frames["rth"], parameters.step_s).join(levels.select("kind").unique(), how="cross")
    state = (
        grid.sort("ts_event_ns", "kind")
        .join_asof(levels, left_on="ts_event_ns", right_on="valid_from_ns", by="kind", check_sortedness=False)
        .join_asof(spots, on="ts_event_ns")
        .filter(pl.col("valid_from_ns").is_not_null(), pl.col("spot").is_not_null())
        .join_asof(events, left_on="ts_event_ns", right_on="event_ns", by="kind", check_sortedness=False)
        .join_asof(touches, left_on="ts_event_ns", right_on="touch_ns", by="kind", check_sortedness=False)
    )
    return {
        "state": state.select(
            pl.lit(session.date).alias("date"),
            "ts_event_ns",
            "kind",
            "last_event_id",
            "level_price",
            "spot",
            distance_points=pl.col("spot") - pl.col("level_price"),
            time_since_last_touch_s=_seconds(pl.col("ts_event_ns") - pl.col("touch_ns")),
            **{name: pl.col(name) for name in (*parameters.features, *parameters.words)},
        ).sort("ts_event_ns", "kind")
    }


def _grid(rth: pl.LazyFrame, step_s: int) -> pl.LazyFrame:
    """Instants start, start + step, ... below the end."""
    instants = pl.int_ranges("start_ns", "end_ns", step_s * _NS_PER_S)
    return rth.select(ts_event_ns=instants).explode("ts_event_ns").drop_nulls()


def _seconds(span_ns: pl.Expr) -> pl.Expr:
    """In s, whole seconds exactly. Polars divides by a constant in two ways, whose last bits differ; this is one."""
    return span_ns // _NS_PER_S + (span_ns % _NS_PER_S) * 1e-9


def _needs(parameters: StateParameters) -> Needs:
    return {
        "rth": ("start_ns", "end_ns"),
        "events": (*_KEYS, *parameters.features, *parameters.words),
        "touches": ("kind", "ts_event_ns"),
        "levels": ("kind", "level_price", "valid_from_ns"),
        "trades": ("ts_event_ns", "price"),
    }


def _gives(parameters: StateParameters) -> Gives:
    since = "Seconds since the price last entered the zone of this level in the session; null before it first did."
    doc = "`{}` of the last event of this kind; null before the first."
    return {
        "state": (
            ColumnSpec("date", pl.Date(), "", Role.KEY, "Trading day.", null=False),
            ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "Instant of the grid.", null=False),
            ColumnSpec("kind", pl.String(), "", Role.KEY, "Kind of level.", null=False),
            ColumnSpec("last_event_id", pl.String(), "", Role.INFO, "Event the features are of."),
            ColumnSpec("level_price", pl.Float64(), "points", Role.INFO, "Level as of now; null while absent."),
            ColumnSpec("spot", pl.Float64(), "points", Role.INFO, "Price of the last trade.", null=False),
            ColumnSpec("distance_points", pl.Float64(), "points", Role.FEATURE, "Spot minus level, as of now."),
            ColumnSpec("time_since_last_touch_s", pl.Float64(), "s", Role.FEATURE, since, low=0),
            *(
                ColumnSpec(name, pl.Float64(), "", Role.FEATURE, doc.format(name), carries="events")
                for name in parameters.features
            ),
            *(
                ColumnSpec(name, pl.String(), "", Role.FEATURE, doc.format(name), carries="events")
                for name in parameters.words
            ),
        )
    }


STAGE = Stage(
    name="materialize_state_table",
    run=materialize_state_table,
    needs=_needs,
    gives=_gives,
    parameters=StateParameters,
)
