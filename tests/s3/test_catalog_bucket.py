"""The catalog in a bucket: tests that were written for a folder, as they stand, and what only a bucket asks for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.s3.laid import let_reach, let_write
from tests.unit.catalog.test_artifacts import (  # noqa: F401 - run here, where `tmp_path` is a bucket
    store,
    test_a_changed_or_missing_file_is_noticed_by_every_load,
    test_a_forged_reference_leads_nowhere,
    test_no_name_leads_out_of_the_root,
    test_overwriting_is_the_default_and_can_be_refused,
    test_what_is_saved_comes_back_by_its_reference,
)
from tests.unit.catalog.test_document_folder import (  # noqa: F401
    test_a_change_based_on_an_old_revision_is_refused,
    test_a_foreign_document_is_named,
    test_documents_come_back_with_a_revision,
    test_the_index_is_made_anew_when_it_is_missing_damaged_or_stale,
)

from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.document_folder import DocumentFolder
from ticklake.catalog.inputs import fix_input
from ticklake.catalog.lineage import Lineage
from ticklake.catalog.provenance import RunProvenance
from ticklake.catalog.rules import RuleRegistry
from ticklake.catalog.run_record import RunStatus
from ticklake.catalog.runs import RunRegistry
from ticklake.files.atomic import replace
from ticklake.files.errors import AlreadyStoredError, NotStoredError
from ticklake.files.frames import write_frame
from ticklake.files.object_lock import locked_object
from ticklake.files.object_path import ObjectPath
from ticklake.files.trees import list_folders, list_names, walk_files
from ticklake.testing.s3_server import S3Server

COUNT = """
import sys
from ticklake.catalog.document_folder import DocumentFolder
from ticklake.files.place import place_of
things = DocumentFolder(place_of(sys.argv[1]) / "things", form="test.thing/1", fields=("colour",))
print("ready", flush=True)
sys.stdin.readline()
for number in range(8):
    things.change("shared", lambda old: {**old, "count": old["count"] + 1})
    things.create(f"{sys.argv[2]}-{number}", {"colour": sys.argv[2]})
