"""Stage 10, level_distances: where spot stands among all levels known by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec, Stage, StageParameters
from ticklake.silver.stages.event_features import (
    check_ascending,
    column,
    feature,
    floats,
    instants,
    last_of,
    rows_by,
    with_columns,
)
from ticklake.silver.stages.levels import LEVEL_KINDS, level_lines
from ticklake.silver.stages.rows import rows_of_all

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames


class DistanceParameters(StageParameters, frozen=True):
    """What counts as stacked.

    Attributes:
        stacking_points: other levels are counted within so many points of the tested one.
    """

    stacking_points: tuple[int, ...] = (2, 5, 10)

    def __post_init__(self) -> None:
        """Refuse what cannot be computed.

        Raises:
            UsageError: `stacking_points` is not ascending.
        """
        check_ascending("stacking_points", self.stacking_points)


def add_distances(events: pl.LazyFrame, levels: pl.LazyFrame, *, stacking_points: tuple[int, ...]) -> pl.LazyFrame:
    """Signed distance from every level as of t, in points and in ATR, and how many levels stand near the tested one.

    distance = entry_price - level (points; positive above the level), divided by `atr` for the other; null while the
    level is absent, and in ATR while the ATR is null or 0. Stacking counts the other kinds whose level is at most so
    many points from the event's `level_price`. Definitions of ours.

    Needs:  events: ts_event_ns, kind, level_price, entry_price, atr; levels: kind, level_price, valid_from_ns; by time.
    Shape:  the rows of `events` in their order.
    """
    rows, lines = rows_of_all([events, levels.select("kind", "level_price", "valid_from_ns")])
    t, spot, atr, tested = instants(rows), floats(rows, "entry_price"), floats(rows, "atr"), floats(rows, "level_price")
    atr = np.where(atr > 0, atr, np.nan)
    in_points, in_atr, near = [], [], {within: np.zeros(rows.height, np.int32) for within in stacking_points}
    kinds = rows["kind"]
    for kind, (since, price_then) in level_lines(lines).items():
        level = last_of(price_then, rows_by(since, t))
        in_points.append(column(f"distance_{kind.lower()}_points", spot - level))
        in_atr.append(column(f"distance_{kind.lower()}_atr", (spot - level) / atr))
        is_other = (kinds != kind).to_numpy()
        for within, count in near.items():
            count += is_other & (np.abs(level - tested) <= within)
    stacked = [pl.Series(f"stacking_{within}", count) for within, count in near.items()]
    return with_columns(rows, [*in_points, *in_atr, *stacked])["events"]


def _run(frames: Frames, parameters: DistanceParameters, session: SessionWindow) -> Frames:
    del session
    return {"events": add_distances(frames["events"], frames["levels"], stacking_points=parameters.stacking_points)}


def _gives(parameters: DistanceParameters) -> dict[str, tuple[ColumnSpec, ...]]:
    points = tuple(
        feature(f"distance_{kind.lower()}_points", "points", f"Spot less {kind} as of t; null while it is absent.")
        for kind in LEVEL_KINDS
    )
    in_atr = tuple(
        feature(f"distance_{kind.lower()}_atr", "ATR", f"Spot less {kind} as of t, in average true ranges.")
        for kind in LEVEL_KINDS
    )
    stacking = tuple(
        feature(
            f"stacking_{within}",
            "levels",
            f"Other levels within {within} points of the tested one.",
            dtype=pl.Int32,
            null=False,
            low=0,
            high=len(LEVEL_KINDS) - 1,
        )
        for within in parameters.stacking_points
    )
    return {"events": (*points, *in_atr, *stacking)}


STAGE: Final = Stage(
    name="level_distances",
    run=_run,
    needs={
        "events": ("ts_event_ns", "kind", "level_price", "entry_price", "atr"),
        "levels": ("kind", "level_price", "valid_from_ns"),
    },
    gives=_gives,
    parameters=DistanceParameters,
)
