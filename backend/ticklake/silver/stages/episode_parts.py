"""The parts of an episode vector: which numbers stand where, and how the history of a level becomes numbers. Pure."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import polars as pl

from ticklake.silver.stages.first_passage import Floats, Ints
from ticklake.silver.stages.state import LEVEL_NAMES

HISTORY_STATES = 5
"""Last states of the level that stand in the vector as they are."""

SPECTRUM_STATES = 40
"""Last states whose course is described by its spectrum: 20 minutes at the default step."""

SPECTRUM_COEFFICIENTS = 8
"""First coefficients kept of each spectrum."""

CONTEXT = (
    "direction", "zone_points", "minutes_since_open", "prior_touches", "attempt_index",
    "approach_velocity", "approach_bars", "approach_distance",
    "stacking_2", "stacking_5", "stacking_10",
    *(f"distance_{level}_atr" for level in LEVEL_NAMES),
    "gex_above_3", "gex_below_3", "gex_asymmetry", "gex_ratio",
)  # fmt: skip
DYNAMICS = (
    *(f"{what}_{w}min" for what, w in product(("velocity", "acceleration", "jerk"), (1, 3, 5, 10, 20))),
    *(f"{what}_{w}s" for what, w in product(("ofi", "ofi5", "ofi_near"), (30, 60, 120, 300))),
    "near_depth",
    *(f"near_depth_change_{w}min" for w in (1, 3, 5)),
)
PHYSICS = (
    "tape_buy_volume", "tape_sell_volume", "tape_imbalance", "tape_velocity", "sweep_detected", "sweep_notional",
    "barrier_depth", "barrier_depth_change", "barrier_replenishment", "wall_ratio", "fuel_gamma",
    "force", "mass", "predicted_acceleration", "force_residual", "force_ratio",
)  # fmt: skip
TRENDS = ("tape_imbalance", "tape_velocity", "barrier_depth", "near_depth")
HISTORY = (
    "distance_points", "time_since_last_touch_s", "velocity_1min", "acceleration_1min", "ofi_60s", "tape_imbalance",
    "near_depth",
)  # fmt: skip
SPECTRUM = ("distance_points", "velocity_1min", "ofi_60s", "near_depth")

EVENT_ELEMENTS = tuple(dict.fromkeys((*CONTEXT, *DYNAMICS, *PHYSICS)))
"""Columns of the event that are elements of its vector."""

STATE_SERIES = tuple(dict.fromkeys((*HISTORY, *SPECTRUM)))
"""Columns of the state table that the vector looks back on."""

ELEMENTS = (
    *(f"kind_{level}" for level in LEVEL_NAMES),
    *EVENT_ELEMENTS,
    *(f"trend_{name}" for name in TRENDS),
    *(f"{name}_back_{back}" for name, back in product(HISTORY, range(HISTORY_STATES))),
    *(f"{name}_dct_{k}" for name, k in product(SPECTRUM, range(SPECTRUM_COEFFICIENTS))),
)
"""Name of every element of the vector, in its order."""


def event_part(events: pl.LazyFrame) -> pl.LazyFrame:
    """The elements that come from the event alone: kind (one of n), context, dynamics, physics, trends.

    A trend is the value minus that of the previous event of the same kind; null at the first.
    """
    return events.select(
        *((pl.col("kind") == level.upper()).cast(pl.Float64).alias(f"kind_{level}") for level in LEVEL_NAMES),
        *(pl.col(name).cast(pl.Float64) for name in EVENT_ELEMENTS),
        *(pl.col(name).cast(pl.Float64).diff().over("kind").alias(f"trend_{name}") for name in TRENDS),
    )


def dct_matrix(size: int, coefficients: int) -> Floats:
    """First rows of the orthonormal DCT-II: c_k cos(pi k (2n + 1) / (2 size)), c_0 = sqrt(1/size), else sqrt(2/size).

    Ahmed, Natarajan, Rao (1974), Discrete Cosine Transform, IEEE Trans. Computers C-23, eq. (1), scaled to an
    orthonormal basis. Rounded to 15 places, so that two mathematical libraries agree on every entry.

    Shape: (coefficients, size).
    """
    rows = [
        [math.sqrt((1 if k == 0 else 2) / size) * math.cos(math.pi * k * (2 * n + 1) / (2 * size)) for n in range(size)]
        for k in range(coefficients)
    ]
    return np.array(rows).round(15)


def state_windows(series: Floats, last: Ints, first: Ints, length: int) -> Floats:
    """The last `length` values up to each event's state, oldest first.

    Where a level has fewer states than `length`, its first value is repeated on the left: that looks back only.

    Args:
        series: values of the state table, rows of one kind together and in time order.
        last: per event the position of its last state; -1 without any.
        first: per event the position of the first state of its kind.
        length: values wanted.

    Returns:
        (events, length); NaN without any state.
    """
    positions = np.maximum(last[:, None] - np.arange(length - 1, -1, -1), first[:, None])
    windows = series[np.where(last[:, None] >= 0, positions, 0)] if series.size else np.full(positions.shape, np.nan)
    return np.where(last[:, None] >= 0, windows, np.nan)


def history_part(series: Floats, last: Ints, first: Ints) -> Floats:
    """The last states as they are, newest first: (events, HISTORY_STATES); NaN before the first state."""
    back = np.arange(HISTORY_STATES)
    windows = state_windows(series, last, first, HISTORY_STATES)[:, ::-1]
    return np.where(last[:, None] - back >= first[:, None], windows, np.nan)


def spectrum_part(series: Floats, last: Ints, first: Ints) -> Floats:
    """DCT-II of the last SPECTRUM_STATES values: (events, SPECTRUM_COEFFICIENTS); NaN where a value is missing.

    Summed product by product, in a fixed order: a BLAS product may round differently from one processor to the next.
    """
    windows = state_windows(series, last, first, SPECTRUM_STATES)
    basis = dct_matrix(SPECTRUM_STATES, SPECTRUM_COEFFICIENTS)
    spectrum: Floats = (windows[:, None, :] * basis[None, :, :]).sum(axis=2)
    return spectrum
