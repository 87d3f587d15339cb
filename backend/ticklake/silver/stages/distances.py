"""Stage 10, level_distances: where spot stands among all levels known by then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from ticklake.silver.stage import ColumnSpec, Stage, StageParameters
from ticklake.silver.stages.event_features import check_ascending, feature
from ticklake.silver.stages.levels import LEVEL_KINDS

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
    many points from the event's `level_price`.

    Needs:  events: ts_event_ns, kind, level_price, entry_price, atr; levels: kind, level_price, valid_from_ns; by time.
    Shape:  the rows of `events` in their order.
    """
    with_levels = events
    for kind in LEVEL_KINDS:
        known = levels.filter(pl.col("kind") == kind).select("valid_from_ns", pl.col("level_price").alias(_at(kind)))
        with_levels = with_levels.join_asof(
            known, left_on="ts_event_ns", right_on="valid_from_ns", strategy="backward", coalesce=True
        )
        with_levels = with_levels.select(pl.exclude("valid_from_ns"))
    atr = pl.when(pl.col("atr") > 0).then(pl.col("atr"))
    points = {kind: pl.col("entry_price") - pl.col(_at(kind)) for kind in LEVEL_KINDS}
    return with_levels.with_columns(
        *(away.alias(f"distance_{kind.lower()}_points") for kind, away in points.items()),
        *((away / atr).alias(f"distance_{kind.lower()}_atr") for kind, away in points.items()),
        *(_stacked(within).alias(f"stacking_{within}") for within in stacking_points),
    ).drop([_at(kind) for kind in LEVEL_KINDS])


def _at(kind: str) -> str:
    return f"_level_{kind}"


def _stacked(within_points: int) -> pl.Expr:
    near = [
        ((pl.col(_at(kind)) - pl.col("level_price")).abs() <= within_points).fill_null(value=False)
        & (pl.col("kind") != kind)
        for kind in LEVEL_KINDS
    ]
    return pl.sum_horizontal([is_near.cast(pl.Int32) for is_near in near])


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
