"""Exponential and logarithm: near the exact value, the same bits everywhere, and right at the ends."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from decimal import Decimal, localcontext

import numpy as np
import pytest

from ticklake.silver.stages.elementary import exponential, logarithm

STEPS = np.arange(-8_000, 8_001) / 8_000  # exact
EXP_AT = np.concatenate([STEPS, STEPS * 40.0, STEPS * 708.0, STEPS * 2.0**-20])
LOG_AT = np.concatenate(
    [1.0 + STEPS[1:], 1.0 + STEPS * 2.0**-10, np.ldexp(1.0 + STEPS[1:], 500), np.ldexp(1.0, np.arange(-1022, 1024))]
)
KNOWN = (("exp", exponential, EXP_AT), ("log", logarithm, LOG_AT))


@pytest.mark.parametrize(("name", "function", "at"), KNOWN)
def test_values_lie_within_two_units_of_the_standard_library(
    name: str, function: Callable[[np.ndarray], np.ndarray], at: np.ndarray
) -> None:
    exact = np.array([getattr(math, name)(x) for x in at.tolist()])
    assert (np.abs(function(at) - exact) <= 2 * np.spacing(np.abs(exact))).all()


@pytest.mark.parametrize(("name", "function", "at"), KNOWN)
def test_the_error_is_below_one_unit_in_the_last_place(
    name: str, function: Callable[[np.ndarray], np.ndarray], at: np.ndarray
) -> None:
    some = at[:: at.size // 1_500]
    with localcontext(prec=40):
        for x, made in zip(some.tolist(), function(some).tolist(), strict=True):
            exact = Decimal(x).exp() if name == "exp" else Decimal(x).ln()
            assert abs(Decimal(made) - exact) <= Decimal("0.9") * Decimal(math.ulp(made)), x


@pytest.mark.parametrize(
    ("function", "at", "sha256"),
    [
        (exponential, EXP_AT, "041908134500f3a7a27363ef362d99584d9e50800f254cd779d124b339204cd1"),
        (logarithm, LOG_AT, "60c24d01d5a53837a89e0673768b07574891a2f4e1f662fbb7ef0e014d84f71b"),
    ],
)
def test_every_bit_is_the_same_on_every_machine(
    function: Callable[[np.ndarray], np.ndarray], at: np.ndarray, sha256: str
) -> None:
    assert hashlib.sha256(function(at).astype("<f8").tobytes()).hexdigest() == sha256
    assert np.array_equal(function(at[3:10]), function(at)[3:10]), "no value depends on its neighbours"


def test_the_ends_of_the_range() -> None:
    nan, infinity = float("nan"), float("inf")
    made = exponential(np.array([0.0, -0.0, infinity, -infinity, 710.0, -746.0, -745.0, nan]))
    assert made.tolist()[:-1] == [1.0, 1.0, infinity, 0.0, infinity, 0.0, 5e-324]
    logs = logarithm(np.array([1.0, 0.0, infinity, 5e-324, -1.0, nan]))
    assert logs.tolist()[:4] == [0.0, -infinity, infinity, math.log(5e-324)]
    assert np.isnan([made[-1], *logs[4:]]).all()
    assert exponential(np.array([])).size == logarithm(np.array([])).size == 0
