"""Sums over the last rows of a regular grid, one fresh sum per row. Pure."""

from __future__ import annotations

import numpy as np

from ticklake.silver.stages.first_passage import Floats


def trailing_sum(values: Floats, rows: int) -> Floats:
    """Sum of the last `rows` rows, the row itself included, for every column.

    Each window is summed on its own: no running total that carries the rounding of rows long gone, so the result does
    not depend on where the grid begins.

    Args:
        values: (grid rows, columns); NaN where unknown.
        rows: length of the window, at least 1.

    Returns:
        The same shape; NaN while the window is not full, or holds a NaN.
    """
    summed = np.full(values.shape, np.nan)
    if values.shape[0] >= rows:
        by_column = np.ascontiguousarray(values.T)
        summed[rows - 1 :] = np.lib.stride_tricks.sliding_window_view(by_column, rows, axis=1).sum(axis=2).T
    return summed


def lead(values: Floats, rows: int) -> Floats:
    """The value `rows` rows later; NaN where there is none."""
    later = np.full(values.shape, np.nan)
    later[: max(0, values.shape[0] - rows)] = values[rows:]
    return later


def step(values: Floats) -> Floats:
    """Change since the row before; NaN at the first row."""
    change = np.full(values.shape, np.nan)
    change[1:] = values[1:] - values[:-1]
    return change
