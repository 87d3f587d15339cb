"""The pipeline `es_levels`: what happens when the price of a future meets a level, in 18 stages."""

from __future__ import annotations

from typing import Final

from ticklake.silver.stage import AnyStage
from ticklake.silver.stages import (
    approach,
    barrier,
    bars,
    distances,
    episodes,
    force,
    gex,
    kinematics,
    labels,
    levels,
    load,
    ofi,
    options,
    physics,
    rth,
    state,
    zones,
)

STAGES: Final[tuple[AnyStage, ...]] = (
    load.STAGE,
    bars.STAGE_1MIN,
    bars.STAGE_2MIN,
    options.STAGE,
    levels.STAGE,
    zones.STAGE,
    physics.STAGE,
    kinematics.STAGE,
    ofi.STAGE,
    barrier.STAGE,
    distances.STAGE,
    gex.STAGE,
    force.STAGE,
    approach.STAGE,
    labels.STAGE,
    rth.STAGE,
    state.STAGE,
    episodes.STAGE,
)
"""In the order they run: loading, bars, levels, events, features of the events, labels, tables made of events."""
