"""Stage 14, label_outcomes: what price did after each event, by the triple barrier from the entry price. Pure."""

from __future__ import annotations

from typing import Annotated

import msgspec
import numpy as np
import polars as pl

from ticklake.schema.session import SessionWindow
from ticklake.silver.stage import ColumnSpec, Frames, Gives, Role, Stage, StageParameters
from ticklake.silver.stages.first_passage import Flags, Floats, Ints, first_reaching, highest_between
from ticklake.silver.stages.rows import rows_of_all

BREAK, REJECT, CHOP, NO_DATA = OUTCOMES = ("BREAK", "REJECT", "CHOP", "NO_DATA")

_NS_PER_S = 1_000_000_000
_NEVER_NS = np.iinfo(np.int64).max


class LabelParameters(StageParameters, frozen=True):
    """Where the barriers stand.

    Attributes:
        horizons_min: minutes until the vertical barrier.
        threshold_atr: distance of both price barriers from the entry price, in ATR as of the event.
    """

    horizons_min: tuple[Annotated[int, msgspec.Meta(gt=0)], ...] = (2, 4, 8)
    threshold_atr: Annotated[float, msgspec.Meta(gt=0)] = 1.0


def label_outcomes(frames: Frames, parameters: LabelParameters, session: SessionWindow) -> Frames:
    """Label every event by the barrier that trades touch first.

    Triple barrier: Lopez de Prado (2018), Advances in Financial Machine Learning, ch. 3.2-3.4. The two price barriers
    stand at `entry_price` +- `threshold_atr` x ATR, never at the level: an entry some points away from the level is
    labelled like one at the level. The vertical barrier stands at t + h. Only trades in (t, t + h] count, so features
    (up to t) and labels (after t) never share a row.

    Outcome: BREAK when the barrier in the direction of travel is touched first, REJECT when the other one is, CHOP when
    both are touched by trades of one instant or neither is within the horizon. NO_DATA when there is no answer: the
    trades end before t + h with no barrier touched, or the ATR is null or zero.

    Shape:  one event in, one event out; order kept.
    Gives:  per horizon `outcome_{h}min`; `time_to_barrier_{h}min` (s), null when none is touched; `favorable_{h}min`
            and `adverse_{h}min` (points, >= 0): farthest trade with and against the direction of travel in (t, t + h],
            null when the trades end before t + h.
    Knows:  later rows; these are labels.
    """
    del session
    events, trades = rows_of_all([frames["events"], frames["trades"].select("ts_event_ns", "price")])
    event_ns = events["ts_event_ns"].to_numpy()
    trades = trades.slice(trades["ts_event_ns"].search_sorted(event_ns.min() if event_ns.size else 0))
    trade_ns, price = trades["ts_event_ns"].to_numpy(), trades["price"].to_numpy()
    entry = events["entry_price"].to_numpy()
    sign = events["direction"].to_numpy().astype(np.float64)
    width = parameters.threshold_atr * events["atr"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    width = np.where(width > 0, width, np.nan)
    starts = np.searchsorted(trade_ns, event_ns, side="right")
    up_ns = _times(trade_ns, first_reaching(price, starts, entry + width))
    down_ns = _times(trade_ns, first_reaching(-price, starts, width - entry))
    break_ns, reject_ns = np.where(sign > 0, up_ns, down_ns), np.where(sign > 0, down_ns, up_ns)
    labels: list[pl.Series] = []
    for horizon_min in parameters.horizons_min:
        end_ns = event_ns + horizon_min * 60 * _NS_PER_S
        is_covered = end_ns <= (trade_ns[-1] if trade_ns.size else -1)
        labels += _outcome(horizon_min, event_ns, end_ns, break_ns, reject_ns, is_covered & ~np.isnan(width))
        ends = np.searchsorted(trade_ns, end_ns, side="right")
        rise = highest_between(price, starts, ends) - entry
        fall = entry + highest_between(-price, starts, ends)
        labels += _excursions(horizon_min, np.where(sign > 0, rise, fall), np.where(sign > 0, fall, rise), is_covered)
    return {"events": events.with_columns(labels).lazy()}


def _times(trade_ns: Ints, positions: Ints) -> Ints:
    """Time of each position; `_NEVER_NS` past the end."""
    return np.append(trade_ns, _NEVER_NS)[positions]


def _outcome(
    horizon_min: int, event_ns: Ints, end_ns: Ints, break_ns: Ints, reject_ns: Ints, has_answer: Flags
) -> list[pl.Series]:
    first_ns = np.minimum(break_ns, reject_ns)
    is_touched = first_ns <= end_ns
    outcome = np.where(has_answer, CHOP, NO_DATA)
    outcome = np.where(is_touched & (break_ns < reject_ns), BREAK, outcome)
    outcome = np.where(is_touched & (reject_ns < break_ns), REJECT, outcome)
    outcome = np.where(is_touched & (reject_ns == break_ns), CHOP, outcome)
    waited_s = (np.where(is_touched, first_ns, event_ns) - event_ns) / _NS_PER_S
    return [
        pl.Series(f"outcome_{horizon_min}min", outcome.tolist(), dtype=pl.String),
        _nullable(f"time_to_barrier_{horizon_min}min", np.where(is_touched, waited_s, np.nan)),
    ]


def _excursions(horizon_min: int, favorable: Floats, adverse: Floats, is_covered: Flags) -> list[pl.Series]:
    names = (f"favorable_{horizon_min}min", f"adverse_{horizon_min}min")
    return [
        _nullable(name, np.where(is_covered, np.fmax(points, 0.0), np.nan))
        for name, points in zip(names, (favorable, adverse), strict=True)
    ]


def _nullable(name: str, values: Floats) -> pl.Series:
    return pl.Series(name, values, dtype=pl.Float64).fill_nan(None)


def _gives(parameters: LabelParameters) -> Gives:
    columns: list[ColumnSpec] = []
    for h in parameters.horizons_min:
        within = f"within {h} min after the event"
        columns += [
            ColumnSpec(
                f"outcome_{h}min", pl.String(), "", Role.LABEL, f"First barrier {within}: {', '.join(OUTCOMES)}.", False
            ),
            ColumnSpec(
                f"time_to_barrier_{h}min",
                pl.Float64(),
                "s",
                Role.LABEL,
                f"Until the first barrier {within}.",
                low=0,
                high=60 * h,
            ),
            ColumnSpec(
                f"favorable_{h}min",
                pl.Float64(),
                "points",
                Role.LABEL,
                f"Farthest in direction of travel {within}.",
                low=0,
            ),
            ColumnSpec(f"adverse_{h}min", pl.Float64(), "points", Role.LABEL, f"Farthest against it {within}.", low=0),
        ]
    return {"events": tuple(columns)}


STAGE = Stage(
    name="label_outcomes",
    run=label_outcomes,
    needs={
        "events": ("ts_event_ns", "entry_price", "direction", "atr"),
        "trades": ("ts_event_ns", "price"),
    },
    gives=_gives,
    parameters=LabelParameters,
    knows_later=True,
)
