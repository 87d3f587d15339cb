"""Stage 12, force_mass: whether price accelerates as much as order flow against depth says it should."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec, LookBack, Stage, StageParameters
from ticklake.silver.stages.event_features import (
    NS_PER_S,
    Floats,
    column,
    feature,
    floats,
    instants,
    ratio,
    rows_by,
    sum_by,
    with_columns,
)
from ticklake.silver.stages.rows import rows_of

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

_S_PER_MIN: Final = 60.0


class ForceParameters(StageParameters, frozen=True):
    """What pushes, over how long, and what is compared.

    Attributes:
        ofi_window_s: order flow and depth over this window; stage 8 must compute it.
        imbalance_contracts: what a tape imbalance of 1 weighs beside order flow.
        tick_size (points): points per tick.
        acceleration_min: window of stage 7 whose acceleration is the observed one.
    """

    ofi_window_s: Annotated[int, msgspec.Meta(ge=1)] = 60
    imbalance_contracts: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    tick_size: Annotated[float, msgspec.Meta(gt=0)] = 0.25
    acceleration_min: Annotated[int, msgspec.Meta(ge=1)] = 1


def force_columns(events: pl.DataFrame, book: pl.DataFrame, parameters: ForceParameters) -> list[pl.Series]:
    """Force, mass, predicted acceleration, and how the observed one differs.

    Cont, Kukanov, Stoikov (2014), section 2: in a book with D contracts at every price, order-flow imbalance moves the
    price by OFI / (2 D) ticks. Force F = direction x (OFI over the window + imbalance_contracts x tape imbalance),
    contracts; the tape imbalance counts 0 when nothing traded near the level. Mass D = mean (bid_sz_1 + ask_sz_1) / 2
    over the book rows of the window, contracts. The move tick_size x F / (2 D) within W minutes, from rest, is the
    constant acceleration 2 x move / W^2 (points/min^2): the predicted one. Residual = observed - predicted, ratio =
    observed / predicted (null when that is 0); observed is `acceleration_{n}min` of stage 7.

    Needs:  events: ts_event_ns, direction, tape_imbalance, the OFI and the acceleration; book: ts_event_ns, best sizes.
    """
    window_ns = parameters.ofi_window_s * NS_PER_S
    t, times = instants(events), instants(book)
    depth = (floats(book, "bid_sz_1") + floats(book, "ask_sz_1")) / 2
    now, then = rows_by(times, t), rows_by(times, t - window_ns)

    def in_window(values: Floats) -> Floats:
        return sum_by(values, now) - sum_by(values, then)

    imbalance = np.nan_to_num(floats(events, "tape_imbalance"))
    flow = floats(events, f"ofi_{parameters.ofi_window_s}s") + parameters.imbalance_contracts * imbalance
    force = floats(events, "direction") * flow
    mass = ratio(in_window(depth), in_window(np.isfinite(depth).astype(np.float64)))
    minutes = parameters.ofi_window_s / _S_PER_MIN
    predicted = parameters.tick_size * ratio(force, mass) / (minutes * minutes)
    observed = floats(events, f"acceleration_{parameters.acceleration_min}min")
    return [
        column("force", force),
        column("mass", mass),
        column("predicted_acceleration", predicted),
        column("force_residual", observed - predicted),
        column("force_ratio", ratio(observed, predicted)),
    ]


def _run(frames: Frames, parameters: ForceParameters, session: SessionWindow) -> Frames:
    del session
    events = rows_of(frames["events"])
    book = rows_of(frames["book"].select("ts_event_ns", "bid_sz_1", "ask_sz_1"))
    return with_columns(events, force_columns(events, book, parameters))


def _needs(parameters: ForceParameters) -> dict[str, tuple[str, ...]]:
    return {
        "events": (
            *("ts_event_ns", "direction", "tape_imbalance"),
            *(f"ofi_{parameters.ofi_window_s}s", f"acceleration_{parameters.acceleration_min}min"),
        ),
        "book": ("ts_event_ns", "bid_sz_1", "ask_sz_1"),
    }


def _lookback(parameters: ForceParameters) -> LookBack:
    return LookBack(ns=parameters.ofi_window_s * NS_PER_S)


_GIVES: Final[tuple[ColumnSpec, ...]] = (
    feature("force", "contracts", "direction x (order-flow imbalance + weighted tape imbalance)."),
    feature("mass", "contracts", "Mean size at the best prices over the window.", low=0),
    feature("predicted_acceleration", "points/min^2", "2 x tick_size x force / (2 x mass) / window^2."),
    feature("force_residual", "points/min^2", "Observed less predicted acceleration."),
    feature("force_ratio", "ratio", "Observed / predicted acceleration; null when that is 0."),
)

STAGE: Final = Stage(
    name="force_mass",
    run=_run,
    needs=_needs,
    gives={"events": _GIVES},
    parameters=ForceParameters,
    lookback=_lookback,
)
