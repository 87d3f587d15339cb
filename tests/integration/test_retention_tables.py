"""Retention of what the lake committed: the books stay balanced, and nothing goes that may not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import google_crc32c
import polars as pl
import pytest
from msgspec.structs import replace
from tests.integration.small_lake import DAY_NS, IDENTITY, TABLES, SmallLake, at, trade
from typer.testing import CliRunner

from ticklake.base.errors import CorruptError
from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.retention import Retention, RetentionReport
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.catalog.retention_tables import finish_retirements
from ticklake.catalog.runs import RunRegistry
from ticklake.cli import retention as commands
from ticklake.files.local import LocalFiles
from ticklake.lake.ledger import LedgerFile, decode_entry, encode_entry
from ticklake.lake.retired import RetiredFile, decide_retirement
from ticklake.readers.lake import open_lake
from ticklake.readers.report import VerifyReport
from ticklake.readers.verify import verify_lake
from ticklake.testing.clock import ManualClock

NOW_NS = at(0, day=10)


@pytest.fixture
def small(tmp_path: Path) -> SmallLake:
    """Three days of trades, two files a day; a quarantine file; a state folder whose log is empty."""
    small = SmallLake(tmp_path / "lake")
    for day in range(3):
        small.add("futures.trades", [trade(at(14.1, day=day)), trade(at(15.2, day=day)), trade(at(15.3, day=day))])
    state = small.root / "_state"
    state.mkdir()
    (state / "IDENTITY").write_text(f"{IDENTITY}\n")
    return small


def purge(small: SmallLake, *, dry_run: bool = False, kind: str = "bronze", **limits: object) -> RetentionReport:
    clock = ManualClock(wall_ns=NOW_NS)
    policy = RetentionPolicy(kind, **limits)  # type: ignore[arg-type]
    return Retention(small.root, clock=clock).purge([policy], dry_run=dry_run)


def verify(small: SmallLake, **more: bool) -> VerifyReport:
    return verify_lake(small.root, small.root / "_state", tables=TABLES, **more)


def data(small: SmallLake) -> list[str]:
    return sorted(str(path.relative_to(small.root)) for path in (small.root / "bronze").rglob("*.parquet"))


def day_of(paths: Sequence[str]) -> set[str]:
    return {path.split("date=")[1][:10] for path in paths}


@pytest.mark.parametrize("deep", [False, True])
def test_old_days_go_and_the_books_say_retired(small: SmallLake, deep: bool) -> None:
    announced = purge(small, dry_run=True, max_age_days=8)
    assert verify(small).rows == 9
    report = purge(small, max_age_days=8)
    assert report.deleted == announced.deleted
    assert day_of(report.deleted) == {"2024-12-16", "2024-12-17"}
    assert day_of(data(small)) == {"2024-12-18"}
    found = verify(small, deep=deep)
    assert found.problems == ()
    (book,) = found.books
    assert (book.received, book.stored, book.stored_rows, book.retired_rows, book.retired_files) == (9, 9, 9, 6, 4)
    assert book.is_balanced
    assert found.rows + book.retired_rows == book.stored_rows + book.quarantined_rows
    assert open_lake(small.root, tables=TABLES).scan("futures.trades").select(pl.len()).collect().item() == 3


def test_a_part_of_a_segment_may_go(small: SmallLake) -> None:
    report = purge(small, kind="bronze/futures/trades/symbol=ES/date=2024-12-16/hour=15", max_count=0)
    assert len(report.deleted) == 1
    assert verify(small, deep=True).is_ok


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"max_count": 2}, 2),
        ({"max_count": 0, "keep_last": 3}, 3),
        ({"max_count": 0, "pins": ("*/hour=14/*",)}, 3),
        ({"max_bytes": 0}, 0),
        ({"max_age_days": 30}, 6),
    ],
)
def test_every_limit_holds_for_tables(small: SmallLake, limits: dict[str, object], kept: int) -> None:
    report = purge(small, **limits)
    assert len(data(small)) == kept
    assert len(report.deleted) == 6 - kept
    assert verify(small, deep=True).is_ok


def test_quarantine_is_retired_like_a_table(small: SmallLake) -> None:
    path = (
        small.root / "quarantine/table=futures.trades/date=2024-12-16/part-140000-0123abcd-market_data-00000001.parquet"
    )
    path.parent.mkdir(parents=True)
    path.write_bytes(b"rejected")
    name = small.root / "catalog/ledger/0123abcd-market_data/000000000001.json"
    entry = decode_entry(name.read_bytes())
    file = LedgerFile(str(path.relative_to(small.root)), "futures.trades", 2, 8, f"{_crc(b'rejected')}")
    entry = replace(
        entry, received=4, quarantined=1, quarantined_rows={"futures.trades": 2}, reasons={"x": 2},
        files=(*entry.files, file), missing=(),
    )  # fmt: skip
    name.write_bytes(encode_entry(entry))
    assert purge(small, kind="quarantine", max_age_days=5).deleted == [file.path]
    (book,) = verify(small).books
    assert (book.quarantined, book.quarantined_rows, book.retired_rows) == (1, 2, 2)
    assert not [problem for problem in verify(small).problems if problem.code == "missing_file"]


def _crc(content: bytes) -> str:
    return f"{google_crc32c.value(content):08x}"


def test_what_is_not_committed_is_not_even_looked_at(small: SmallLake) -> None:
    stray = small.root / data(small)[0]
    stray = stray.with_name(stray.name.replace("00000001", "00000099"))
    shutil.copy(small.root / data(small)[0], stray)
    report = purge(small, max_count=0)
    assert stray.exists()
    assert str(stray.relative_to(small.root)) not in {row["path"] for row in report.rows()}


@pytest.mark.parametrize(
    "place",
    [
        "_state/wal/market_data/000000000002.wal",
        "_state/staging/market_data/000000000002",
        "_staging/market_data/000000000002",
    ],
)
def test_a_commit_that_is_not_over_is_in_use(small: SmallLake, place: str) -> None:
    (small.root / place).mkdir(parents=True)
    report = purge(small, max_count=0)
    assert day_of(data(small)) == {"2024-12-17"}
    assert {row["verdict"] for row in report.rows() if not row["deletes"]} == {"in_use"}


def test_a_writer_whose_state_was_not_seen_is_left_alone_for_a_day(small: SmallLake) -> None:
    shutil.rmtree(small.root / "_state")
    (entry,) = {entry.committed_ns for entry in small.entries}
    for passed_ns, deleted in ((DAY_NS - 1, 0), (DAY_NS, 6)):
        clock = ManualClock(wall_ns=entry + passed_ns)
        policy = RetentionPolicy("bronze", max_count=0)
        assert len(Retention(small.root, clock=clock).purge([policy]).deleted) == deleted


def test_runs_and_datasets_and_features_keep_what_they_need(small: SmallLake) -> None:
    first, second, third, *_ = paths = data(small)
    RunRegistry(small.root).register_run("backtest", run_id="r", inputs=[first])
    DataRegistry.of_lake(small.root).register_dataset("d", second)
    record = small.root / "silver/features/v1/records/2024-12-16.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"inputs": [{"path": third, "rows": 1}]}))
    report = purge(small, max_count=0)
    kept = {row["path"]: row["detail"] for row in report.rows() if not row["deletes"]}
    assert kept == {first: "input of run r", second: "dataset d", third: "input of features v1, 2024-12-16"}
    assert data(small) == paths[:3]
    assert verify(small, deep=True).is_ok
    DataRegistry.of_lake(small.root).register_dataset("bronze/futures/trades", "bronze/futures/trades", tags=["x"])
    assert len(purge(small, max_count=0, dry_run=True).rows()) == 3


def test_a_lost_file_is_not_retired_into_silence(small: SmallLake) -> None:
    lost, cut, *_ = data(small)
    (small.root / lost).unlink()
    (small.root / cut).write_bytes(b"short")
    purge(small, max_count=0)
    assert [(found.code, found.path) for found in verify(small).problems] == [
        ("missing_file", lost),
        ("wrong_size", cut),
    ]


@pytest.mark.parametrize(
    "path", ["catalog/ledger/0123abcd-market_data/000000000001.json", "silver/features/v/records/d.json"]
)
def test_nothing_goes_while_the_books_cannot_be_read(small: SmallLake, path: str) -> None:
    (small.root / path).parent.mkdir(parents=True, exist_ok=True)
    (small.root / path).write_text("{")
    with pytest.raises(CorruptError):
        purge(small, max_count=0)
    assert len(data(small)) == 6


def decided_only(small: SmallLake) -> list[str]:
    """A decision about the first day, whose files were not removed yet."""
    entry = small.entries[0]
    going = [RetiredFile(file.path, file.table, file.rows, file.bytes, file.crc32c, "x") for file in entry.files]
    decide_retirement(LocalFiles(), str(small.root), going, decided_ns=NOW_NS)
    return [file.path for file in going]


def test_a_retirement_that_a_crash_interrupted_is_no_fault_and_the_next_run_goes_on(small: SmallLake) -> None:
    first, second = decided_only(small)
    (small.root / first).unlink()
    report = verify(small, deep=True)
    assert report.is_ok
    assert report.leaving == (second,)
    assert (report.rows, report.books[0].retired_rows) == (8, 1)
    purge(small, max_age_days=1000)
    assert not (small.root / second).exists()
    assert (verify(small).leaving, verify(small).books[0].retired_rows) == ((), 3)
    assert finish_retirements(small.root) == {}


def test_a_file_that_came_back_and_a_changed_decision_are_named(small: SmallLake) -> None:
    path = small.root / data(small)[0]
    content = path.read_bytes()
    purge(small, max_count=0)
    path.write_bytes(content)
    assert [found.code for found in verify(small).problems] == ["retired_file"]
    path.unlink()
    document = small.root / "catalog/retired/000000000001.json"
    text = document.read_text()
    for changed in (text.replace('"rows":1', '"rows":2', 1), text.replace("hour=14", "hour=13", 1)):
        document.write_text(changed)
        assert "retirement_wrong" in {found.code for found in verify(small).problems}
    document.write_text(text[:-9])
    assert "retirement_unreadable" in {found.code for found in verify(small).problems}
    document.write_text(text)
    assert verify(small, deep=True).is_ok


def test_two_runs_at_once_retire_each_file_once(small: SmallLake) -> None:
    clock = ManualClock(wall_ns=NOW_NS)
    policy = RetentionPolicy("bronze", max_count=0)
    shelf = Retention(small.root, clock=clock)._shelf("bronze", [])
    seen = shelf.candidates()
    Retention(small.root, clock=clock).purge([policy], dry_run=False)
    assert shelf.delete([(item, "x") for item in seen]) == {}
    assert verify(small).is_ok
    assert [path.name for path in sorted((small.root / "catalog/retired").glob("*.json"))] == ["000000000001.json"]


def test_a_feature_version_goes_whole_unless_it_is_built_or_needed(tmp_path: Path) -> None:
    for name, state in (
        ("old", "complete"),
        ("gold", "complete"),
        ("busy", "building"),
        ("bad", "failed"),
        ("odd", ""),
    ):
        folder = tmp_path / "silver/features" / name / "date=2024-12-16"
        folder.mkdir(parents=True)
        (folder / "signals.parquet").write_bytes(b"12345")
        if state:
            (folder.parent / "state.json").write_text(json.dumps({"state": state}))
    metadata = tmp_path / "gold/training/set_metadata.json"
    metadata.parent.mkdir(parents=True)
    metadata.write_text(json.dumps({"dataset_name": "set", "silver_version": "gold"}))
    left = tmp_path / "silver/staging/retired-killed-1"
    left.mkdir(parents=True)
    report = Retention(tmp_path).purge([RetentionPolicy("silver", max_count=0)], dry_run=False)
    assert sorted(report.deleted) == ["silver/features/bad", "silver/features/old"]
    assert {row["path"][16:]: row["detail"] for row in report.rows() if not row["deletes"]} == {
        "busy": "its state is building", "gold": "training set set", "odd": "it has no state.json",
    }  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "silver/features").iterdir()) == ["busy", "gold", "odd"]
    assert list((tmp_path / "silver/staging").iterdir()) == []


def test_the_commands_show_first_and_delete_when_told(small: SmallLake) -> None:
    def call(*words: str) -> str:
        result = CliRunner().invoke(commands.app, [*words, "--data", str(small.root)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    limits = ("bronze/futures/trades", "--max-count", "2", "--output", "json")
    shown = call("show", *limits)
    assert len(data(small)) == 6
    assert shown.count('"exceeds_max_count"') == 4
    assert call("run", *limits).count('"exceeds_max_count"') == 4
    assert len(data(small)) == 6
    call("run", *limits, "--apply")
    assert len(data(small)) == 2
    assert '"kind": "bronze"' in call("ls", "--output", "json")
    assert data(small)[0] in call("export")
