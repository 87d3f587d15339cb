"""Retention of training sets: what goes, what stays and why, and what everybody says afterwards."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from tests.integration.small_lake import TABLES, SmallLake, at, trade
from tests.unit.gold.small_version import MONDAY, lay_version, rows_of
from typer.testing import CliRunner

from ticklake.base.errors import NoDataError, UsageError
from ticklake.catalog import retention_training
from ticklake.catalog.artifacts import ArtifactStore
from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.lineage import Lineage
from ticklake.catalog.retention import Retention, RetentionReport
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.catalog.runs import RunRegistry
from ticklake.cli import retention as commands
from ticklake.files.errors import UnreadableError
from ticklake.gold.curator import GoldCurator
from ticklake.gold.promotion import PromotionStatus
from ticklake.readers.gold import GoldReader
from ticklake.readers.verify import verify_lake
from ticklake.testing.clock import ManualClock

NAME = "signals_production"
DAY_NS = 86_400_000_000_000
BEGIN_NS = 1_734_400_000_000_000_000
TOLD = (
    r"v000001 .* was removed by retention at 2024-\d\d-\d\dT.* \(exceeds_max_count\); "
    "there are: v000003, v000004, v000005"
)


def at_day(root: Path, day: int) -> GoldCurator:
    return GoldCurator(root, clock=ManualClock(wall_ns=BEGIN_NS + day * DAY_NS))


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five versions, one a day, of as many feature versions; the youngest is current."""
    root = tmp_path_factory.mktemp("pattern")
    for number in range(1, 6):
        lay_version(root, f"v{number}", {MONDAY: rows_of(MONDAY, 120, shift=number)})
        done = at_day(root, number).promote_to_training(f"v{number}", dates=MONDAY)
        assert done.version == number, done.reason
    return root


@pytest.fixture
def root(pattern: Path, tmp_path: Path) -> Path:
    """A copy of the pattern."""
    return Path(shutil.copytree(pattern, tmp_path / "lake"))


