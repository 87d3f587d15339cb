"""From a training set down to bronze files and stream sequences, and from those up again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.small_lake import SmallLake, at, trade
from tests.unit.gold.small_version import DAYS, lay_version, rows_of

from ticklake.base.errors import NoDataError, UsageError
from ticklake.catalog.lineage import Lineage
from ticklake.catalog.run_record import RunInput
from ticklake.catalog.runs import RunRegistry
from ticklake.files.errors import NotStoredError
from ticklake.gold.curator import GoldCurator

NAME = "signals_production"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Bronze: sequences 1-2 on the first day, 3 on the second; two feature versions and training sets of those."""
    lake = SmallLake(tmp_path)
    paths = [
        *lake.add("futures.trades", [trade(at(15)), trade(at(15.5))]),
        *lake.add("futures.trades", [trade(at(15, day=1))]),
        *lake.add("futures.trades", [trade(at(16, day=1))]),
    ]
    files = [path.relative_to(tmp_path).as_posix() for path in paths]
    inputs = {
        DAYS[0]: [source(tmp_path, files[0])],
        DAYS[1]: [source(tmp_path, files[0]), source(tmp_path, files[1])],
    }
    frames = {day: rows_of(day) for day in DAYS[:2]}
    lay_version(tmp_path, "v1", frames, inputs=inputs)
    lay_version(tmp_path, "v2", {DAYS[0]: rows_of(DAYS[0], 120)}, inputs={DAYS[0]: inputs[DAYS[0]]})
    curator = GoldCurator(tmp_path)
    curator.promote_to_training("v1")
    curator.promote_to_training("v2")
    return files


def source(root: Path, path: str) -> dict[str, object]:
    return {"path": path, "rows": 1, "bytes": (root / path).stat().st_size, "sha256": "ab" * 32}


def test_down_from_a_training_set(tmp_path: Path, files: list[str]) -> None:
    steps = Lineage(tmp_path).trace(f"{NAME}@1")
    assert [(step.depth, step.kind, step.name) for step in steps[:-1]] == [
        (0, "version", f"{NAME}@v000001"),
        (1, "dataset", "silver/features/v1"),
        (2, "date", "2024-12-16"),
        (3, "table", "bronze/futures/trades"),
        (4, "stream", "MARKET_DATA:0123abcd-market_data"),
        (2, "date", "2024-12-17"),
        (3, "table", "bronze/futures/trades"),
        (4, "stream", "MARKET_DATA:0123abcd-market_data"),
    ]
    assert steps[4].detail == "sequences 1 to 2 of life 1, 2 rows"
    assert steps[7].detail == "sequences 1 to 3 of life 1, 3 rows"
    assert (steps[-1].kind, steps[-1].detail.split(",")[0]) == ("run", "promotion")
    each = Lineage(tmp_path).trace(f"{NAME}@1", files=True)
    assert [step.name for step in each if step.kind == "file"] == [files[0], files[0], files[1]]


@pytest.mark.parametrize(
    "name", [NAME, f"gold/training/{NAME}", f"gold/training/{NAME}.parquet", f"{NAME}@v000002",
             f"gold/history/{NAME}/v000002/data.parquet"],
)  # fmt: skip
def test_all_the_names_of_the_current_version(tmp_path: Path, files: list[str], name: str) -> None:
    del files
    assert Lineage(tmp_path).trace(name)[0].name == f"{NAME}@v000002"


def test_down_from_a_feature_version_and_from_one_date(tmp_path: Path, files: list[str]) -> None:
    del files
    whole = Lineage(tmp_path).trace("v1")
    assert whole == Lineage(tmp_path).trace("silver/features/v1")
    assert [step.name for step in whole if step.kind == "date"] == ["2024-12-16", "2024-12-17"]
    one = Lineage(tmp_path).trace("silver/features/v1/date=2024-12-17/signals.parquet")
    assert [(step.depth, step.kind) for step in one] == [(0, "date"), (1, "table"), (2, "stream")]


def test_what_was_promoted_is_told_even_when_silver_is_built_again(tmp_path: Path, files: list[str]) -> None:
    lay_version(tmp_path, "v1", {DAYS[2]: rows_of(DAYS[2])}, inputs={DAYS[2]: [source(tmp_path, files[2])]})
    steps = Lineage(tmp_path).trace(f"{NAME}@1")
    assert [step.name for step in steps if step.kind == "date"] == ["2024-12-16", "2024-12-17"]


