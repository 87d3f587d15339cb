"""Stage 5: interactions, the trades with which the price enters the zone around a level from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec, Role, Stage, StageParameters
from ticklake.silver.stages.event_features import floats, instants, last_of, rows_by
from ticklake.silver.stages.levels import LEVEL_KINDS, level_lines
from ticklake.silver.stages.rows import rows_of_all

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

_EVENT_COLUMNS: Final = (
    *("event_id", "date", "ts_event_ns", "kind", "level_price", "direction", "entry_price", "zone_points", "atr"),
    *("contract", "contract_share", "runner_up", "is_roll", "stream_seq", "message_row"),
)


class ZoneParameters(StageParameters, frozen=True):
    """How wide a zone is.

    Attributes:
        zone_points: smallest half width of a zone.
        zone_atr: half width in average true ranges of one-minute bars, where that is wider.
        outside_s: the price comes from outside when it was in no part of the zone for so long; 0: since the trade
            before. Without it, every bounce between bid and ask at the edge of a zone would be an event.
        tick_points: price step of the contract; `event_id` names the level in ticks.
    """

    zone_points: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    zone_atr: Annotated[float, msgspec.Meta(ge=0)] = 0.1
    outside_s: Annotated[float, msgspec.Meta(ge=0)] = 10.0
    tick_points: Annotated[float, msgspec.Meta(gt=0)] = 0.25


def price_steps(trades: pl.LazyFrame, bars: pl.LazyFrame, parameters: ZoneParameters) -> pl.LazyFrame:
    """Trades at another price than the trade before, with that price, the average true range and the zone as of then.

    Only such a trade can enter a zone. The first trade has no trade before it.

    Needs:  trades of one session in event order; bars with available_ns, atr.
    Shape:  a subset of the trades, in their order, with `before` and `zone_points` (points), atr (points, null until
            warm).
    """
    known = bars.select(pl.col("available_ns").alias("ts_event_ns"), "atr")
    return (
        trades.select("ts_event_ns", "price", "contract", "stream_seq", "message_row", before=pl.col("price").shift(1))
        .filter(pl.col("price") != pl.col("before"))
        .join_asof(known, on="ts_event_ns", strategy="backward")
        .with_columns(
            zone_points=pl.max_horizontal(
                pl.lit(parameters.zone_points, pl.Float64), pl.col("atr") * parameters.zone_atr
            )
        )
    )


def entries(steps: pl.DataFrame, levels: pl.DataFrame, *, outside_ns: int) -> pl.DataFrame:
    """The steps that enter the zone of a level from outside, level and width as of the step.

    A step enters when its price lies in [level - w, level + w] and the price before it did not: the zone stands still
    and the price moves, so a level that comes over a resting price makes no event. It comes from outside when the price
    was last inside at least `outside_ns` ago, or never yet. A definition of ours.

    Needs:  `steps` of one session from its first on, see `price_steps`; levels: kind, level_price, valid_from_ns, by
            time.
    Shape:  columns of `steps`, with kind, level_price and direction (1: from below, -1: from above); one row per kind,
            instant and direction, the first; by kind, then in the order of the steps.
    """
    now, price, before = instants(steps), floats(steps, "price"), floats(steps, "before")
    width, place = floats(steps, "zone_points"), np.arange(steps.height)
    found_rows, found_levels = [], []
    for since, price_then in level_lines(levels).values():
        level = last_of(price_then, rows_by(since, now))
        is_inside = np.abs(price - level) <= width
        was_inside = np.abs(before - level) <= width  # until this step: the price rested there
        last_inside = np.full(place.size, -1)
        last_inside[1:] = np.maximum.accumulate(np.where(is_inside | was_inside, place, -1))[:-1]
        is_from_outside = (last_inside < 0) | (now - now[last_inside] >= outside_ns)
        rows = np.flatnonzero(is_inside & ~was_inside & is_from_outside)
        found_rows.append(rows)
        found_levels.append(level[rows])
    row, level = np.concatenate(found_rows), np.concatenate(found_levels)
    kinds = np.repeat(np.arange(len(LEVEL_KINDS)), [rows.size for rows in found_rows])
    return (
        steps[row]
        .with_columns(
            pl.Series("kind", LEVEL_KINDS)[kinds],
            pl.Series("level_price", level),
            pl.Series("direction", np.where(before[row] < level, 1, -1), dtype=pl.Int8),
        )
        .unique(["kind", "ts_event_ns", "direction"], keep="first", maintain_order=True)
    )


def _run(frames: Frames, parameters: ZoneParameters, session: SessionWindow) -> Frames:
    trades = frames["trades"].filter(~pl.col("is_lookback"))
    steps, levels, front_month = rows_of_all(
        [
            price_steps(trades, frames["bars_1min"], parameters),
            frames["levels"].select("kind", "level_price", "valid_from_ns"),
            frames["front_month"].select("known_from_ns", "runner_up", "is_roll", contract_share="share"),
        ]
    )
    found = entries(steps, levels, outside_ns=round(parameters.outside_s * 10**9))
    events = found.lazy().join(front_month.lazy(), how="cross").filter(pl.col("ts_event_ns") >= pl.col("known_from_ns"))
    return {"events": _named(events, session, tick_points=parameters.tick_points)}


def _named(events: pl.LazyFrame, session: SessionWindow, *, tick_points: float) -> pl.LazyFrame:
    """In event order, with their names."""
    ticks = (pl.col("level_price") * (1.0 / tick_points)).round().cast(pl.Int64)
    way = pl.when(pl.col("direction") == 1).then(pl.lit("UP")).otherwise(pl.lit("DOWN"))
    return (
        events.sort("ts_event_ns", "stream_seq", "message_row", "kind", "direction")
        .with_columns(
            event_id=pl.format("{}_{}_{}_{}_{}", pl.lit(str(session.date)), "kind", ticks, "ts_event_ns", way),
            date=pl.lit(session.date),
            entry_price=pl.col("price"),
        )
        .select(_EVENT_COLUMNS)
    )


STAGE: Final = Stage(
    name="detect_interaction_zones",
    run=_run,
    needs={
        "front_month": ("share", "runner_up", "is_roll", "known_from_ns"),
        "trades": ("ts_event_ns", "price", "contract", "stream_seq", "message_row", "is_lookback"),
        "bars_1min": ("available_ns", "atr"),
        "levels": ("kind", "level_price", "valid_from_ns"),
    },
    gives={
        "events": (
            ColumnSpec(
                *("event_id", pl.String(), "", Role.KEY, "{date}_{kind}_{level in ticks}_{ts_event_ns}_{UP or DOWN}."),
                null=False,
            ),
            ColumnSpec("date", pl.Date(), "", Role.KEY, "Trading day.", null=False),
            ColumnSpec("ts_event_ns", pl.Int64(), "ns", Role.KEY, "When the price entered the zone.", null=False),
            ColumnSpec("kind", pl.String(), "", Role.FEATURE, "Kind of the level.", null=False),
            ColumnSpec("level_price", pl.Float64(), "points", Role.INFO, "The level as of then.", null=False),
            ColumnSpec(
                *("direction", pl.Int8(), "", Role.FEATURE, "1: the price came from below, going up; -1: from above."),
                null=False,
                low=-1,
                high=1,
            ),
            ColumnSpec("entry_price", pl.Float64(), "points", Role.INFO, "First trade inside the zone.", null=False),
            ColumnSpec("zone_points", pl.Float64(), "points", Role.INFO, "Half width of the zone.", null=False, low=0),
            ColumnSpec(
                *("atr", pl.Float64(), "points", Role.FEATURE, "Average true range of one-minute bars as of then."),
                low=0,
            ),
            ColumnSpec("contract", pl.String(), "", Role.INFO, "What traded: the front month.", null=False),
            ColumnSpec(
                *("contract_share", pl.Float64(), "ratio", Role.INFO, "Its part of the volume that chose it."),
                null=False,
                low=0,
                high=1,
            ),
            ColumnSpec("runner_up", pl.String(), "", Role.INFO, "The second contract then; null when there was none."),
            ColumnSpec(
                *(
                    "is_roll",
                    pl.Boolean(),
                    "",
                    Role.INFO,
                    "No contract dominated, or another one led a session earlier.",
                ),
                null=False,
            ),
            ColumnSpec("stream_seq", pl.Int64(), "", Role.INFO, "Of the first trade inside.", null=False),
            ColumnSpec("message_row", pl.Int32(), "", Role.INFO, "Of the first trade inside.", null=False),
        ),
    },
    parameters=ZoneParameters,
)
