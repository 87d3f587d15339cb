"""Eight processes on one store: mixed writes, no lost update, no error, conflicts where compare-and-set is asked."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from tests.integration.records_racer import FIRST, PROCESSES, plan

from ticklake.stores.audit_records import AuditKind
from ticklake.stores.file_store import FileDataStore

EVER = (date(2000, 1, 1), date(2099, 1, 1))
RACER = Path(__file__).with_name("records_racer.py")


def race(base: Path, writes: int) -> int:
    """Run all processes; gives how many conflicts they met."""
    command = [sys.executable, str(RACER), str(base), str(writes)]
    environment = {"PYTHONPATH": ":".join(sys.path), "POLARS_MAX_THREADS": "1", "PATH": ""}
    runs = [
        subprocess.Popen(
            [*command, str(number)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    conflicts = 0
    for run in runs:
        out, problems = run.communicate(timeout=200)
        assert run.returncode == 0, problems
        assert problems == ""
        conflicts += int(out)
    return conflicts


def check_nothing_is_lost(tmp_path: Path, writes: int) -> None:
    conflicts = race(tmp_path, writes)
    store = FileDataStore(tmp_path)
    expected = plan(writes)
    bars = store.read_bars("AAPL", *EVER, timeframe="1m")
    assert len(bars) == PROCESSES * expected["bar"]
    assert bars[0].date == FIRST
    assert store.count_facts() == {"AAPL": PROCESSES * expected["fact"]}
    assert store.count_fundamentals() == {"AAPL": PROCESSES * expected["fundamental"]}
    events = store.read_events(*EVER)
    assert sorted(event.payload["id"] for event in events) == sorted(
        f"{process}-{number}" for process in range(PROCESSES) for number in range(expected["event"])
    )
    assert store.load_strategy_state("shared") == {"n": PROCESSES * expected["state"]}
    assert conflicts > 0, "nobody ever met a conflict: the race is none"
    decisions = store.read_decisions()
    assert [one.seq for one in decisions] == list(range(1, PROCESSES * expected["decision"] + 1))
    assert len({one.decision.decision_id for one in decisions}) == len(decisions)
    assert store.verify_audit(AuditKind.DECISIONS).is_ok


def test_eight_processes_lose_nothing(tmp_path: Path) -> None:
    check_nothing_is_lost(tmp_path, 60)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_eight_processes_lose_nothing_in_a_thousand_writes_each(tmp_path: Path) -> None:
    check_nothing_is_lost(tmp_path, 1_000)
