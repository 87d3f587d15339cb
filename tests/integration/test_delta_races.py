"""The Delta export against others and against kill -9: a log that is whole, and each file entered once."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from deltalake import DeltaTable
from tests.integration.delta_lake import TABLE, entries, export, lay_lake, log_folder, purge, rows_of_lake, rows_of_log
from tests.integration.small_lake import SmallLake, at, trade

from ticklake.readers.delta import export_delta
from ticklake.readers.delta_files import Addition, TableFile
from ticklake.readers.delta_log import DeltaLog
from ticklake.readers.lake import open_lake

COMMIT = "_delta_log/00000000000000000002.json"
KILLS = [
    ("linkat", 1, COMMIT),  # new files are linked, and the commit is about to get its name
    ("unlink", 1, f"{COMMIT}#1"),  # it has its name, and is not yet durable
]
CALLS = ("linkat", "fsync", "unlink", "mkdir")


@pytest.fixture
def small(tmp_path: Path) -> SmallLake:
    return lay_lake(tmp_path)


def test_an_export_that_lost_the_race_enters_nothing(small: SmallLake) -> None:
    small.add(TABLE, [trade(at(9))])
    relation, uri = open_lake(small.root).relation(TABLE), str(small.root / "log")
    log = DeltaLog.create(uri, relation, {})
    other = DeltaLog.create(uri, relation, {})  # the second finds the first one's
    file = TableFile("p", "symbol=ES/p", {"symbol": "ES", "date": "2024-12-16", "hour": "9"}, 1, 1, 0)
    add = {"symbol=ES/p": Addition(file, "{}")}
    assert log.commit(relation, add, {}, now_ms=0)
    assert not other.commit(relation, add, {}, now_ms=0)
    assert entries(Path(uri), "add") == {"symbol=ES/p": 1}


def test_two_processes_at_once_enter_each_file_once(small: SmallLake) -> None:
    rounds, context = 4, multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    racer = context.Process(target=_race, args=(str(small.root), rounds, barrier))
    racer.start()
    for number in range(rounds):
        for _ in range(10):
            small.add(TABLE, [trade(at(hour, day=number)) for hour in range(2)])
        barrier.wait(200)
        export(small)
        barrier.wait(200)
    racer.join(200)
    assert racer.exitcode == 0
    added = entries(log_folder(small.root), "add")
    assert (len(added), set(added.values())) == (20 * rounds, {1})
    assert rows_of_log(small.root).equals(rows_of_lake(small.root))


def _race(root: str, rounds: int, barrier: Barrier) -> None:
    for _ in range(rounds):
        barrier.wait(200)
        export_delta(root, open_lake(root).relation(TABLE))
        barrier.wait(200)


def lay_change(small: SmallLake) -> None:
    """A log that must change: four files in it, of which retention took two, and four new ones."""
    for day in range(2):
        small.add(TABLE, [trade(at(9, day=day)), trade(at(10, day=day))])
    export(small)
    purge(small, days=9.2)  # the first day goes
    for hour in (11, 12):
        small.add(TABLE, [trade(at(hour, day=1)), trade(at(hour + 4, day=1))])


def start_killed(root: Path, call: str, count: int, path: str) -> subprocess.Popen[bytes]:
    """The command, killed as one of its threads enters a call for the n-th time (on that file of the log only)."""
    only = ["-P", f"{log_folder(root)}/{path}"] if path else []
    inject = [*only, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={count}"]
    command = [sys.executable, "-B", "-m", "ticklake", "export", "delta", TABLE, "--data", str(root)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", *inject, *command], env=environment)


def check_goes_on(small: SmallLake) -> None:
    """The log has the commit or not; the next export brings it to where it should be, and enters no file twice."""
    log = log_folder(small.root)
    is_committed = (log / COMMIT).exists()
    assert DeltaTable(str(log)).version() == 1 + is_committed
    if is_committed:
        assert rows_of_log(small.root).equals(rows_of_lake(small.root))
    done = export(small)
    assert done.files == 6
    assert set(entries(log, "add").values()) == set(entries(log, "remove").values()) == {1}
    assert len(list(log.rglob("hour=*/*.parquet"))) == 6
    assert rows_of_log(small.root).equals(rows_of_lake(small.root))


def test_a_kill_leaves_a_whole_log_and_the_next_export_goes_on(small: SmallLake) -> None:
    lay_change(small)
    lakes = [SmallLake(shutil.copytree(small.root, small.root.parent / str(number))) for number in range(len(KILLS))]
    children = [start_killed(lake.root, *kill) for lake, kill in zip(lakes, KILLS, strict=True)]
    assert [child.wait(200) for child in children] == [-9] * len(KILLS)  # each call was reached
    assert [(log_folder(lake.root) / COMMIT).exists() for lake in lakes] == [False, True]
    for lake in lakes:
        check_goes_on(lake)


@pytest.mark.nightly
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("count", range(1, 10))
def test_a_kill_anywhere_leaves_a_whole_log(small: SmallLake, call: str, count: int) -> None:
    lay_change(small)
    assert start_killed(small.root, call, count, "").wait(200) in (0, -9)
    check_goes_on(small)
