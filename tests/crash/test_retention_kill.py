"""kill -9 on entry to every disk call of a retention run: the books balance, and the next run finishes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.crash import retention_child
from tests.crash.test_records_kill import need_strace
from tests.integration.small_lake import DAY_NS, IDENTITY, TABLES, SmallLake, at, trade
from tests.unit.gold.small_version import MONDAY, lay_version, rows_of

from ticklake.base.errors import NoDataError
from ticklake.gold.curator import GoldCurator
from ticklake.readers.verify import verify_lake

NAME = "set"
NOW_NS = at(0, day=10)
QUICK = {"unlink": 7, "linkat": 4, "fsync": 3, "rename": 3, "unlinkat": 3}
"""Disk call -> how many kills at it the default run makes; the nightly run makes all."""
CALLS = ("writev", "fdatasync", "fsync", "linkat", "unlink", "unlinkat", "mkdir", "rename", "flock", "rmdir")
_COUNT_MAX = 60


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days of trades in four files, a feature version, and three versions of a training set, of others."""
    small = SmallLake(tmp_path_factory.mktemp("lake"))
    for day in range(2):
        small.add("futures.trades", [trade(at(14.1, day=day)), trade(at(15.2, day=day))])
    (small.root / "_state").mkdir()
    (small.root / "_state/IDENTITY").write_text(IDENTITY)
    version = small.root / "silver/features/v1"
    (version / "date=2024-12-16").mkdir(parents=True)
    (version / "date=2024-12-16/signals.parquet").write_bytes(b"rows")
    (version / "state.json").write_text(json.dumps({"state": "complete"}))
    for count in (110, 120, 130):
        lay_version(small.root, f"set{count}", {MONDAY: rows_of(MONDAY, count)})
        GoldCurator(small.root).promote_to_training(f"set{count}", NAME, dates=MONDAY)
    return small.root


def kill_each(folder: Path, call: str, kills: int) -> int:
    """Kill the retention of lake `folder/n` at its n-th call; how many were killed."""
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={kills}"]
    child = [sys.executable, "-B", retention_child.__file__, str(folder), call, str(kills), str(NOW_NS)]
    command = ["strace", "-f", "-qq", "-o", "/dev/null", *inject, *child]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "POLARS_MAX_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    assert 0 <= done.returncode <= kills, done.stderr
    return done.returncode


def check(root: Path) -> None:
    """What a killed run left is whole; the next run finishes; the books say what is retired."""
    report = verify_lake(root, root / "_state", tables=TABLES, deep=True)
    assert report.is_ok, report.problems
    (book,) = report.books
    assert report.rows + book.retired_rows == book.stored_rows == 4
    assert check_training_set(root) >= {3}
    version = root / "silver/features/v1"
    assert not version.exists() or (version / "date=2024-12-16/signals.parquet").exists()
    retention_child.main(root, NOW_NS + DAY_NS)
    report = verify_lake(root, root / "_state", tables=TABLES, deep=True)
    assert report.is_ok, report.problems
    assert (report.files, report.leaving, report.books[0].retired_rows) == (0, (), 4)
    assert not version.exists()
    assert check_training_set(root) == {3}
    history = root / f"gold/history/{NAME}"
    assert {path.name for path in history.iterdir()} == {"v000001.removed.json", "v000002.removed.json", "v000003"}


def check_training_set(root: Path) -> set[int]:
    """Whatever is listed is whole, and what is not is refused as removed; gives what is listed."""
    curator = GoldCurator(root)
    listed = {line["version"] for line in curator.list_versions(NAME)}
    assert all(curator.validate_dataset(NAME, number).passed for number in listed)
    for number in {1, 2, 3} - listed:
        with pytest.raises(NoDataError, match="removed by retention"):
            curator.load_training_data(NAME, number)
    return listed


def explore(pattern: Path, folder: Path, call: str, kills: int) -> int:
    """Kill at the first, second, ... call; how many kills there were."""
    for number in range(1, kills + 1):
        shutil.copytree(pattern, folder / str(number))
    killed = kill_each(folder, call, kills)
    for number in range(1, kills + 1):
        check(folder / str(number))
    return killed


@pytest.mark.parametrize("call", QUICK)
def test_a_kill_within_a_retention_run_loses_nothing(pattern: Path, tmp_path: Path, call: str) -> None:
    need_strace(tmp_path)
    assert explore(pattern, tmp_path, call, QUICK[call]) == QUICK[call]


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("call", CALLS)
def test_a_kill_at_every_call_of_a_retention_run(pattern: Path, tmp_path: Path, call: str) -> None:
    need_strace(tmp_path)
    assert 0 < explore(pattern, tmp_path, call, _COUNT_MAX) < _COUNT_MAX
