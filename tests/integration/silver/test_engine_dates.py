"""Which dates a version may have: those of the data, its gaps and its closed days, and none beyond."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.silver.toy import add_day, day_text, toy_lake, toy_manifest

from ticklake.base.errors import NoDataError
from ticklake.silver.builder import SilverFeatureBuilder


def test_an_instrument_without_a_row_is_no_version(tmp_path: Path) -> None:
    toy_lake(tmp_path, 1)
    builder = SilverFeatureBuilder(tmp_path)
    with pytest.raises(NoDataError, match=r"futures\.trades has no row of EX to build v1 of"):
        builder.build_feature_set(toy_manifest(symbol="EX"))
    assert builder.list_versions(complete_only=False) == []


def test_closed_and_empty_days_say_why(tmp_path: Path) -> None:
    add_day(toy_lake(tmp_path, 1), 4)  # Monday and Friday
    builder = SilverFeatureBuilder(tmp_path)
    result = builder.build_feature_set(toy_manifest(), ["2024-12-15", day_text(0), day_text(1), "2024-12-22"])
    closed = ("closed", "us_index_futures has no session on that day")
    assert [(item.outcome.value, item.reason) for item in result.dates] == [
        closed,
        ("built", ""),
        ("empty", "no row of futures.trades of ES in the session"),
        closed,
    ]
    assert result.status == "complete"
    assert builder.load_features("v1").height == 80
    assert [item.outcome.value for item in builder.build_feature_set("v1", day_text(1)).dates] == ["skipped"] * 4


@pytest.mark.parametrize("day", ["2024-12-12", "2024-12-13", "2024-12-18", "2024-12-25", "2034-01-03"])
def test_a_date_outside_of_the_data_is_refused_and_leaves_nothing(tmp_path: Path, day: str) -> None:
    toy_lake(tmp_path, 2)
    builder = SilverFeatureBuilder(tmp_path)
    with pytest.raises(NoDataError, match=f"ES from 2024-12-16 to 2024-12-17, nothing to build {day} of; correct"):
        builder.build_feature_set(toy_manifest(), [day_text(0), day])
    assert builder.list_versions(complete_only=False) == []
