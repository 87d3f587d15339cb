from __future__ import annotations

import numpy as np
import pytest

from ticklake.silver.stages.event_features import last_of, pairs, ratio, rows_by, sum_by, total

NAN = float("nan")


def ints(*numbers):
    return np.array(numbers, dtype=np.int64)


def test_a_row_at_the_instant_is_known():
    assert rows_by(ints(10, 20, 20, 30), ints(9, 10, 20, 99)).tolist() == [0, 1, 3, 4]


def test_the_last_known_row_or_nothing():
    found = last_of(np.array([1.0, 2.0]), ints(0, 1, 2))

    assert found.tolist() == [pytest.approx(NAN, nan_ok=True), 1.0, 2.0]


def test_sums_of_the_first_rows_skip_the_unknown():
    assert sum_by(np.array([1.0, NAN, 4.0]), ints(0, 1, 2, 3)).tolist() == [0.0, 1.0, 1.0, 5.0]


def test_pairs_list_every_row_of_every_event():
    owner, row = pairs(ints(2, 5, 9, 0), ints(4, 5, 7, 1))

    assert owner.tolist() == [0, 0, 3]
    assert row.tolist() == [2, 3, 0]


def test_totals_of_events():
    assert total(ints(0, 0, 2), np.array([1.0, 2.0, 4.0]), 3).tolist() == [3.0, 0.0, 4.0]


def test_a_ratio_to_nothing_is_unknown():
    found = ratio(np.array([1.0, 0.0, NAN, 3.0]), np.array([0.0, 0.0, 1.0, 2.0]))

    assert np.isnan(found[:3]).all()
    assert found[3] == 1.5
