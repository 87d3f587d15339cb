"""Stage 7, multiwindow_kinematics: how fast price comes to the level, and how that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np
import polars as pl

from ticklake.silver.stage import ColumnSpec, LookBack, Stage, StageParameters
from ticklake.silver.stages.event_features import (
    NS_PER_MIN,
    NS_PER_S,
    Bools,
    Floats,
    Ints,
    check_ascending,
    column,
    feature,
    floats,
    instants,
    ratio,
    rows_by,
    with_columns,
)
from ticklake.silver.stages.rows import rows_of

if TYPE_CHECKING:
    from ticklake.schema.session import SessionWindow
    from ticklake.silver.stage import Frames

DEGREE: Final = 3
POINTS_MIN: Final = DEGREE + 2
_POINTS_AT_ONCE: Final = 150_000
_ORDERS: Final = np.arange(DEGREE + 1)[:, None]
_LOWER: Final = np.arange(DEGREE + 1) - 1

_MOTION: Final = (("velocity", "points/min"), ("acceleration", "points/min^2"), ("jerk", "points/min^3"))


class KinematicsParameters(StageParameters, frozen=True):
    """Over which windows the polynomial is fitted.

    Attributes:
        windows_min: lengths in minutes, ascending.
        sample_s: one price, the last, is taken from each step of so many seconds before t.
    """

    windows_min: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] = (1, 3, 5, 10, 20)
    sample_s: Annotated[int, msgspec.Meta(ge=1)] = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be computed.

        Raises:
            UsageError: `windows_min` is not ascending.
        """
        check_ascending("windows_min", self.windows_min)


def fit_derivatives(x: Floats, y: Floats, known: Bools) -> tuple[Floats, Floats, Floats]:
    """First, second and third derivative at x = 0 of the cubic that fits the known points of each column best.

    Least squares in polynomials orthogonal on the points themselves: p_0 = 1, p_{k+1} = (x - a_k) p_k - b_k p_{k-1},
    a_k = <x p_k, p_k> / <p_k, p_k>, b_k = <p_k, p_k> / <p_{k-1}, p_{k-1}>, coefficients <y, p_k> / <p_k, p_k> (Forsythe
    1957, "Generation and use of orthogonal polynomials for data-fitting with a digital computer", J. SIAM 5(2)). No
    system of equations is solved, so points that crowd together cost no digits; derivatives follow the recurrence.
    Sums run down a column, one addition after the other, so points that are not known change no bit wherever they lie.

    Args:
        x: (points, events), of order 1; known points of one event are distinct.
        y: (points, events).
        known: which points there are.

    Returns:
        dy/dx, d2y/dx2, d3y/dx3 per event; NaN with fewer than degree + 2 points.
    """
    y = np.where(known, y, 0.0)
    events = x.shape[1]
    here = square = known.astype(np.float64)  # p_0 is 0 or 1, its own square
    before, kept = here, np.empty_like(x)
    at_before, at = np.zeros((DEGREE + 1, events)), np.zeros((DEGREE + 1, events))  # p_k and its derivatives at x = 0
    at[0] = 1.0
    fitted = np.zeros((DEGREE + 1, events))
    norm_before = np.ones(events)
    for degree in range(DEGREE + 1):  # of the polynomials, not of the data
        norm = _down(square)
        fitted += ratio(_down(np.multiply(y, here, out=kept)), norm) * at
        if degree == DEGREE:
            break
        np.multiply(x, here, out=kept)
        a = ratio(_down(np.multiply(kept, here, out=kept)), norm)
        following = np.subtract(x, a)
        following *= here
        raised = _ORDERS * at[_LOWER]  # m-th derivative of x p_k at 0: m p_k^(m-1)
        raised -= a * at
        if degree:
            b = norm / norm_before
            following -= np.multiply(before, b, out=kept)
            raised -= b * at_before
        at_before, at = at, raised
        before, here, square = here, following, np.multiply(following, following, out=kept)
        norm_before = np.where(norm == 0, 1.0, norm)
    fitted = np.where(known.sum(axis=0) >= POINTS_MIN, fitted, np.nan)
    return fitted[1], fitted[2], fitted[3]


def _down(values: Floats) -> Floats:
    """Sum of each column, one addition after the other: NumPy adds in pairs only where a column is contiguous."""
    wide = values if values.shape[1] > 1 else np.repeat(values, 2, axis=1)
    summed: Floats = wide.sum(axis=0)
    return summed[: values.shape[1]]