def test_up_from_a_bronze_file_and_from_a_folder(tmp_path: Path, files: list[str]) -> None:
    lineage = Lineage(tmp_path)
    found = [(use.kind, use.name, use.version, use.is_current) for use in lineage.uses_of_file(files[0])]
    assert found == [
        ("feature_version", "v1", None, True),
        ("feature_version", "v2", None, True),
        ("training_set", NAME, 1, False),
        ("training_set", NAME, 2, True),
    ]
    assert [use.dates for use in lineage.uses_of_file(files[1])] == [(DAYS[1],), (DAYS[1],)]
    assert lineage.uses_of_file(files[2]) == []
    day = "bronze/futures/trades/symbol=ES/date=2024-12-17"
    assert [use.files for use in lineage.uses_of_file(day)] == [(files[1],), (files[1],)]


def test_up_from_a_silver_file_and_from_a_feature_version(tmp_path: Path, files: list[str]) -> None:
    del files
    lineage, folder = Lineage(tmp_path), "silver/features/v1"
    both = lineage.uses_of_file(f"{folder}/date=2024-12-16/signals.parquet")
    assert [(use.kind, use.name, use.version, use.dates) for use in both] == [("training_set", NAME, 1, (DAYS[0],))]
    assert [(use.version, use.dates, len(use.files)) for use in lineage.uses_of_file(folder)] == [(1, DAYS[:2], 2)]


def test_up_from_a_sequence(tmp_path: Path, files: list[str]) -> None:
    lineage = Lineage(tmp_path)
    assert [use.name for use in lineage.uses_of_sequence(3)] == ["v1", NAME]
    assert [use.files for use in lineage.uses_of_sequence(2, "MARKET_DATA")] == [(files[0],)] * 4
    assert lineage.uses_of_sequence(4) == []
    with pytest.raises(NoDataError, match="sequence 99"):
        lineage.uses_of_sequence(99)
    with pytest.raises(NoDataError, match="stream OTHER"):
        lineage.uses_of_sequence(3, "OTHER")


def test_of_a_segment_only_the_file_with_the_sequence_counts(tmp_path: Path) -> None:
    lake = SmallLake(tmp_path)
    paths = lake.add("futures.trades", [trade(at(15)), trade(at(16))])  # one segment, an hour folder each
    first, second = (path.relative_to(tmp_path).as_posix() for path in paths)
    for name, path in (("early", first), ("late", second)):
        lay_version(tmp_path, name, {DAYS[0]: rows_of(DAYS[0])}, inputs={DAYS[0]: [source(tmp_path, path)]})
    assert [use.name for use in Lineage(tmp_path).uses_of_sequence(1)] == ["early"]
    assert [use.name for use in Lineage(tmp_path).uses_of_sequence(2)] == ["late"]


def test_nothing_known(tmp_path: Path, files: list[str]) -> None:
    del files
    with pytest.raises(NotStoredError):
        Lineage(tmp_path).trace("nothing")
    with pytest.raises(NoDataError, match="has no version v000009"):
        Lineage(tmp_path).trace(f"{NAME}@9")


@pytest.mark.parametrize("name", ["", "."])
def test_the_lake_itself_is_no_name(tmp_path: Path, name: str) -> None:
    for ask in (Lineage(tmp_path).trace, Lineage(tmp_path).uses_of_file):
        with pytest.raises(UsageError, match=r"names nothing in .*; give a dataset"):
            ask(name)


def test_a_file_outside_of_the_lake_is_known_only_when_a_run_names_it(tmp_path: Path) -> None:
    root, model, other = tmp_path / "lake", tmp_path / "model.bin", tmp_path / "other.bin"
    for path in (model, other):
        path.write_bytes(b"weights")
    runs = RunRegistry(root)
    run_id = runs.register_run("scoring", inputs=[RunInput(str(model), 1, 7, "ab" * 32)])
    runs.finish(run_id, {})
    assert [step.name for step in Lineage(root).trace(str(model))] == [str(model)]
    with pytest.raises(NotStoredError, match=r"other\.bin': it lies outside of .*/lake, and no run knows it"):
        Lineage(root).trace(str(other))
    with pytest.raises(UsageError, match=r"lies outside of .*/lake; name a file or folder below it"):
        Lineage(root).uses_of_file(str(model))