def tree(root: Path) -> dict[str, bytes]:
    """Every file but the index of the runs, which is made anew whenever it is missing."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and path.suffix != ".index")
    return {str(path): path.read_bytes() for path in files if not path.name.startswith(".lock-")}


def purge(root: Path, kind: str = "training_sets", *, dry_run: bool = False, **limits: object) -> RetentionReport:
    clock = ManualClock(wall_ns=BEGIN_NS + 10 * DAY_NS)
    policy = RetentionPolicy(kind, **limits)  # type: ignore[arg-type]
    return Retention(root, clock=clock).purge([policy], dry_run=dry_run)


def path_of(number: int, name: str = NAME) -> str:
    return f"gold/history/{name}/v{number:06d}"


def verdicts(report: RetentionReport) -> dict[str, tuple[str, str]]:
    return {row["path"]: (row["verdict"], row["detail"]) for row in report.rows()}


def size(root: Path, number: int) -> int:
    return sum(path.stat().st_size for path in (root / path_of(number)).iterdir())


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"max_age_days": 7}, {3, 4, 5}),
        ({"max_count": 2}, {4, 5}),
        ({"max_count": 0, "keep_last": 3}, {3, 4, 5}),
        ({"max_count": 0, "pins": ("v000002",)}, {2, 5}),
        ({"max_count": 0, "pins": (path_of(1),)}, {1, 5}),
        ({"max_bytes": 0}, {5}),
    ],
)
def test_each_limit_holds_after_a_dry_run_that_told_it(root: Path, limits: dict[str, object], kept: set[int]) -> None:
    before = tree(root)
    announced = purge(root, dry_run=True, **limits)
    assert tree(root) == before
    report = purge(root, **limits)
    assert sorted(report.deleted) == sorted(announced.deleted) == [path_of(n) for n in range(1, 6) if n not in kept]
    assert {line["version"] for line in GoldCurator(root).list_versions()} == kept
    assert verdicts(report)[path_of(5)] == ("in_use", f"the current version of {NAME}")
    assert purge(root, **limits).deleted == []


def test_size_counts_whole_versions(root: Path) -> None:
    three = sum(size(root, number) for number in (3, 4, 5))
    assert len(purge(root, dry_run=True, max_bytes=three).deleted) == 2
    assert len(purge(root, dry_run=True, max_bytes=three - 1).deleted) == 3


def test_the_current_version_stays_though_it_is_the_oldest(root: Path) -> None:
    GoldCurator(root).rollback(to=1)
    assert purge(root, max_count=0).deleted == [path_of(number) for number in (5, 4, 3, 2)]
    assert GoldCurator(root).validate_dataset().passed


def test_limits_hold_for_each_set_and_one_set_can_be_named(root: Path) -> None:
    for number in (1, 2, 3):
        at_day(root, number).promote_to_training(f"v{number}", "other", dates=MONDAY)
    both = purge(root, dry_run=True, max_count=2)
    assert sorted(both.deleted) == sorted([path_of(1, "other"), *map(path_of, (1, 2, 3))])
    assert purge(root, "training_sets/other", max_count=0).deleted == [path_of(2, "other"), path_of(1, "other")]
    assert GoldReader(root).list_training_versions(NAME) == [1, 2, 3, 4, 5]
    with pytest.raises(UsageError, match="training_sets/NAME"):
        purge(root, "training_sets/../x", max_count=0)


def test_what_runs_and_datasets_refer_to_stays(root: Path) -> None:
    runs = RunRegistry(root)
    (root / "copy.parquet").write_bytes((root / path_of(1) / "data.parquet").read_bytes())
    for run_id, path in (("bytes", "copy.parquet"), ("file", f"{path_of(2)}/data.parquet"), ("folder", path_of(3))):
        runs.register_run("fit", run_id=run_id, inputs=[path])
    DataRegistry.of_lake(root).register_dataset("mine", f"{path_of(4)}/data.parquet")
    report = purge(root, max_count=0)
    assert report.deleted == []
    assert [verdicts(report)[path_of(number)] for number in (1, 2, 3, 4)] == [
        ("referenced", "input of run bytes"),
        ("referenced", "input of run file"),
        ("referenced", "input of run folder"),
        ("referenced", "dataset mine"),
    ]


def test_a_set_without_a_current_version_is_left_alone(root: Path) -> None:
    (root / f"gold/training/{NAME}_metadata.json").unlink()
    report = purge(root, max_count=0)
    assert report.deleted == []
    assert {verdict for verdict, _ in verdicts(report).values()} == {"in_use"}


def test_a_version_that_became_current_meanwhile_stays(root: Path) -> None:
    shelf = retention_training.TrainingShelf(root, "training_sets", clock=ManualClock())
    seen = {item.path: item for item in shelf.candidates()}
    GoldCurator(root).rollback(to=2)
    failed = shelf.delete([(seen[path_of(number)], "x") for number in (1, 2, 3)])
    assert failed == {path_of(2): f"the current version of {NAME}"}
    assert GoldReader(root).list_training_versions(NAME) == [2, 4, 5]
    assert shelf.delete([(seen[path_of(1)], "x")]) == {}


def test_everybody_says_afterwards_what_is_gone(root: Path) -> None:
    purge(root, max_count=3)
    curator = GoldCurator(root)
    assert curator.list_datasets()[0]["versions"] == 3
    assert curator.validate_dataset().passed
    for call in (
        lambda: curator.rollback(to=1),
        lambda: curator.load_training_data(version=1),
        lambda: curator.validate_dataset(version="v000001"),
        lambda: curator.get_dataset_metadata(version=1),
    ):
        with pytest.raises(NoDataError, match=TOLD):
            call()
    curator.rollback(to=3)
    with pytest.raises(NoDataError, match=r"below v000003 \(v000001, v000002 removed by retention\)"):
        curator.rollback()
    assert curator.get_dataset_metadata()["version"] == 3
    for name in (f"{NAME}@1", path_of(1), f"{path_of(1)}/data.parquet"):
        version, silver, run = Lineage(root).trace(name)
        assert (version.kind, version.name) == ("version", f"{NAME}@v000001")
        assert "120 rows" in version.detail
        assert version.detail.endswith("(exceeds_max_count)")
        assert (silver.name, run.kind) == ("silver/features/v1", "run")
    assert Lineage(root).trace(f"{NAME}@3")[0].detail.count("retired") == 0
    assert [use.version for use in Lineage(root).uses_of_file("bronze")] == []
    SmallLake(root).add("futures.trades", [trade(at(14))])  # features and training sets alone have no books
    assert verify_lake(root, tables=TABLES).is_ok


def test_a_number_is_not_given_twice_and_what_is_gone_is_made_anew(root: Path) -> None:
    GoldCurator(root).rollback(to=1)
    purge(root, max_count=0)
    again = at_day(root, 11).promote_to_training("v5", dates=MONDAY)
    assert (again.status, again.version, again.reason) == (PromotionStatus.SUCCESS, 6, "")
    assert GoldReader(root).list_training_versions(NAME) == [1, 6]


def test_the_feature_version_is_kept_by_a_version_and_free_without(root: Path) -> None:
    kept = verdicts(purge(root, "silver", dry_run=True, max_count=0))
    assert kept["silver/features/v1"] == ("referenced", f"training set {NAME}@v000001")
    assert kept["silver/features/v5"] == ("referenced", f"training set {NAME}")
    purge(root, max_count=2)
    assert purge(root, "silver", max_count=0).deleted == [f"silver/features/v{number}" for number in (3, 2, 1)]
    (_, silver, date, *_) = Lineage(root).trace(f"{NAME}@4")
    assert (silver.detail, "retired" in date.detail) == ("1 date", False)


def test_a_feature_version_that_a_run_read_stays(root: Path) -> None:
    RunRegistry(root).register_run("fit", run_id="r", inputs=[f"silver/features/v1/date={MONDAY}/signals.parquet"])
    purge(root, max_count=0)
    report = purge(root, "silver", max_count=0)
    assert verdicts(report)["silver/features/v1"] == ("referenced", "input of run r")
    assert len(report.deleted) == 3


def test_what_a_killed_run_left_is_neither_listed_nor_readable_and_goes_with_the_next(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(retention_training.removed, "remove_rests", lambda folder: None)
        purge(root, max_count=1)
    assert (root / path_of(1) / "data.parquet").exists()
    assert GoldReader(root).list_training_versions(NAME) == [5]
    with pytest.raises(NoDataError, match="was removed by retention"):
        GoldReader(root).load_training_data(NAME, 1)
    assert verdicts(purge(root, dry_run=True, max_count=0)).keys() == {path_of(5)}
    assert (root / path_of(1)).exists()
    (root / f"gold/history/{NAME}/.tmp-document").write_bytes(b"half")
    purge(root, "cache", max_count=0)
    assert {path.name for path in (root / f"gold/history/{NAME}").iterdir() if path.suffix != ".json"} == {"v000005"}


def test_a_promotion_clears_rests_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(retention_training.removed, "remove_rests", lambda folder: None)
        purge(root, max_count=1)
    (root / f"gold/history/{NAME}/.tmp-document").write_bytes(b"half")
    at_day(root, 11).promote_to_training("v1", dates=MONDAY)
    found = {path.name for path in (root / f"gold/history/{NAME}").iterdir() if path.suffix != ".json"}
    assert found == {"v000005", "v000006"}


def test_a_damaged_removal_stops_everything(root: Path) -> None:
    purge(root, max_count=4)
    (root / f"{path_of(1)}.removed.json").write_text("{")
    with pytest.raises(UnreadableError, match=r"v000001\.removed\.json"):
        GoldReader(root).load_training_data(NAME, 1)


def test_what_a_killed_promotion_or_build_left_is_found_by_temp(root: Path) -> None:
    left = [root / "gold/training/.tmp-0123", root / "silver/features/v1/records/.tmp-89ab"]
    old_s = (BEGIN_NS + 9 * DAY_NS) / 1e9
    for path in left:
        path.write_bytes(b"half")
        os.utime(path, (old_s, old_s))
    young = root / "gold/training/.tmp-4567"
    young.write_bytes(b"half")
    now_s = (BEGIN_NS + 10 * DAY_NS) / 1e9
    os.utime(young, (now_s, now_s))
    assert purge(root, "temp", max_age_days=0.05).deleted == [str(path.relative_to(root)) for path in left]
    assert young.exists()
    assert not any(path.exists() for path in left)
    assert GoldCurator(root).validate_dataset().passed


def test_lineage_names_what_retention_removed_and_what_is_lost(root: Path) -> None:
    made = ArtifactStore(root).save_binary(b"model", "fit", "model")
    RunRegistry(root).register_run("fit", run_id="r", inputs=["silver/features/v2"])
    RunRegistry(root).attach_artifact("r", made)
    source = root / path_of(3) / "sources.json"
    document = json.loads(source.read_text())
    document["dates"][0]["silver"]["path"] = made.path
    source.write_text(json.dumps(document))
    (root / made.path).unlink()
    assert Lineage(root).trace(f"{NAME}@3")[2].detail.endswith(", missing")
    (root / "catalog/retention").mkdir()
    report = {"made_at": "2024-12-20", "failed": {}, "items": [
        {"path": made.path, "deletes": True, "verdict": "older_than_max_age"}]}  # fmt: skip
    (root / "catalog/retention/x.json").write_text(json.dumps(report))
    assert Lineage(root).trace(f"{NAME}@3")[2].detail.endswith(", retired 2024-12-20 (older_than_max_age)")
    assert Lineage(root).trace(made.path)[0].detail == "retired 2024-12-20 (older_than_max_age)"


def test_the_commands_know_training_sets(root: Path) -> None:
    def call(*words: str) -> list[dict[str, object]]:
        result = CliRunner().invoke(commands.app, [*words, "--output", "json", "--data", str(root)])
        assert result.exit_code == 0, result.output
        return [row for row in json.loads(result.stdout) if row["kind"].startswith("training_sets")]

    (line,) = call("ls")
    assert (line["files"], line["in_use"]) == (5, 1)
    assert sum(bool(row["deletes"]) for row in call("show", "training_sets", "--max-count", "2")) == 3
    assert GoldReader(root).list_training_versions(NAME) == [1, 2, 3, 4, 5]
    call("run", "training_sets", "--keep-last", "2", "--max-age-days", "0", "--apply")
    assert GoldReader(root).list_training_versions(NAME) == [4, 5]


def test_readers_of_the_current_version_do_not_notice(root: Path) -> None:
    frame = GoldReader(root).scan_training_data(NAME)
    before = frame.collect()
    purge(root, max_count=0)
    assert frame.collect().equals(before)
    assert pl.read_parquet(root / f"gold/training/{NAME}.parquet").equals(before)
