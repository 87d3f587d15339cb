"""Searches over many starts at once agree with looking at every value."""

from __future__ import annotations

import numpy as np
import pytest

from ticklake.silver.stages.first_passage import first_reaching, highest_between


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 64, 100])
def test_first_reaching_is_the_first_value_at_or_above_the_barrier(size: int) -> None:
    dice = np.random.default_rng(size)
    values = dice.integers(-20, 20, size).cumsum().astype(np.float64)
    starts = dice.integers(0, size + 1, 300)
    barriers = dice.choice(values, 300) + dice.choice([0.0, 0.5], 300)
    expected = [
        next((place for place in range(start, size) if values[place] >= barrier), size)
        for start, barrier in zip(starts, barriers, strict=True)
    ]
    assert first_reaching(values, starts, barriers).tolist() == expected


def test_a_barrier_that_is_nan_is_never_reached() -> None:
    found = first_reaching(np.array([1.0, 2.0, 3.0]), np.array([0, 1, 2]), np.array([np.nan, 3.0, np.nan]))
    assert found.tolist() == [3, 2, 3]


def test_nothing_is_found_in_an_empty_series() -> None:
    assert first_reaching(np.empty(0), np.array([0, 0]), np.array([1.0, -np.inf])).tolist() == [0, 0]
    assert np.isnan(highest_between(np.empty(0), np.array([0]), np.array([0]))).all()


def test_highest_between_is_the_maximum_of_the_range() -> None:
    dice = np.random.default_rng(5)
    values = dice.normal(size=50)
    starts = dice.integers(0, 51, 200)
    ends = np.minimum(starts + dice.integers(0, 12, 200), 50)
    expected = [values[a:b].max() if a < b else np.nan for a, b in zip(starts, ends, strict=True)]
    np.testing.assert_array_equal(highest_between(values, starts, ends), expected)
