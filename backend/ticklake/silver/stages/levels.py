"""Stage 4: the price levels known so far, each row valid from the instant it could be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import polars as pl

from ticklake.silver.stage import ColumnSpec, Role, Stage, StageParameters
from ticklake.silver.stages.event_features import Floats, Ints, floats, instants
from ticklake.silver.stages.moving import moving_mean
from ticklake.silver.stages.walls import walls

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

LEVEL_KINDS: Final = (
    *("PM_HIGH", "PM_LOW", "OR_HIGH", "OR_LOW", "SESSION_HIGH", "SESSION_LOW"),
    *("VWAP", "SMA_200", "SMA_400", "CALL_WALL", "PUT_WALL"),
)
"""Every kind of level."""

_SMA_BARS: Final = {"SMA_200": 200, "SMA_400": 400}
_NS_PER_S: Final = 10**9


class LevelParameters(StageParameters, frozen=True):
    """When levels are known.

    Attributes:
        opening_range_s: length of the opening range from the open.
        vwap_step_s: the average price is brought up to date at the end of each such step.
        wall_window_s: option trades of how long make a wall; a multiple of `wall_step_s`.
        wall_step_s: walls are looked for this often.
    """

    opening_range_s: Annotated[int, msgspec.Meta(ge=1)] = 900
    vwap_step_s: Annotated[int, msgspec.Meta(ge=1)] = 1
    wall_window_s: Annotated[int, msgspec.Meta(ge=1)] = 300
    wall_step_s: Annotated[int, msgspec.Meta(ge=1)] = 30


def extremes(trades: pl.LazyFrame, prefix: str) -> list[pl.LazyFrame]:
    """Highest and lowest price so far, one row per new extreme, valid from the trade that made it."""
    price = pl.col("price")
    return [
        _on_change(trades.select(valid_from_ns="ts_event_ns", level_price=so_far), f"{prefix}_{side}")
        for side, so_far in (("HIGH", price.cum_max()), ("LOW", price.cum_min()))
    ]


def opening_range(trades: pl.LazyFrame, *, open_ns: int, end_ns: int) -> list[pl.LazyFrame]:
    """Highest and lowest price in [open_ns, end_ns), valid from `end_ns` and absent before; no rows without trades.

    The opening range of Crabel (1990), Day Trading with Short Term Price Patterns and Opening Range Breakout.
    """
    inside = trades.filter(pl.col("ts_event_ns").is_between(open_ns, end_ns, closed="left"))
    price = pl.col("price")
    return [
        _level(
            inside.select(valid_from_ns=pl.lit(end_ns, pl.Int64), level_price=extreme).filter(
                pl.col("level_price").is_not_null()
            ),
            f"OR_{side}",
        )
        for side, extreme in (("HIGH", price.max()), ("LOW", price.min()))
    ]


def vwap(trades: pl.LazyFrame, *, step_ns: int) -> pl.LazyFrame:
    """Volume-weighted average price so far: sum(price x size) / sum(size) over the trades of all steps that ended.

    The benchmark of Berkowitz, Logue, Noser (1988), The total cost of transactions on the NYSE, J. Finance 43(1).
    One row per step with trades, valid from the step's end. The sums run in event order, so they never round by what
    comes later.
    """
    end = pl.col("ts_event_ns") // step_ns * step_ns + step_ns
    is_last = pl.col("valid_from_ns").ne_missing(pl.col("valid_from_ns").shift(-1))
    return _level(
        trades.select(
            valid_from_ns=end,
            level_price=(pl.col("price") * pl.col("size")).cum_sum() / pl.col("size").cum_sum(),
        ).filter(is_last),
        "VWAP",
    )


def moving_average(bars: pl.LazyFrame, *, bars_count: int, kind: str, start_ns: int) -> pl.LazyFrame:
    """Mean close of the last `bars_count` closed bars, valid from the last one's end; absent until there are so many.

    What was known before `start_ns` is one row at `start_ns`.
    """
    mean = moving_mean(pl.col("close"), bars_count)
    return _level(
        bars.select(valid_from_ns=pl.max_horizontal("available_ns", pl.lit(start_ns, pl.Int64)), level_price=mean)
        .filter(pl.col("level_price").is_not_null())
        .unique("valid_from_ns", keep="last", maintain_order=True),
        kind,
    )


def level_lines(levels: pl.DataFrame) -> dict[str, tuple[Ints, Floats]]:
    """Kind -> since when, ns, and where it stands then, points (NaN: absent), by time; every kind, be it empty.

    Needs:  kind, level_price, valid_from_ns; by time.
    """
    lines = {str(kind): line for (kind,), line in levels.partition_by("kind", as_dict=True).items()}
    empty = levels.clear()
    return {
        kind: (instants(line, "valid_from_ns"), floats(line, "level_price"))
        for kind, line in ((kind, lines.get(kind, empty)) for kind in LEVEL_KINDS)
    }


def _run(frames: Frames, parameters: LevelParameters, session: SessionWindow) -> Frames:
    today = frames["trades"].filter(~pl.col("is_lookback")).select("ts_event_ns", "price", "size")
    regular = today.filter(pl.col("ts_event_ns") >= session.open_ns)
    premarket = today.filter(
        pl.col("ts_event_ns").is_between(session.premarket_ns, session.open_ns, closed="left"),
    )
    range_end_ns = session.open_ns + parameters.opening_range_s * _NS_PER_S
    parts = [
        *extremes(premarket, "PM"),
        *opening_range(regular, open_ns=session.open_ns, end_ns=range_end_ns),
        *extremes(regular, "SESSION"),
        vwap(regular, step_ns=parameters.vwap_step_s * _NS_PER_S),
        *(
            moving_average(frames["bars_2min"], bars_count=count, kind=kind, start_ns=session.start_ns)
            for kind, count in _SMA_BARS.items()
        ),
        *walls(
            frames["options"],
            start_ns=session.start_ns,
            end_ns=session.end_ns,
            window_s=parameters.wall_window_s,
            step_s=parameters.wall_step_s,
        ),
    ]
    return {"levels": pl.concat(parts).sort("valid_from_ns", "kind")}


def _on_change(levels: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    """Rows whose level differs from the row before; the last of one instant stands for it."""
    price = pl.col("level_price")
    return _level(
        levels.filter(price.ne_missing(price.shift(1))).unique("valid_from_ns", keep="last", maintain_order=True), kind
    )


def _level(levels: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    return levels.select(pl.lit(kind).alias("kind"), "level_price", "valid_from_ns")


STAGE: Final = Stage(
    name="generate_levels",
    run=_run,
    needs={
        "trades": ("ts_event_ns", "price", "size", "is_lookback"),
        "bars_2min": ("available_ns", "close"),
        "options": ("ts_event_ns", "strike", "right", "dealer_gamma_flow"),
    },
    gives={
        "levels": (
            ColumnSpec("kind", pl.String(), "", Role.KEY, f"One of {', '.join(LEVEL_KINDS)}.", null=False),
            ColumnSpec("level_price", pl.Float64(), "points", Role.INFO, "Where it stands; null: absent again."),
            ColumnSpec("valid_from_ns", pl.Int64(), "ns", Role.KEY, "Known, and so valid, from then on.", null=False),
        ),
    },
    parameters=LevelParameters,
)
