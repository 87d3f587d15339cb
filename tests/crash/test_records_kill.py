"""kill -9 on entry to every disk call of every write of the records: the old or the new value, never a torn file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from tests.crash import records_child
from tests.crash.records_child import NEW, OLD, documents

from ticklake.catalog.artifacts import ArtifactStore
from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.run_record import RunStatus
from ticklake.catalog.runs import RunRegistry
from ticklake.files import atomic
from ticklake.stores.parquet_files import load_parquet, save_parquet

CALLS = {
    "writev": 2,
    "fdatasync": 3,
    "fsync": 3,
    "rename": 1,
    "linkat": 1,
    "unlink": 1,
    "mkdir": 3,
    "flock": 1,
    "ftruncate": 1,
}
"""Disk call -> how often some write makes it at least; a test that kills less often than that kills nothing."""
HEAVY_CALLS = ("write", "rename", "fsync", "fchmod", "writev", "fdatasync", "unlink", "mkdir", "flock")
_COUNT_MAX = 60  # far beyond the calls of one write: a loop that does not end is a fault of the test


def kill_at(kind: str, folder: Path, call: str, count: int) -> int:
    """Run the child under strace; one bit for each scenario that was killed."""
    command = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        f"trace={call}",
        "-e",
        f"inject={call}:signal=SIGKILL:when={count}",
        sys.executable,
        "-B",
        records_child.__file__,
        kind,
        str(folder),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    assert 0 <= done.returncode < records_child.FAILED, done.stderr
    return done.returncode


def need_strace(folder: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    probe = ["strace", "-f", "-qq", "-o", str(folder / "probe"), "-e", "trace=write", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")


def make_light(folder: Path) -> None:
    atomic.replace(folder / "replace/file", OLD)
    atomic.replace(folder / "remove/file", OLD)
    atomic.append_line(folder / "append/log", OLD)
    atomic.append_line(folder / "torn/log", OLD)
    with (folder / "torn/log").open("ab") as log:
        log.write(b"torn")
    documents(folder).put("key", {"value": "old"})
    documents(folder / "index").put("key", {"value": "old"})


def check_light(folder: Path) -> None:
    assert (folder / "replace/file").read_bytes() in (OLD, NEW)
    assert not (folder / "new/deep/file").exists() or (folder / "new/deep/file").read_bytes() == NEW
    assert not (folder / "remove/file").exists() or (folder / "remove/file").read_bytes() == OLD
    atomic.append_line(folder / "append/log", b"next")
    atomic.append_line(folder / "torn/log", b"next")
    for log in ("append", "torn"):
        assert (folder / log / "log").read_bytes().split(b"\n") in ([OLD, b"next", b""], [OLD, NEW, b"next", b""])
    found = documents(folder)
    assert found.rows() in ([{"key": "key", "value": "old"}], [{"key": "key", "value": "new"}])
    assert found.get("key")["value"] == found.rows()[0]["value"]
    assert documents(folder / "index").rows() == [{"key": "key", "value": "old"}]
    for write in records_child.light(folder).values():
        if write is not None and not (folder / "new/deep/file").exists():
            write()  # what was killed can be done again
    assert found.put("key", {"value": "again"})["revision"] in (2, 3, 4)


@pytest.mark.parametrize("call", CALLS)
def test_a_kill_at_any_disk_call_leaves_the_old_or_the_new(tmp_path: Path, call: str) -> None:
    need_strace(tmp_path)
    for count in range(1, _COUNT_MAX):
        folder = tmp_path / str(count)
        make_light(folder)
        killed = kill_at("light", folder, call, count)
        check_light(folder)
        if not killed:
            assert count > CALLS[call]
            return
    pytest.fail("the child is killed for ever")


def test_the_name_of_a_log_that_a_killed_writer_made_is_synced_before_the_next_line_counts(tmp_path: Path) -> None:
    need_strace(tmp_path)
    log, trace = tmp_path / "logs/log", tmp_path / "trace"
    log.parent.mkdir()
    log.write_bytes(b"by a writer that died before it synced the folder\n")
    write = "import sys; from ticklake.files.atomic import append_line; append_line(sys.argv[1], b'x')"
    command = [
        "strace",
        "-qq",
        "-y",
        "-o",
        str(trace),
        "-e",
        "trace=fsync,fdatasync",
        sys.executable,
        "-B",
        "-c",
        write,
        str(log),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, check=True, env=environment, timeout=200)
    calls = trace.read_text()
    assert f"<{log}>" in calls
    assert f"<{log.parent}>" in calls


def make_heavy(folder: Path) -> None:
    old = pl.DataFrame({"at": range(10), "value": ["old"] * 10})
    save_parquet(old, folder / "parquet/x.parquet")
    ArtifactStore(folder).save_dataframe(old, "k", "x.parquet")
    DataRegistry(folder / "registry", folder).register_dataset("d", "parquet/x.parquet", "old")
    RunRegistry(folder).register_run("k", run_id="r")


def check_heavy(folder: Path) -> None:
    for path in ("parquet/x.parquet", "catalog/artifacts/k/x.parquet"):
        assert load_parquet(folder / path).to_dict(as_series=False) in (
            {"at": list(range(10)), "value": ["old"] * 10},
            {"at": list(range(1000)), "value": ["new"] * 1000},
        )
    registry = DataRegistry(folder / "registry", folder)
    info = registry.get_dataset_info("d")
    assert (info["instrument"], info["problem"]) in (("old", ""), ("new", ""))
    assert registry.list_datasets(info["instrument"]) == ["d"]
    run = RunRegistry(folder).get_run("r")
    assert (run.status, dict(run.outcome)) in ((RunStatus.RUNNING, {}), (RunStatus.FINISHED, {"value": "new"}))


@pytest.mark.parametrize("call", ["write", "rename"])
def test_a_kill_within_a_frame_or_a_record_leaves_the_old_or_the_new(tmp_path: Path, call: str) -> None:
    need_strace(tmp_path)
    for count in (1, 2):
        make_heavy(tmp_path / str(count))
        assert kill_at("heavy", tmp_path / str(count), call, count) or count > 1
        check_heavy(tmp_path / str(count))


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("call", HEAVY_CALLS)
def test_a_kill_at_every_call_within_a_frame_or_a_record(tmp_path: Path, call: str) -> None:
    need_strace(tmp_path)
    for count in range(1, _COUNT_MAX):
        make_heavy(tmp_path / str(count))
        killed = kill_at("heavy", tmp_path / str(count), call, count)
        check_heavy(tmp_path / str(count))
        if not killed:
            return
    pytest.fail("the child is killed for ever")
