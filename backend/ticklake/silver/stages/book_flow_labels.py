"""Last stage of book_flow: the return of the mid after every grid instant. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import polars as pl

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.stage import ColumnSpec, Frames, Gives, Role, Stage, StageParameters
from ticklake.silver.stages.book_flow_load import INSTRUMENT
from ticklake.silver.stages.rows import rows_of_all
from ticklake.silver.stages.windows import lead

UP, DOWN, FLAT, NO_DATA = OUTCOMES = ("UP", "DOWN", "FLAT", "NO_DATA")

_NS_PER_S = 1_000_000_000


class ReturnParameters(StageParameters, frozen=True):
    """How far the labels look.

    Attributes:
        horizons_s: seconds; each a multiple of the grid step.
    """

    horizons_s: tuple[Annotated[int, msgspec.Meta(gt=0)], ...] = (1, 5, 30)


def label_returns(frames: Frames, parameters: ReturnParameters, session: SessionWindow) -> Frames:
    """Return of the mid over (t, t + h]: mid(t + h) / mid(t) - 1, and its sign.

    NO_DATA, with a null return, where the answer is not in the data: the book's last row comes before t + h, the book
    is stale at t + h, or a side is absent at either end.

    Shape:  one event in, one event out; order kept.
    Gives:  per horizon `forward_return_{h}s` (ratio) and `outcome_{h}s` (UP, DOWN, FLAT, NO_DATA).
    Knows:  later rows; these are labels.

    Raises:
        UsageError: a horizon is not a positive multiple of the grid step.
    """
    del session
    ends = frames["book"].group_by(INSTRUMENT, maintain_order=True).agg(last_book_ns=pl.col("ts_event_ns").max())
    placed = frames["grid"].join(ends, on=INSTRUMENT, how="left", maintain_order="left")
    events, grid = rows_of_all([frames["events"], placed])
    width = int(grid["instrument"].max() or 0) + 1  # type: ignore[arg-type]
    grid_ns = int(grid["grid_ns"][0]) if grid.height else _NS_PER_S
    mid = grid["mid"].set(~grid["is_fresh"], None).fill_null(np.nan).to_numpy().reshape(-1, width)
    labels: list[pl.Series] = []
    for h in parameters.horizons_s:
        later = pl.Series(lead(mid, _rows(h, grid_ns)).ravel()).fill_nan(None)
        is_known = grid["ts_event_ns"] + h * _NS_PER_S <= grid["last_book_ns"]
        forward = (later.set(~is_known, None) / grid["mid"] - 1).alias(f"forward_return_{h}s")
        labels += [forward, _signs(forward).alias(f"outcome_{h}s")]
    return {"events": events.hstack(pl.DataFrame(labels).filter(grid["is_event"])).lazy()}


def _signs(returns: pl.Series) -> pl.Series:
    is_up, is_down, is_flat = returns > 0, returns < 0, returns == 0
    known = pl.when(is_up).then(pl.lit(UP)).when(is_down).then(pl.lit(DOWN)).when(is_flat).then(pl.lit(FLAT))
    return pl.select(known.otherwise(pl.lit(NO_DATA))).to_series()


def _rows(horizon_s: int, grid_ns: int) -> int:
    rows, rest = divmod(horizon_s * _NS_PER_S, grid_ns)
    if rest or rows < 1:
        raise UsageError(
            f"label_returns: a horizon of {horizon_s} s is no multiple of the grid step of {grid_ns / 1e6:g} ms; "
            "choose another horizon or another step in the manifest"
        )
    return rows


def _gives(parameters: ReturnParameters) -> Gives:
    columns: list[ColumnSpec] = []
    for h in parameters.horizons_s:
        signs = ", ".join(OUTCOMES)
        columns += [
            ColumnSpec(f"forward_return_{h}s", pl.Float64(), "ratio", Role.LABEL, f"Return of the mid over {h} s."),
            ColumnSpec(f"outcome_{h}s", pl.String(), "", Role.LABEL, f"Its sign: {signs}.", null=False),
        ]
    return {"events": tuple(columns)}


STAGE = Stage(
    name="label_returns",
    run=label_returns,
    needs={
        "events": ("event_id",),
        "grid": ("ts_event_ns", *INSTRUMENT, "instrument", "grid_ns", "is_event", "is_fresh", "mid"),
        "book": (*INSTRUMENT, "ts_event_ns"),
    },
    gives=_gives,
    parameters=ReturnParameters,
    knows_later=True,
)
