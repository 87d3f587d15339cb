"""SilverReader: which versions there are, and their rows, exactly as they lie on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.unit.gold.small_version import COLUMNS, DAYS, lay_version, rows_of

from ticklake.base.errors import CorruptError, NoDataError, RetryableError, UsageError
from ticklake.catalog.datasets import DataRegistry
from ticklake.files.errors import UnreadableError
from ticklake.readers.silver import SilverReader


def test_rows_come_in_order_of_dates(tmp_path: Path) -> None:
    lay_version(tmp_path, frames={day: rows_of(day) for day in reversed(DAYS)})
    reader = SilverReader(tmp_path)
    assert reader.read("v1").equals(pl.concat([rows_of(day) for day in DAYS]))
    assert reader.read("v1", [DAYS[2], str(DAYS[0])]).equals(pl.concat([rows_of(DAYS[0]), rows_of(DAYS[2])]))
    assert reader.scan("v1", DAYS[1], columns=["kind", "date"]).collect().columns == ["kind", "date"]
    assert [column.role for column in reader.get_version("v1").columns()] == [role for _, _, role, _ in COLUMNS]


def test_only_complete_versions_give_rows(tmp_path: Path) -> None:
    for state in ("building", "failed", "complete"):
        lay_version(tmp_path, f"v_{state}", state=state)
    (tmp_path / "silver/features/stray").mkdir()
    reader = SilverReader(tmp_path)
    assert [version.name for version in reader.list_versions()] == ["v_building", "v_complete", "v_failed"]
    assert [version.name for version in reader.list_versions(complete_only=True)] == ["v_complete"]
    for state in ("building", "failed"):
        with pytest.raises(NoDataError, match=f"v_{state} is {state}"):
            reader.scan(f"v_{state}")
    assert DataRegistry.of_lake(tmp_path).list_datasets() == ["silver/features/v_complete"]


def test_no_data_empty_and_unreadable_are_three_things(tmp_path: Path) -> None:
    folder = lay_version(tmp_path, frames={day: rows_of(day) for day in DAYS[:2]}, others={DAYS[2]: "empty"})
    reader = SilverReader(tmp_path)
    nothing = reader.read("v1", DAYS[2])
    assert nothing.schema == rows_of(DAYS[0]).schema
    assert nothing.height == 0
    with pytest.raises(NoDataError, match="has no date 2024-12-20; it holds 2024-12-16 to 2024-12-18"):
        reader.scan("v1", "2024-12-20")
    with pytest.raises(NoDataError, match="no feature version 'v2'"):
        reader.scan("v2")
    with pytest.raises(NoDataError, match="no file 'episodes'"):
        reader.scan("v1", table="episodes")
    with pytest.raises(UsageError):
        reader.scan("../v1")
    (folder / f"date={DAYS[0]}/signals.parquet").unlink()
    with pytest.raises(CorruptError, match="is gone"):
        reader.scan("v1")
    (folder / f"records/{DAYS[0]}.json").write_text("{")
    with pytest.raises(UnreadableError, match=r"2024-12-16\.json"):
        reader.scan("v1")


@pytest.mark.parametrize("how", ["replaced", "gone"])
def test_rows_of_two_builds_are_never_read_as_one_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    lay_version(tmp_path)
    reader, collect = SilverReader(tmp_path), pl.LazyFrame.collect
    other = {day: rows_of(day, shift=7.0) for day in (DAYS if how == "replaced" else DAYS[:1])}

    def collect_during_a_build(frame: pl.LazyFrame) -> pl.DataFrame:
        monkeypatch.setattr(pl.LazyFrame, "collect", collect)
        shutil.rmtree(tmp_path / "silver/features/v1")
        lay_version(tmp_path, frames=other)
        return frame.collect()

    monkeypatch.setattr(pl.LazyFrame, "collect", collect_during_a_build)
    with pytest.raises(RetryableError, match="was built again while it was read"):
        reader.read("v1")
    assert reader.read("v1").equals(pl.concat(other.values()))
