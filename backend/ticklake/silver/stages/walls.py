"""The call wall and the put wall: strikes where option trades of the last minutes left dealers the most gamma."""

from __future__ import annotations

import polars as pl

from ticklake.base.errors import UsageError

_NS_PER_S = 10**9


def walls(options: pl.LazyFrame, *, start_ns: int, end_ns: int, window_s: int, step_s: int) -> list[pl.LazyFrame]:
    """Levels CALL_WALL and PUT_WALL: the strike with the largest |sum of dealer gamma flow| in the last `window_s`.

    Looked for every `step_s` from `start_ns`: at time g over option trades in (g - window, g]. Of strikes with equal
    sums the lowest; none when nothing with a known flow traded. A definition of ours, of the flow that `gex` sums.

    Needs:  ts_event_ns, strike (points), right, dealer_gamma_flow (null: left out); in event order.
    Shape:  two frames kind, level_price, valid_from_ns with a row per change, level_price null when the wall is gone.

    Raises:
        UsageError: the window is no multiple of the step.
    """
    if window_s % step_s:
        raise UsageError(f"wall_window_s is {window_s}, no multiple of wall_step_s ({step_s}); choose one that is")
    step_ns = step_s * _NS_PER_S
    first_look = -((start_ns - pl.col("ts_event_ns")) // step_ns)  # of the looks at start + n steps, n rounded up
    seen = (
        options.select("ts_event_ns", "strike", "right", "dealer_gamma_flow")
        .filter(pl.col("dealer_gamma_flow").is_not_null())
        .with_columns(look=pl.int_ranges(first_look, first_look + window_s // step_s))
        .explode("look")
        .with_columns(valid_from_ns=start_ns + pl.col("look") * step_ns)
    )
    grid = pl.LazyFrame({"valid_from_ns": pl.int_range(start_ns, end_ns + 1, step_ns, eager=True)})
    return [_wall(seen.filter(pl.col("right") == right), grid, kind) for right, kind in _RIGHTS]


_RIGHTS = (("C", "CALL_WALL"), ("P", "PUT_WALL"))


def _wall(seen: pl.LazyFrame, grid: pl.LazyFrame, kind: str) -> pl.LazyFrame:
    strongest = (
        seen.group_by("valid_from_ns", "strike", maintain_order=True)
        .agg(flow=pl.col("dealer_gamma_flow").sum().abs())
        .filter(pl.col("flow") > 0)
        .sort("valid_from_ns", "flow", "strike", descending=[False, True, False])
        .unique("valid_from_ns", keep="first", maintain_order=True)
        .select("valid_from_ns", level_price="strike")
    )
    price = pl.col("level_price")
    return (
        grid.join(strongest, on="valid_from_ns", how="left", maintain_order="left")
        .filter(price.ne_missing(price.shift(1)))
        .select(pl.lit(kind).alias("kind"), "level_price", "valid_from_ns")
    )
