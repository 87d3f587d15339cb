"""Moving means and deviations whose every bit is the same with any number of threads.

Polars' own `rolling_*` cut a column into as many pieces as there are threads and carry rounding within a piece. Here
all is sums in the order of the rows, and no division by a constant: Polars multiplies by its reciprocal, except where a
piece of a column has one row, so the last bit would depend on the pieces.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl


def moving_mean(values: pl.Expr, rows: int) -> pl.Expr:
    """Mean of this row's value and the `rows - 1` before it; null until there are so many.

    Only the first values may be null. The difference of two running sums, so its error is that of the running sum:
    none for prices in quarters, below 1e-10 points for any other.
    """
    total = values.cum_sum()
    window = total - total.shift(rows).fill_null(0.0)
    return pl.when(values.shift(rows - 1).is_not_null()).then(window * (1.0 / rows))


def moving_deviation(values: pl.Expr, rows: int) -> pl.Expr:
    """Sample standard deviation (n - 1) of this row's value and the `rows - 1` before it; null until there are so many.

    Only the first values may be null. With d the differences from this row's value:
    sqrt((sum(d^2) - sum(d)^2 / n) / (n - 1)), so exactly 0 for equal values.
    """
    deviation = values.map_batches(partial(_deviation, rows=rows), return_dtype=pl.Float64)
    return pl.when(values.shift(rows - 1).is_not_null()).then(deviation)


def _deviation(values: pl.Series, rows: int) -> pl.Series:
    """NaN for the first `rows - 1`. Steps through the window, never through the rows."""
    x = values.to_numpy()
    total, squares = np.zeros(len(x)), np.zeros(len(x))
    for back in range(1, rows):
        difference = np.full(len(x), np.nan)
        difference[back:] = x[:-back] - x[back:]
        total = total + difference
        squares = squares + difference * difference
    variance = (squares - total * total / rows) / (rows - 1)
    return pl.Series(values.name, np.sqrt(np.maximum(variance, 0.0)))
