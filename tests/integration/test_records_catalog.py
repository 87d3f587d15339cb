"""The catalog over a real lake: lineage, the commands, many processes at once, the examples of the originals."""

from __future__ import annotations

import json
import multiprocessing
import random
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.integration.small_lake import SmallLake, at, trade
from typer.testing import CliRunner

from ticklake.base.errors import NoDataError
from ticklake.catalog import ArtifactRef, DataRegistry, RunRegistry
from ticklake.catalog.artifacts import ArtifactStore
from ticklake.catalog.lineage import Lineage
from ticklake.cli import lineage, registry, retention, runs
from ticklake.files.errors import NotStoredError, PersistentStoreError
from ticklake.stores.parquet_files import load_parquet, save_parquet

APPS = {"registry": registry.app, "runs": runs.app, "lineage": lineage.app, "retention": retention.app}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two segments of trades; a run that reads them, saves an artifact and makes a dataset; a run that reads that."""
    lake = SmallLake(tmp_path)
    lake.add("futures.trades", [trade(at(14)), trade(at(14.1)), trade(at(15))])
    lake.add("futures.trades", [trade(at(16))])
    known, store = RunRegistry(tmp_path), ArtifactStore(tmp_path)
    first = known.register_run(
        "build", run_id="first", inputs=["bronze/futures/trades"], setup_id="s", rule_version="1"
    )
    ref = store.save_dataframe(pl.DataFrame({"x": [1.0]}), "features", "first__features.parquet")
    known.attach_artifact(first, ref)
    known.attach_dataset(first, "good")
    DataRegistry.of_lake(tmp_path).register_dataset("good", ref.path, "ES", tags=["daily"])
    known.finish(first)
    known.register_run("backtest", run_id="second", inputs=[ref.path], parent="first")
    known.fail("second", "no money")
    return tmp_path


def test_a_dataset_is_traced_to_the_sequences_of_the_stream(root: Path) -> None:
    steps = [(step.depth, step.kind, step.name) for step in Lineage(root).trace("good")]
    assert steps == [
        (0, "dataset", "good"),
        (1, "run", "first"),
        (2, "dataset", "bronze/futures/trades"),
        (3, "stream", "MARKET_DATA:0123abcd-market_data"),
    ]
    assert Lineage(root).trace("good")[-1].detail == "sequences 1 to 4 of life 1, 4 rows"
    assert [step.name for step in Lineage(root).trace("second")][:2] == ["second", "good"]
    assert Lineage(root).used_by("good") == ["second"]


def test_one_file_is_traced_to_its_own_sequences(root: Path) -> None:
    file = next((root / "bronze").rglob("hour=16/*.parquet"))
    assert Lineage(root).trace(str(file.relative_to(root)))[-1].detail == "sequences 4 to 4 of life 1, 1 row"


def test_what_nobody_knows_has_no_lineage(root: Path) -> None:
    with pytest.raises(NotStoredError, match="registry ls"):
        Lineage(root).trace("nothing")


def _call(root: Path, command: str, *arguments: str) -> Any:
    done = CliRunner().invoke(APPS[command], [*arguments, "--data", str(root)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_commands_speak_json(root: Path) -> None:
    names = ["bronze/futures/trades", "good"]
    assert [row["name"] for row in json.loads(_call(root, "registry", "ls", "-o", "json"))] == names
    assert [row["name"] for row in json.loads(_call(root, "registry", "ls", "--tag", "daily", "-o", "json"))] == [
        "good"
    ]
    assert [row["row_count"] for row in json.loads(_call(root, "registry", "export"))] == [4, 1]
    assert json.loads(_call(root, "registry", "show", "good"))["stale"] is False
    assert json.loads(_call(root, "registry", "refresh", "good"))["last_updated"]
    _call(root, "registry", "status", "good", "archived")
    assert json.loads(_call(root, "registry", "show", "good"))["status"] == "archived"
    assert [row["run_id"] for row in json.loads(_call(root, "runs", "ls", "-o", "json"))] == ["second", "first"]
    assert [row["run_id"] for row in json.loads(_call(root, "runs", "export", "--status", "failed"))] == ["second"]
    assert json.loads(_call(root, "runs", "show", "first"))["inputs"][0]["files"] == 3
    assert len(json.loads(_call(root, "lineage", "show", "good", "-o", "json"))) == 4
    assert {row["what"] for row in json.loads(_call(root, "lineage", "ls", "-o", "json"))} == {"artifact", "dataset"}
    assert {row["of"] for row in json.loads(_call(root, "lineage", "export"))} > {"good"}
    assert _call(root, "runs", "mark-crashed") == ""
    columns = _call(root, "runs", "ls").splitlines()[0].split()
    assert columns == ["run_id", "kind", "status", "started_at", "seconds", "error"]
    with pytest.raises(NoDataError, match="no such file"):
        CliRunner().invoke(lineage.app, ["used-by", "nope", "--data", str(root)], catch_exceptions=False)
    assert _call(root, "lineage", "used-by", "bronze", "-o", "json") == "[]\n"


@pytest.mark.parametrize("output", ["table", "csv"])
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("registry", ["ls"]),
        ("registry", ["export"]),
        ("runs", ["ls"]),
        ("runs", ["export"]),
        ("lineage", ["ls"]),
        ("lineage", ["show", "good"]),
        ("lineage", ["export"]),
        ("retention", ["ls"]),
        ("retention", ["export"]),
    ],
)
def test_the_commands_speak_tables_and_csv(root: Path, command: str, arguments: list[str], output: str) -> None:
    assert _call(root, command, *arguments, "-o", output).count("\n") > 1


def test_retention_deletes_only_when_told(root: Path) -> None:
    lonely = ArtifactStore(root).save_binary(b"12345", "k", "lonely")
    for arguments in (["show"], ["run"]):
        rows = json.loads(_call(root, "retention", *arguments, "artifacts", "--max-count", "0", "-o", "json"))
        assert {row["path"]: row["verdict"] for row in rows}[lonely.path] == "exceeds_max_count"
        assert (root / lonely.path).exists()
    _call(root, "retention", "run", "artifacts", "--max-count", "0", "--apply")
    assert not (root / lonely.path).exists()
    assert (root / "catalog/artifacts/features/first__features.parquet").exists()


def _mix(root: str, worker: int, calls: int) -> None:
    dice = random.Random(worker)
    datasets, known, store = DataRegistry.of_lake(root), RunRegistry(root), ArtifactStore(root)
    mine = known.register_run("k", run_id=f"run-{worker}")
    for number in range(calls):
        choice = dice.randrange(5)
        if choice == 0:
            datasets.register_dataset(f"shared-{number % 7}", "data.parquet", str(worker))
        elif choice == 1:
            datasets.register_dataset(f"own-{worker}-{number}", "data.parquet", str(worker))
        elif choice == 2:
            known.attach_dataset("shared", f"{worker}-{number}")
        elif choice == 3:
            store.save_json({"worker": worker}, "shared", f"{number % 7}.json")
        else:
            known.heartbeat(mine)
            assert len(datasets.list_datasets(instrument=str(worker))) <= calls
    known.finish(mine)


@pytest.mark.parametrize("calls", [40, pytest.param(1000, marks=[pytest.mark.nightly, pytest.mark.timeout(1200)])])
def test_eight_processes_lose_no_update_and_meet_no_error(tmp_path: Path, calls: int) -> None:
    save_parquet(pl.DataFrame({"x": [1]}), tmp_path / "data.parquet")
    RunRegistry(tmp_path).register_run("k", run_id="shared")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_mix, args=(str(tmp_path), worker, calls)) for worker in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    own, attached = [], []
    for worker in range(8):
        dice = random.Random(worker)
        for number in range(calls):
            choice = dice.randrange(5)
            own += [f"own-{worker}-{number}"] * (choice == 1)
            attached += [f"{worker}-{number}"] * (choice == 2)
    found = DataRegistry.of_lake(tmp_path)
    assert [name for name in found.list_datasets() if name.startswith("own-")] == sorted(own)
    assert list(RunRegistry(tmp_path).get_run("shared").datasets) == sorted(attached)
    assert len(RunRegistry(tmp_path).find_runs(status="finished")) == 8
    assert not list(tmp_path.rglob(".tmp-*"))


def test_the_example_of_the_research_persistence_runs_with_only_the_import_changed(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    DATA_DIR, REGISTRY_PATH = tmp_path / "data", tmp_path / "registry.json"  # noqa: N806 - the original's names
    index = pd.date_range("2024-09-01", periods=60, freq="D")
    save_parquet(
        pd.DataFrame({"spread": range(60), "volume": range(60)}, index=index), DATA_DIR / "raw" / "cdx_ig_5y.parquet"
    )

    # Create registry
    registry = DataRegistry(REGISTRY_PATH, DATA_DIR)

    # Register dataset
    registry.register_dataset(
        name='cdx_ig_5y',
        file_path=DATA_DIR / 'raw' / 'cdx_ig_5y.parquet',
        instrument='CDX.NA.IG',
        tenor='5Y'
    )  # fmt: skip

    # Load data with filtering
    df = load_parquet(
        DATA_DIR / 'raw' / 'cdx_ig_5y.parquet',
        start_date=pd.Timestamp('2024-10-01'),
        columns=['spread']
    )  # fmt: skip

    assert df["spread"].to_list() == list(range(30, 60))
    assert registry.get_dataset_info("cdx_ig_5y")["row_count"] == 60


def test_the_flow_of_the_persistent_store_design(tmp_path: Path) -> None:
    known, store = RunRegistry(tmp_path), ArtifactStore(tmp_path)
    run_id = known.register_run("backtest", setup_id="breakout", rule_version="1.2")
    artifact_ref = store.save_json({"pnl": 1}, "backtest_results", f"{run_id}__backtest_results.json")
    assert isinstance(artifact_ref, ArtifactRef)
    known.attach_artifact(run_id, artifact_ref)
    (found,) = known.find_runs(rule_version="1.2")
    assert store.load_json(found.artifacts[0]) == {"pnl": 1}
    with pytest.raises(PersistentStoreError):
        store.save_json({}, "backtest_results", f"{run_id}__backtest_results.json", overwrite=False)
