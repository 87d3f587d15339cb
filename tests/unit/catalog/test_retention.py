"""Retention: what goes, what stays, and why."""

import os
import time
from pathlib import Path

import pytest

from ticklake.base.errors import CorruptError, UsageError
from ticklake.catalog.artifacts import ArtifactStore
from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.retention import KINDS, Retention
from ticklake.catalog.retention_rules import Candidate, RetentionPolicy, decide
from ticklake.catalog.runs import RunRegistry
from ticklake.files.documents import decode_document

DAY_NS = 86_400_000_000_000
FILES = [Candidate(f"f{age}", 10, -age * DAY_NS) for age in range(5)]


def _verdicts(references: dict[str, str] | None = None, **limits: object) -> dict[str, str]:
    policy = RetentionPolicy("cache", **limits)  # type: ignore[arg-type]
    return {
        item.candidate.path: item.verdict.value for item in decide(FILES, policy, now_ns=0, references=references or {})
    }


def test_age_is_a_limit() -> None:
    assert _verdicts(max_age_days=2) == dict.fromkeys(("f0", "f1", "f2"), "within_limits") | dict.fromkeys(
        ("f3", "f4"), "older_than_max_age"
    )


def test_count_is_a_limit_and_the_oldest_go() -> None:
    assert _verdicts(max_count=3) == dict.fromkeys(("f0", "f1", "f2"), "within_limits") | dict.fromkeys(
        ("f3", "f4"), "exceeds_max_count"
    )


def test_size_is_a_limit_and_the_oldest_go() -> None:
    assert _verdicts(max_bytes=35) == dict.fromkeys(("f0", "f1", "f2"), "within_limits") | dict.fromkeys(
        ("f3", "f4"), "exceeds_max_bytes"
    )


def test_what_is_older_than_a_file_that_goes_for_its_size_goes_too() -> None:
    files = [Candidate(name, size, -age) for age, (name, size) in enumerate((("new", 10), ("large", 50), ("small", 5)))]
    found = decide(files, RetentionPolicy("cache", max_bytes=20), now_ns=0, references={})
    assert [item.verdict.value for item in found] == ["within_limits", "exceeds_max_bytes", "exceeds_max_bytes"]


def test_each_group_has_the_limits_for_itself() -> None:
    files = [Candidate(f"{group}{age}", 1, -age, group) for group in "ba" for age in range(2)]
    found = decide(files, RetentionPolicy("cache", max_count=0, keep_last=1), now_ns=0, references={})
    assert [(item.candidate.path, item.deletes) for item in found] == [
        ("a0", False),
        ("a1", True),
        ("b0", False),
        ("b1", True),
    ]


def test_protected_files_stay_and_count() -> None:
    found = _verdicts({"f4": "run r"}, max_count=2, keep_last=1, pins=("f3",))
    assert found == {
        "f0": "keep_last",
        "f1": "exceeds_max_count",
        "f2": "exceeds_max_count",
        "f3": "pinned",
        "f4": "referenced",
    }


def test_a_file_below_a_referenced_folder_is_referenced() -> None:
    files = [Candidate("cache/a/b/c", 1, 0), Candidate("cache/ab", 1, 0)]
    found = decide(files, RetentionPolicy("cache", max_count=0), now_ns=0, references={"cache/a": "run r"})
    assert [item.verdict.value for item in found] == ["referenced", "exceeds_max_count"]


@pytest.mark.parametrize("limits", [{}, {"max_count": -1}, {"keep_last": -1, "max_count": 1}])
def test_limits_that_make_no_sense_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        RetentionPolicy("cache", **limits)  # type: ignore[arg-type]


