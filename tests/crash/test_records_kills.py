"""kill -9 on entry to each disk call of a write: every value is the old or the new one, and the next write works."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from tests.crash.harness_faults import check_strace_works
from tests.crash.records_writer import WRITES

from ticklake.stores.audit_records import AuditKind
from ticklake.stores.file_store import FileDataStore

CALLS = ("openat", "mkdir", "write", "writev", "ftruncate", "fsync", "fdatasync", "linkat", "link", "rename", "unlink")
EVER = (date(2000, 1, 1), date(2099, 1, 1))
BEFORE, AFTER = 1, 2  # writes that are there when the killed program starts; writes that it attempts in all
WRITER = Path(__file__).with_name("records_writer.py")


def stored_bars(store: FileDataStore) -> int:
    """The write in question replaces a bar of January and adds one of February: either month is old or new."""
    bars = store.read_bars("AAPL", *EVER)
    assert [bar.volume for bar in bars] == list(range(len(bars)))
    assert all(bar.close - bar.volume in (0, 1) for bar in bars)
    return int(bars[-1].volume)


def stored_facts(store: FileDataStore) -> int:
    values = [fact.value for fact in store.read_fact_history("AAPL")]
    assert values == list(range(1, len(values) + 1))
    return len(values)


def stored_fundamentals(store: FileDataStore) -> int:
    values = [one.employees for one in store.read_fundamental_history("AAPL")]
    assert values == list(range(1, len(values) + 1))
    return len(values)


def stored_events(store: FileDataStore) -> int:
    values = [event.payload["n"] for event in store.read_events(*EVER)]
    assert values == list(range(1, len(values) + 1))
    return len(values)


def stored_state(store: FileDataStore) -> int:
    found = store.read_strategy_state("value")
    assert found is not None
    assert found.state == {"n": found.version}
    return found.version


def stored_decisions(store: FileDataStore) -> int:
    report = store.verify_audit(AuditKind.DECISIONS)
    assert report.is_ok, report.problems
    words = [one.decision.reasoning for one in store.read_decisions()]
    assert words == [f"decision {number}" for number in range(1, len(words) + 1)]
    return len(words)


STORED: dict[str, Callable[[FileDataStore], int]] = dict(
    zip(
        WRITES,
        (stored_bars, stored_facts, stored_fundamentals, stored_events, stored_state, stored_decisions),
        strict=True,
    )
)


def write(base: Path, kind: str, first: int, last: int, *prefix: str) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, str(WRITER), str(base), kind, str(first), str(last)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "POLARS_MAX_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)


def kill_points(begun: Path, base: Path, kind: str, trace: Path) -> list[tuple[str, int]]:
    """Every disk call that the main thread of a healthy run makes on the store: name, and number among its like."""
    shutil.copytree(begun, base)
    look = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-o", str(trace), f"--trace={','.join(CALLS)}"]
    done = write(base, kind, BEFORE + 1, AFTER, *look)
    assert done.returncode == 0, done.stderr
    counts, points, main = Counter[str](), [], ""
    for line in trace.read_text(errors="replace").splitlines():
        thread, _, call = line.partition(" ")
        main = main or thread
        name = call.lstrip().partition("(")[0]
        if thread == main and name in CALLS:
            counts[name] += 1
            if str(base) in line:
                points.append((name, counts[name]))
    return points


def kill_at(tmp_path: Path, kind: str, *, points_max: int | None = None) -> None:
    check_strace_works(tmp_path)
    begun, trace = tmp_path / "begun", tmp_path / "trace"
    assert write(begun, kind, 1, BEFORE).returncode == 0
    points = kill_points(begun, tmp_path / "healthy", kind, trace)
    assert len(points) > 8
    if points_max is not None:
        points = random.Random(kind).sample(points, points_max)
    kills = 0
    for number, (call, when) in enumerate(points):
        base = tmp_path / f"killed-{number}"
        shutil.copytree(begun, base)
        faults = f"--inject={call}:signal=SIGKILL:when={when}"
        done = write(base, kind, BEFORE + 1, AFTER, "strace", "-f", "-qq", "-o", str(trace), f"--trace={call}", faults)
        told = max((int(line) for line in done.stdout.split()), default=BEFORE)
        store = FileDataStore(base)
        there = STORED[kind](store)
        assert there in (told, told + 1), f"killed at {call} {when}: {there} are there, {told} were told"
        kills += done.returncode != 0
        for missing in range(there + 1, AFTER + 2):
            WRITES[kind](store, missing)
        assert STORED[kind](store) == AFTER + 1, f"after a kill at {call} {when}"
        shutil.rmtree(base)
    assert kills > len(points) / 2, "the faults did not hit"


@pytest.mark.parametrize("kind", sorted(WRITES))
def test_a_kill_at_a_sampled_disk_call_leaves_the_old_or_the_new(tmp_path: Path, kind: str) -> None:
    kill_at(tmp_path, kind, points_max=2)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", sorted(WRITES))
def test_a_kill_at_any_disk_call_leaves_the_old_or_the_new(tmp_path: Path, kind: str) -> None:
    kill_at(tmp_path, kind)
