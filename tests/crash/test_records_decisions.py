"""kill -9 on entry to each disk call of each write: the old or the new value, never half of one, and all is found."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.crash.decision_writer import ORDER, OTHER, prepare, write
from tests.crash.harness_faults import check_strace_works, need_tool

from ticklake.stores.decisions import DecisionStore
from ticklake.stores.timeseries import TimeSeriesDataStore

ROOT = Path(__file__).parents[2]
CALLS = (
    "openat", "write", "writev", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "link", "linkat", "unlink",
    "mkdir", "flock", "fcntl",
)  # fmt: skip
SAMPLE = {"save": 3, "update": 5, "delete": 4, "order": 2, "append": 2}
"""So many of the calls of each write by default, evenly spread; every call in the nightly run."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("before")
    check_strace_works(folder)
    prepare(folder / "state")
    return folder / "state"


@pytest.mark.parametrize("what", SAMPLE)
def test_a_kill_at_a_sampled_disk_call_leaves_the_old_or_the_new(prepared: Path, tmp_path: Path, what: str) -> None:
    points = calls_of(what, prepared, tmp_path)
    sample = [points[(2 * number + 1) * len(points) // (2 * SAMPLE[what])] for number in range(SAMPLE[what])]
    outcomes = {kill_at(point, what, prepared, tmp_path / f"{number}") for number, point in enumerate(sample)}
    assert outcomes <= {"old", "new"}


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", SAMPLE)
def test_a_kill_at_every_disk_call_leaves_the_old_or_the_new(prepared: Path, tmp_path: Path, what: str) -> None:
    points = calls_of(what, prepared, tmp_path)
    outcomes = {kill_at(point, what, prepared, tmp_path / f"{number}") for number, point in enumerate(points)}
    assert outcomes == {"old", "new"}, "some kills must come before the decision and some after it"


def calls_of(what: str, prepared: Path, scratch: Path) -> list[tuple[str, int]]:
    """Every disk call of a write that touches its folder: name, and how many of that name the process made before."""
    folder, trace = scratch / "traced", scratch / "trace"
    shutil.copytree(prepared, folder)
    done = run(what, folder, ["-o", str(trace), "-y", "-e", f"trace={','.join(CALLS)}"])
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = {}
    points = []
    for line in trace.read_text(errors="replace").splitlines():
        if match := re.match(r"(?:\d+\s+)?(\w+)\(", line):
            counts[match[1]] = counts.get(match[1], 0) + 1
            if str(folder) in line:
                points.append((match[1], counts[match[1]]))
    assert len(points) > 5, "the trace shows no write"
    return points


def kill_at(point: tuple[str, int], what: str, prepared: Path, folder: Path) -> str:
    """Whether the write happened, after a kill on entry to a call; everything stored must be whole and found."""
    shutil.copytree(prepared, folder)
    call, count = point
    words = ["-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={count}"]
    done = run(what, folder, words)
    assert done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL), f"{what} at {point}: {done.stderr}"
    outcome = check(what, folder, f"{what}, killed at {call} {count}")
    check_usable(what, folder)
    shutil.rmtree(folder)
    return outcome


def run(what: str, folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    writer = [sys.executable, "-m", "tests.crash.decision_writer", str(folder), what]
    command = [need_tool("strace"), "-q", *words, *writer]
    path = os.pathsep.join([str(ROOT / "backend"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "POLARS_MAX_THREADS": "1"}
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=200)


def check(what: str, folder: Path, where: str) -> str:
    store = DecisionStore({"storage_path": folder / "decisions"})
    first, second = store.get_decision_by_id("d-1"), store.get_decision_by_id("d-2")
    entries = TimeSeriesDataStore(folder / "series").load_data("BTCUSD", damaged="raise")
    assert store.unreadable() == {}, where
    is_new = {
        "save": second is not None,
        "update": first is not None and first["status"] == "new",
        "delete": first is None,
        "order": bool(first is not None and store.get_trail("d-1").orders),
        "append": len(entries) == 2,
    }[what]
    alive = [record for record in (first, second) if record is not None]
    assert store.get_decision_count() == len(alive), where
    assert sorted(record["id"] for record in store.get_decisions()) == sorted(record["id"] for record in alive), where
    if second is not None:
        assert second.items() >= OTHER.items(), where
    if first is not None:
        letter = "n" if first["status"] == "new" else "o"
        assert first["fill"] == letter * 5000, where
        pair = "ETHUSD" if letter == "n" else "BTCUSD"
        assert [record["id"] for record in store.get_decisions(pair)] == ["d-1"], where
    kept = [record["status"] for record in store.get_history("d-1") if "status" in record]
    assert kept == (["old", "new"] if first is not None and first["status"] == "new" else ["old"]), where
    if what == "order" and is_new:
        assert store.get_trail("d-1").orders[0].body == ORDER, where
    store.close()
    return "new" if is_new else "old"


def check_usable(what: str, folder: Path) -> None:
    """The same write again, by somebody who lives, gives the new state."""
    write(folder, what)
    store = DecisionStore({"storage_path": folder / "decisions"})
    assert {
        "save": lambda: store.get_decision_by_id("d-2") is not None,
        "update": lambda: store.get_decision_by_id("d-1")["status"] == "new",
        "delete": lambda: store.get_decision_by_id("d-1") is None,
        "order": lambda: len(store.get_trail("d-1").orders) == 1,
        "append": lambda: TimeSeriesDataStore(folder / "series").load_data("BTCUSD", damaged="raise")[-1]["n"] == 2,
    }[what]()
    store.close()
