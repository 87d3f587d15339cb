"""The arithmetic of the table, and (`-m bench`) that every benchmark runs. Nothing here judges a speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.benchmarks.__main__ import table_of
from tests.benchmarks.child import ROOT
from tests.benchmarks.figures import Figure, in_turns, limit_figure, percentile, rate_figure


def test_sides_take_turns_and_ratios_are_of_the_same_round() -> None:
    order: list[str] = []
    ours, reference = iter([10.0, 40.0, 90.0]), iter([10.0, 20.0, 30.0])

    def measure(side: str) -> float:
        order.append(side)
        return next(ours if side == "A" else reference)

    pairs = in_turns(3, lambda: measure("A"), lambda: measure("B"))
    assert "".join(order) == "ABBAAB"
    assert pairs.ratios == (1.0, 2.0, 3.0)
    figure = rate_figure("x", pairs, unit="rows/s", least=2.0, against="y")
    assert (figure.ratio, figure.met, figure.ours) == ("2.00 x", True, "40 rows/s")
    assert rate_figure("x", pairs, unit="rows/s", least=2.1, against="y").met is False


def test_a_limit_is_met_below_it_only() -> None:
    assert limit_figure("x", [1.0, 9.0, 5.0], unit="s", below=6).met is True
    assert limit_figure("x", [1.0, 9.0, 6.0], unit="s", below=6).met is False


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile(list(range(1, 101)), 0.99) == 100
    assert percentile(list(range(1, 101)), 0.5) == 51
    assert percentile([7.0], 0.99) == 7.0


def test_the_table_says_of_how_many_rounds_a_figure_is_the_median() -> None:
    once = Figure("x", "1 s", "", "", "-", None)
    table = table_of([limit_figure("y", [1.0, 2.0, 3.0, 4.0, 5.0], unit="s", below=6), once])
    assert list(table.columns[-1].cells) == ["5", "1"]


@pytest.mark.bench
@pytest.mark.timeout(600)
def test_every_benchmark_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "--quick", "--rounds", "1", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=560, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not list(tmp_path.iterdir()), "benchmarks must clean up"
