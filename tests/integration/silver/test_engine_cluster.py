"""The same build on a Dask cluster of two processes, one of them killed in the middle of its work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import distributed
import pytest
from tests.integration.silver.test_engine_build import sums
from tests.integration.silver.thin_market import DAYS, lay_thin_market, levels
from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.base.errors import UnavailableError, UsageError
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.crew import check_scheduler
from ticklake.silver.result import DateResult

WAIT_S = 200


def start(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", f"distributed.cli.dask_{name.partition('-')[0]}", *arguments],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler, and its two worker processes."""
    place = folder / "scheduler.json"
    scheduler = start(
        folder, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(place)
    )
    processes = [scheduler]
    try:
        until_s = time.monotonic() + WAIT_S
        while not place.exists() or not place.read_text().strip():
            assert time.monotonic() < until_s, (folder / "scheduler.log").read_text()
            time.sleep(0.05)
        address = json.loads(place.read_text())["address"]
        options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        workers = [start(folder, f"worker-{n}", address, *options) for n in range(2)]
        processes += workers
        yield address, workers
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


@dataclass
class Killer:
    """Kills a worker in the middle of the date that it builds."""

    address: str
    killed: str = ""

    def __call__(self, item: DateResult, done: int, total: int) -> None:
        """After a date is published: freeze whoever is at another one, see that it was not done, and kill."""
        if self.killed:
            return
        with distributed.Client(self.address, set_as_default=False) as client:
            for worker, (pid, tasks) in client.run(at_work).items():
                if not tasks:
                    continue
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.2)  # for what it had said before to arrive
                if tasks[0] in client.processing()[worker]:
                    self.killed = tasks[0]
                    os.kill(pid, signal.SIGKILL)
                    return
                os.kill(pid, signal.SIGCONT)


def at_work(dask_worker: distributed.Worker) -> tuple[int, list[str]]:
    """Its process, and what it runs at this moment."""
    return os.getpid(), [task.key for task in dask_worker.state.executing]


def test_es_levels_on_two_workers_over_tcp_and_one_killed_within_a_date_gives_the_same_bytes(tmp_path: Path) -> None:
    lake = lay_thin_market(tmp_path / "here", DAYS[:3])
    shutil.copytree(lake.root, tmp_path / "there")
    assert SilverFeatureBuilder(lake.root).build_feature_set(levels(), DAYS[:3]).certificate_passed
    with cluster(tmp_path) as (address, workers):
        killer = Killer(address)
        result = SilverFeatureBuilder(tmp_path / "there").build_feature_set(
            levels(), DAYS[:3], scheduler=address, progress=killer
        )
        assert Path(killer.killed).name in map(str, DAYS[:3]), "the killed worker was at a date"
        assert sorted(worker.poll() is None for worker in workers) == [False, True]
    assert (result.status, result.errors, result.certificate_passed) == ("complete", (), True)
    assert sums(tmp_path / "there", "levels") == sums(lake.root, "levels")


@pytest.mark.parametrize("address", ["tcp://192.0.2.7:8786", "tcp://no-such-host.invalid:8786"])
def test_a_scheduler_elsewhere_cannot_see_this_disk(tmp_path: Path, address: str) -> None:
    toy_lake(tmp_path, 1)
    with pytest.raises(UsageError, match="is another machine and the data root is a folder of this one"):
        SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest(), scheduler=address)
    assert not (tmp_path / "silver").exists()


def test_an_address_that_is_none_is_refused() -> None:
    for text in ("8786", "localhost:8786", "tcp://"):
        with pytest.raises(UsageError, match="is no address"):
            check_scheduler(text)
    check_scheduler("tcp://127.0.0.1:8786")


def test_a_scheduler_that_does_not_answer_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticklake.silver.crew._CONNECT_TIMEOUT_S", 1)
    toy_lake(tmp_path, 1)
    with pytest.raises(UnavailableError, match="no Dask scheduler answers"):
        SilverFeatureBuilder(tmp_path).build_feature_set(toy_manifest(), scheduler="tcp://127.0.0.1:9")
