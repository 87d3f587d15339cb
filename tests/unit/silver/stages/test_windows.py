"""Sums and shifts over a grid, against the plainest way to write them."""

from __future__ import annotations

import numpy as np
import pytest

from ticklake.silver.stages.windows import lead, step, trailing_sum


@pytest.mark.parametrize("rows", [1, 2, 5, 9, 10, 11])
def test_trailing_sum_is_the_sum_of_the_last_rows(rows: int) -> None:
    values = np.random.default_rng(rows).integers(-9, 9, (10, 3)).astype(float)
    summed = trailing_sum(values, rows)
    for end in range(10):
        if end + 1 < rows:
            assert np.isnan(summed[end]).all()
        else:
            assert summed[end].tolist() == values[end + 1 - rows : end + 1].sum(axis=0).tolist()


def test_an_unknown_value_spoils_only_the_windows_that_hold_it() -> None:
    values = np.array([[1.0], [np.nan], [2.0], [3.0], [4.0]])
    np.testing.assert_array_equal(trailing_sum(values, 2)[:, 0], [np.nan, np.nan, np.nan, 5.0, 7.0])


def test_a_huge_value_leaves_no_trace_once_it_is_out_of_the_window() -> None:
    values = np.array([[1e17], [0.25], [0.5], [0.125]])
    assert trailing_sum(values, 2)[3, 0] == 0.625


def test_lead_and_step_know_where_the_grid_ends() -> None:
    values = np.array([[1.0, 10.0], [4.0, 20.0], [9.0, 40.0]])
    np.testing.assert_array_equal(lead(values, 2), [[9.0, 40.0], [np.nan] * 2, [np.nan] * 2])
    np.testing.assert_array_equal(step(values), [[np.nan] * 2, [3.0, 10.0], [5.0, 20.0]])
    assert np.isnan(lead(values, 5)).all()
    assert step(values[:0]).shape == (0, 2)
