from __future__ import annotations

import math
import statistics
import subprocess
import sys

import polars as pl
import pytest

from ticklake.silver.stages.moving import moving_deviation, moving_mean

VALUES = [None, *(math.sin(n * n) * 10 for n in range(50))]


def _made(values: list[float | None], expression: pl.Expr) -> list[float | None]:
    return pl.DataFrame({"x": values}, schema={"x": pl.Float64}).select(expression.alias("x"))["x"].to_list()


def test_they_are_the_mean_and_the_deviation_of_the_window() -> None:
    means = _made(VALUES, moving_mean(pl.col("x"), 7))
    deviations = _made(VALUES, moving_deviation(pl.col("x"), 7))
    assert means[:7] == deviations[:7] == [None] * 7
    for end in range(7, len(VALUES)):
        window = [value for value in VALUES[end - 6 : end + 1] if value is not None]
        assert means[end] == pytest.approx(statistics.fmean(window), abs=1e-12)
        assert deviations[end] == pytest.approx(statistics.stdev(window), abs=1e-12)


def test_equal_values_have_no_deviation_whatever_came_before() -> None:
    assert _made([1e6, 0.1, 0.1, 0.1, 0.1], moving_deviation(pl.col("x"), 3))[3:] == [0.0, 0.0]


def test_fewer_values_than_the_window_have_neither() -> None:
    for values in ([], [1.0], [1.0, 2.0]):
        assert _made(values, moving_mean(pl.col("x"), 4)) == [None] * len(values)
        assert _made(values, moving_deviation(pl.col("x"), 4)) == [None] * len(values)


def test_later_values_never_change_a_bit() -> None:
    for expression in (moving_mean(pl.col("x"), 5), moving_deviation(pl.col("x"), 5)):
        assert _made(VALUES, expression)[:20] == _made(VALUES[:20], expression)


def test_the_pieces_of_a_column_never_change_a_bit() -> None:
    whole = pl.DataFrame({"x": VALUES[1:]})
    pieces = pl.concat([whole[row : row + 1] for row in range(whole.height)], rechunk=False)
    for rows in (7, 11, 14):
        for expression in (moving_mean(pl.col("x"), rows), moving_deviation(pl.col("x"), rows)):
            assert pieces.select(expression).equals(whole.select(expression))


def test_the_number_of_threads_never_changes_a_bit() -> None:
    program = (
        "import hashlib, math, polars as pl\n"
        "from ticklake.silver.stages.moving import moving_deviation, moving_mean\n"
        "rows = {'k': [n // 3 for n in range(15_000)], 'x': [math.sin(n * n) * 10 for n in range(15_000)]}\n"
        "grouped = pl.LazyFrame(rows).group_by('k', maintain_order=True).agg(pl.col('x').last())\n"
        "made = grouped.select(a=moving_mean(pl.col('x'), 14), b=moving_deviation(pl.col('x'), 20)).collect()\n"
        "print(hashlib.sha256(made.drop_nulls().to_numpy().tobytes()).hexdigest())\n"
    )
    run = [sys.executable, "-c", program]
    digests = {
        subprocess.run(run, env={"POLARS_MAX_THREADS": threads}, capture_output=True, text=True, check=True).stdout
        for threads in ("1", "3")
    }
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