"""


@pytest.fixture(autouse=True)
def _reached(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    let_reach(s3_server, monkeypatch, tmp_path_factory.mktemp("home"))
    let_write(monkeypatch)


@pytest.fixture
def tmp_path(bucket: ObjectPath) -> ObjectPath:
    return bucket


def things_in(place: ObjectPath) -> DocumentFolder:
    return DocumentFolder(place / "things", form="test.thing/1", fields=("colour",))


def table() -> object:
    return pl.DataFrame({"timestamp": [1, 2, 3], "x": [1.0, None, 3.0]}).to_arrow()


def test_processes_lose_no_update(bucket: ObjectPath) -> None:
    things = things_in(bucket)
    things.create("shared", {"count": 0})
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT, str(bucket), str(worker)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for worker in range(2)
    ]  # fmt: skip
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n", worker.communicate()[1]
    for worker in workers:
        out, err = worker.communicate("go\n", timeout=200)
        assert (worker.returncode, out, err) == (0, "", "")
    assert things.get("shared")["count"] == 16
    assert things.get("shared")["revision"] == 17
    assert len(things.rows()) == 17


def test_a_listing_reads_only_what_changed(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    things = things_in(bucket)
    for number in range(5):
        things.create(f"a{number}", {"colour": "red"})
    assert len(things.rows()) == 5
    asked: list[str] = []

    def hear(operation: str, result: str, _seconds: float) -> None:
        asked.extend([operation] if result == "ok" else [])  # a busy store may have to be asked again

    monkeypatch.setattr(bucket.store, "observe", hear)
    assert len(things.rows()) == 5
    assert asked == ["list"]
    things_in(bucket).put("a3", {"colour": "blu"})  # as long as before, within the same second
    asked.clear()
    assert [row["colour"] for row in things.rows()] == ["red", "red", "red", "blu", "red"]
    assert sorted(asked) == ["get", "list", "put"]
    asked.clear()
    assert [row["colour"] for row in things_in(bucket).rows()] == ["red", "red", "red", "blu", "red"]
    assert sorted(asked) == ["get", "list"]  # the index that the other one stored


def test_nothing_is_written_by_asking(bucket: ObjectPath) -> None:
    assert things_in(bucket).rows() == []
    assert RunRegistry(bucket).find_runs() == []
    assert DataRegistry.of_lake(bucket).list_datasets() == []
    assert not bucket.is_dir()


def test_datasets_are_registered_found_and_forgotten(bucket: ObjectPath) -> None:
    registry = DataRegistry.of_lake(bucket)
    write_frame(table(), bucket / "data/raw/x.parquet")
    entry = registry.register_dataset("x", "data/raw/x.parquet", "ES", tags=["a"])
    assert (entry.file_path, entry.stats.row_count, entry.stats.null_counts["x"]) == ("data/raw/x.parquet", 3, 1)
    assert registry.register_dataset("y", bucket / "data/raw/x.parquet").file_path == "data/raw/x.parquet"
    assert registry.register_dataset("z", "data/gone.parquet").problem
    assert registry.list_datasets("ES", tags=["a"]) == ["x"]
    assert not registry.is_stale("x")
    write_frame(table().slice(0, 1), bucket / "data/raw/x.parquet")  # type: ignore[attr-defined]
    assert registry.is_stale("x")
    assert registry.update_dataset_stats("x").stats.row_count == 1
    with pytest.raises(AlreadyStoredError):
        registry._folder.create("x", {})
    registry.remove_dataset("x", delete_file=True)
    assert registry.list_datasets() == ["y", "z"]
    assert not (bucket / "data/raw/x.parquet").exists()
    with pytest.raises(KeyError):
        registry.get_dataset_info("x")


def test_what_lies_on_the_shelves_is_there_by_itself(bucket: ObjectPath) -> None:
    write_frame(table(), bucket / "bronze/futures/trades/symbol=ES/date=2024-12-16/hour=14/part-1.parquet")
    replace(bucket / "silver/features/v1/manifest.yaml", b"version: v1\n")
    replace(bucket / "silver/features/v1/state.json", b'{"state": "complete"}')
    replace(bucket / "silver/features/v2/manifest.yaml", b"version: v2\n")
    replace(bucket / "silver/features/v2/state.json", b'{"state": "building"}')
    write_frame(table(), bucket / "gold/training/signals.parquet")
    registry = DataRegistry.of_lake(bucket)
    assert registry.list_datasets() == ["bronze/futures/trades", "gold/training/signals", "silver/features/v1"]
    assert registry.list_datasets("ES") == ["bronze/futures/trades"]
    assert registry.get_dataset_entry("bronze/futures/trades").stats.row_count == 3


def test_runs_rules_and_where_things_come_from(bucket: ObjectPath) -> None:
    replace(bucket / "in/a.csv", b"1")
    replace(bucket / "in/b/c.csv", b"2")
    runs, rules = RunRegistry(bucket), RuleRegistry(bucket)
    rules.register_rule_version("setup", "1", {"stop": 4})
    with pytest.raises(AlreadyStoredError):
        rules.register_rule_version("setup", "1", {"stop": 5})
    assert rules.latest("setup").rules == {"stop": 4}
    run_id = runs.register_run("backtest", inputs=["in", "in/a.csv"], setup_id="setup", rule_version="1")
    runs.heartbeat(run_id)
    assert [run.status for run in runs.find_runs()] == [RunStatus.RUNNING]
    runs.attach_dataset(run_id, "curves")
    runs.finish(run_id, {"pnl": 1})
    with pytest.raises(NotStoredError):
        runs.register_run("backtest", inputs=["in/gone.csv"])
    found = runs.find_runs(status="finished")[0]
    assert [(item.path, item.files, item.bytes) for item in found.inputs] == [("in", 2, 2), ("in/a.csv", 1, 1)]
    steps = [(step.kind, step.name) for step in Lineage(bucket).trace(run_id)]
    assert steps == [("run", run_id), ("file", "in"), ("file", "in/a.csv")]
    provenance = RunProvenance(bucket)
    provenance.create_snapshot(run_id, "setup", "1", data_path=str(bucket / "in/a.csv"))
    assert provenance.verify_data_hash(run_id, bucket / "in/a.csv")
    replace(bucket / "in/a.csv", b"3")
    assert provenance.changed_inputs(run_id) == ["in/a.csv"]


def test_inputs_have_the_hash_of_the_same_files_on_a_disk(
    bucket: ObjectPath, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("disk")
    for name in ("a/x", "a-b/x", "a.csv", "a/y z"):
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(name.encode())
        replace(bucket / "in" / name, name.encode())
    found = fix_input(bucket, "in")
    assert found == fix_input(folder, "in")
    digest = hashlib.sha256()
    for path in sorted(path for path in (folder / "in").rglob("*") if path.is_file()):  # as it always was
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(folder / 'in')}\0{content}\n".encode())
    assert (found.files, found.sha256) == (4, digest.hexdigest())


def test_a_lock_of_a_killed_process_is_free_at_once(bucket: ObjectPath) -> None:
    hold = "import sys, time\nfrom ticklake.files.atomic import locked\nfrom ticklake.files.place import place_of\n"
    hold += "with locked(place_of(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(600)\n"
    holder = subprocess.Popen([sys.executable, "-c", hold, str(bucket / "x")], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.communicate()
    with locked_object(bucket / "x", lease_s=1e6):  # who had to wait for the end of a lease would never come in
        pass


def test_a_folder_of_a_bucket_is_listed_like_one_of_a_disk(
    bucket: ObjectPath, tmp_path_factory: pytest.TempPathFactory
) -> None:

    folder = tmp_path_factory.mktemp("disk")
    for name in ("b/two", "a", ".hidden", "b/c/three", ".dark/four"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Path(folder / name).write_bytes(name.encode())
        replace(bucket / name, name.encode())
    assert list_names(bucket) == list_names(folder)
    assert [path.name for path in list_folders(bucket)] == [path.name for path in list_folders(folder)] == ["b"]
    assert [(file.path, file.bytes) for file in walk_files(bucket, "b")] == [
        (file.path, file.bytes) for file in walk_files(folder, "b")
    ]
