"""The promotion of the tour, on lakes that ran it before."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.gold.small_version import MONDAY, lay_version, rows_of

from ticklake.base.errors import CheckFailedError
from ticklake.cli.tour_features import show_promotion
from ticklake.gold.curator import GoldCurator

SET = "demo_levels"


def test_a_lake_that_ran_the_demo_days_before_takes_todays_day(tmp_path: Path) -> None:
    later, said = MONDAY + timedelta(days=3), io.StringIO()
    console = Console(file=said, width=500)
    lay_version(tmp_path, "v1", {MONDAY: rows_of(MONDAY)})
    show_promotion(tmp_path, "v1", MONDAY, console)
    assert "Validation of v2: passed, 12 checks. Rolled back to v1." in said.getvalue()
    lay_version(tmp_path, "v1", {day: rows_of(day) for day in (MONDAY, later)})  # two open days lie between
    show_promotion(tmp_path, "v1", later, console)
    assert "Promoted twice: demo_levels v3 and v4, 60 rows." in said.getvalue()
    assert GoldCurator(tmp_path).get_dataset_metadata(SET)["dates"] == [str(later)]


def test_what_a_gate_refuses_is_not_forced(tmp_path: Path) -> None:
    lay_version(tmp_path, "v1", {MONDAY: rows_of(MONDAY, 10)})  # too few rows: a gate that force would pass
    with pytest.raises(CheckFailedError, match="minimum_rows"):
        show_promotion(tmp_path, "v1", MONDAY, Console(file=io.StringIO()))
    assert GoldCurator(tmp_path).list_datasets() == []