def _by_points(x: Floats, y: Floats, known: Bools) -> tuple[Floats, Floats, Bools]:
    """(events, steps) as (points, events); where most steps hold no point, only the points, one below the other."""
    counts = known.sum(axis=1)
    longest = int(counts.max())
    if 2 * longest > known.shape[1]:
        return np.ascontiguousarray(x.T), np.ascontiguousarray(y.T), np.ascontiguousarray(known.T)
    event, step = np.nonzero(known)
    place = np.arange(event.size) - np.repeat(np.cumsum(counts) - counts, counts)
    packed = np.zeros((2, longest, counts.size))
    packed[:, place, event] = x[event, step], y[event, step]
    return packed[0], packed[1], np.arange(longest)[:, None] < counts


def _fitted(x: Floats, y: Floats, known: Bools) -> Floats:
    """`fit_derivatives` of (events, steps), as (3, events).

    Some events at a time, so that what it keeps on the way fits into the processor's cache.
    """
    found = np.empty((DEGREE, x.shape[0]))
    at_once = max(1, _POINTS_AT_ONCE // max(1, x.shape[1]))
    for first in range(0, x.shape[0], at_once):
        some = slice(first, first + at_once)
        found[:, some] = fit_derivatives(*_by_points(x[some], y[some], known[some]))
    return found


def kinematics_columns(
    events: pl.DataFrame, trades: pl.DataFrame, *, windows_min: tuple[int, ...], sample_ns: int
) -> list[pl.Series]:
    """Velocity, acceleration and jerk at t of p = direction x (price - level), over each window.

    p is in points and rises when price goes the way it came (0 at the level). A cubic p(s) is fitted to the last trade
    of every `sample_ns` step of (t - window, t], each at its own time: every second weighs the same, however busy. Then
    velocity p'(t) in points/min, acceleration p''(t) in points/min^2, jerk p'''(t) in points/min^3; null with fewer
    than degree + 2 steps that have a trade.

    Needs:  events: ts_event_ns, level_price, direction; trades: ts_event_ns, price; in event order.
    """
    t = instants(events)
    times, price = instants(trades), floats(trades, "price")
    steps = max(windows_min) * NS_PER_MIN // sample_ns
    ends = t[:, None] - np.arange(steps + 1) * sample_ns
    known_rows = _rows_by_each(times, ends)
    is_traded = known_rows[:, :-1] > known_rows[:, 1:]
    row = np.where(is_traded, known_rows[:, :-1] - 1, 0)
    if times.size:
        age_min = (times[row] - t[:, None]) / NS_PER_MIN
        way = (price[row] - floats(events, "level_price")[:, None]) * floats(events, "direction")[:, None]
    else:
        age_min, way = np.zeros(row.shape), np.zeros(row.shape)
    found = []
    for window in windows_min:
        within = slice(0, window * NS_PER_MIN // sample_ns)
        derivatives = _fitted(age_min[:, within] / window, way[:, within], is_traded[:, within])
        scales = (float(window), float(window) ** 2, float(window) ** 3)
        found += [
            column(f"{name}_{window}min", values / scale)
            for (name, _), values, scale in zip(_MOTION, derivatives, scales, strict=True)
        ]
    return found


def _rows_by_each(times_ns: Ints, ends_ns: Ints) -> Ints:
    """`rows_by` for (events, descending instants); asked in ascending order, where each answer is near the last."""
    ascending = ends_ns[:, ::-1]
    found = rows_by(times_ns, ascending.ravel()).reshape(ends_ns.shape)
    return np.ascontiguousarray(found[:, ::-1])


def _run(frames: Frames, parameters: KinematicsParameters, session: SessionWindow) -> Frames:
    del session
    events = rows_of(frames["events"])
    columns = kinematics_columns(
        events,
        rows_of(frames["trades"].select("ts_event_ns", "price")),
        windows_min=parameters.windows_min,
        sample_ns=parameters.sample_s * NS_PER_S,
    )
    return with_columns(events, columns)


def _gives(parameters: KinematicsParameters) -> dict[str, tuple[ColumnSpec, ...]]:
    doc = "of direction x (price - level) at t: cubic least squares over {} min; null below 5 points."
    return {
        "events": tuple(
            feature(f"{name}_{window}min", unit, f"{name.capitalize()} {doc.format(window)}")
            for window in parameters.windows_min
            for name, unit in _MOTION
        )
    }


def _lookback(parameters: KinematicsParameters) -> LookBack:
    return LookBack(ns=max(parameters.windows_min) * NS_PER_MIN)


STAGE: Final = Stage(
    name="multiwindow_kinematics",
    run=_run,
    needs={"events": ("ts_event_ns", "level_price", "direction"), "trades": ("ts_event_ns", "price")},
    gives=_gives,
    parameters=KinematicsParameters,
    lookback=_lookback,
)