def test_young_temp_files_cannot_be_asked_for() -> None:
    for limits in ({"max_age_days": 0.01}, {"max_count": 0}, {"max_age_days": 9, "max_bytes": 0}):
        with pytest.raises(UsageError, match="in use"):
            RetentionPolicy("temp", **limits)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with two artifacts of a run, two of nobody, a cache, a log, temp files, a lake file and a record."""
    store, runs = ArtifactStore(tmp_path), RunRegistry(tmp_path)
    run_id = runs.register_run("k", run_id="r")
    runs.attach_artifact(run_id, store.save_binary(b"needed", "k", "needed"))
    store.save_binary(b"lonely", "k", "lonely")
    store.save_binary(b"dataset", "k", "d.parquet")
    DataRegistry.of_lake(tmp_path).register_dataset("d", "catalog/artifacts/k/d.parquet")
    for path in (
        "cache/x",
        "records/cache/y",
        "logs/a.log",
        "catalog/runs/.tmp-1",
        "records/events/.tmp-2",
        "bronze/t/symbol=A/p.parquet",
        "records/audit/2024.jsonl",
        "_state/wal/1",
        "quarantine/table=t/p.parquet",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"12345")
    old = time.time() - 10 * 86_400
    for folder, _, names in os.walk(tmp_path):
        for name in names:
            os.utime(Path(folder) / name, (old, old))
    return tmp_path


def _tree(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


ALL = [RetentionPolicy(kind, max_age_days=5) for kind in KINDS]


def test_a_dry_run_deletes_nothing_and_says_what_would_go(root: Path) -> None:
    Retention(root).purge(ALL)
    before = _tree(root)
    report = Retention(root).purge(ALL)
    assert report.dry_run
    assert _tree(root) == before
    assert sorted(report.deleted) == [
        "cache/x",
        "catalog/artifacts/k/lonely",
        "catalog/runs/.tmp-1",
        "logs/a.log",
        "records/cache/y",
        "records/events/.tmp-2",
    ]
    assert report.freed_bytes == 31


def test_only_what_was_announced_goes_and_a_report_stays(root: Path) -> None:
    announced = Retention(root).purge(ALL)
    before = _tree(root)
    report = Retention(root).purge(ALL, dry_run=False)
    gone = before - _tree(root)
    assert gone == set(announced.deleted) == set(report.deleted)
    (kept,) = (root / "catalog/retention").iterdir()
    document = decode_document(kept.read_bytes())
    assert document["freed_bytes"] == 31
    assert {row["path"]: row["detail"] for row in document["items"]}[
        "catalog/artifacts/k/needed"
    ] == "artifact of run r"
    assert {row["path"]: row["detail"] for row in document["items"]}["catalog/artifacts/k/d.parquet"] == "dataset d"
    ids = Retention(root).purge(ALL, dry_run=False)
    assert ids.deleted == []


def test_records_of_runs_go_only_when_they_ended_and_nobody_needs_them(tmp_path: Path) -> None:
    runs = RunRegistry(tmp_path)
    for run_id in ("old", "parent", "maker", "running"):
        runs.register_run("k", run_id=run_id)
    runs.register_run("k", run_id="child", parent="parent")
    runs.attach_dataset("maker", "d")
    for run_id in ("old", "parent", "maker", "child"):
        runs.finish(run_id)
    report = Retention(tmp_path).purge([RetentionPolicy("runs", max_count=0, pins=("child.json",))], dry_run=False)
    assert report.deleted == ["catalog/runs/old.json"]
    assert [run.run_id for run in runs.find_runs()] == ["child", "running", "maker", "parent"]


@pytest.mark.parametrize(
    "kinds", [[], ["iron"], ["cache", "cache"], ["audit"], ["bronze", "bronze/t"], ["bronze/../catalog"], ["bronze/"]]
)
def test_kinds_that_are_not_ours_are_refused(root: Path, kinds: list[str]) -> None:
    with pytest.raises(UsageError, match="artifacts, runs, cache, logs, temp"):
        Retention(root).purge([RetentionPolicy(kind, max_count=0) for kind in kinds], dry_run=False)


def test_a_run_that_cannot_be_read_stops_everything(root: Path) -> None:
    (root / "catalog/runs/r.json").write_text("{")
    before = _tree(root)
    with pytest.raises(CorruptError, match=r"r\.json"):
        Retention(root).purge(ALL, dry_run=False)
    assert _tree(root) - before <= {"catalog/runs.index"}


def test_links_are_not_followed(root: Path) -> None:
    (root / "cache/link").symlink_to(root / "bronze")
    (root / "cache/file").symlink_to(root / "records/audit/2024.jsonl")
    Retention(root).purge([RetentionPolicy("cache", max_count=0)], dry_run=False)
    assert (root / "records/audit/2024.jsonl").exists()
    assert (root / "bronze/t/symbol=A/p.parquet").exists()
