"""Black's formula for options on futures: delta and gamma as expressions, with a normal distribution to full precision.

Sources: Black (1976), "The pricing of commodity contracts", J. Financial Economics 3; Cody (1969), "Rational Chebyshev
approximations for the error function", Mathematics of Computation 23.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import numpy as np
import polars as pl

from ticklake.silver.stages.elementary import exponential, logarithm, polynomial
from ticklake.silver.stages.first_passage import Floats

# Cody's quotients of polynomials, coefficients from the highest power down.
_SMALL: Final = 0.46875
_ERF_TOP: Final = (
    *(1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2),
    *(3.77485237685302021e2, 3.20937758913846947e3),
)
_ERF_BOTTOM: Final = (
    *(1.0, 2.36012909523441209e1, 2.44024637934444173e2),
    *(1.28261652607737228e3, 2.84423683343917062e3),
)
_MIDDLE: Final = 4.0
_ERFC_TOP: Final = (
    *(2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1),
    *(2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3),
    1.23033935479799725e3,
)
_ERFC_BOTTOM: Final = (
    *(1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2),
    *(1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3),
    1.23033935480374942e3,
)
_TAIL_TOP: Final = (
    *(1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1),
    *(1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4),
)
_TAIL_BOTTOM: Final = (
    *(1.0, 2.56852019228982242, 1.87295284992346725),
    *(5.27905102951428412e-1, 6.05183413124413191e-2, 2.33520497626869185e-3),
)


def normal_cdf(x: pl.Expr) -> pl.Expr:
    """Probability that a standard normal is at most x = erfc(-x / sqrt 2) / 2; absolute error below 1e-15."""
    return complementary_error(x * -math.sqrt(0.5)) * 0.5


def normal_density(x: pl.Expr) -> pl.Expr:
    """Density of the standard normal at x: exp(-x^2 / 2) / sqrt(2 pi)."""
    return _exp(x * x * -0.5) * (1.0 / math.sqrt(2.0 * math.pi))


def complementary_error(x: pl.Expr) -> pl.Expr:
    """erfc(x) = 1 - erf(x), by Cody's three ranges of |x|; absolute error below 2e-15. Null stays null."""
    upper = _each(_upper, x.abs())
    return pl.when(x < 0).then(2.0 - upper).otherwise(upper)


def _upper(size: Floats) -> Floats:
    """Erfc of x >= 0. By arrays: a hundred small steps cost little so, and much in a query."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        square = size * size
        falling = exponential(-square)
        inverse = 1.0 / square
        near = 1.0 - size * _quotient(_ERF_TOP, _ERF_BOTTOM, square)
        middle = falling * _quotient(_ERFC_TOP, _ERFC_BOTTOM, size)
        tail = falling / size * (1.0 / math.sqrt(math.pi) - inverse * _quotient(_TAIL_TOP, _TAIL_BOTTOM, inverse))
    return np.where(size <= _SMALL, near, np.where(size <= _MIDDLE, middle, tail))


def _exp(x: pl.Expr) -> pl.Expr:
    return _each(exponential, x)


def _each(function: Callable[[Floats], Floats], x: pl.Expr) -> pl.Expr:
    """The function of every value; null stays null."""
    found = x.map_batches(lambda values: pl.Series(values.name, function(values.to_numpy())), return_dtype=pl.Float64)
    return pl.when(x.is_not_null()).then(found)


def with_greeks(
    options: pl.LazyFrame, *, rate: float, volatility: float, forward: str = "spot", years: str = "years"
) -> pl.LazyFrame:
    """Delta and gamma of each row's option, by Black (1976).

    With F the future's price, K the strike, T the years left, r the rate, s the volatility, and
    d1 = (ln(F / K) + s^2 T / 2) / (s sqrt T):
    delta = exp(-rT) N(d1) for a call, -exp(-rT) N(-d1) for a put (value per index point of the future);
    gamma = exp(-rT) n(d1) / (F s sqrt T) for both (delta per index point).

    Needs:  `forward` and strike (points), `years` (positive or null), right (`C` or `P`).
    Shape:  the same rows, with `delta` and `gamma`; null where `forward` or `years` is null.
    """
    start, delta, gamma = _greeks(rate, volatility, forward, years)
    signed = (pl.col("_d1") * pl.col("_sign")).alias("_signed")
    return options.with_columns(start).with_columns(signed).with_columns(delta, gamma).drop("_d1", "_sign", "_signed")


@cache
def _greeks(rate: float, volatility: float, forward: str, years: str) -> tuple[list[pl.Expr], pl.Expr, pl.Expr]:
    """d1 and the sign of the right; then delta and gamma of those."""
    price, left = pl.col(forward), pl.col(years)
    deviation = volatility * left.sqrt()
    sign = pl.when(pl.col("right") == "C").then(1.0).otherwise(-1.0)
    discount = _exp(left * -rate)
    d1 = pl.col("_d1")
    moneyness = _each(logarithm, price / pl.col("strike"))
    start = [(moneyness / deviation + deviation * 0.5).alias("_d1"), sign.alias("_sign")]
    delta = pl.col("_sign") * discount * normal_cdf(pl.col("_signed"))
    gamma = discount * normal_density(d1) / (price * deviation)
    return start, delta.alias("delta"), gamma.alias("gamma")


def _quotient(top: Sequence[float], bottom: Sequence[float], x: Floats) -> Floats:
    return polynomial(top, x) / polynomial(bottom, x)
