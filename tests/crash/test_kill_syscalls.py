"""T07: kill -9 on entry to the k-th disk call, for every k of a run that recovers, logs and commits, on real processes.

Each run meets what the kill before left. It is forked by a process that has imported everything (`nursery`), so that a
kill costs what the run itself costs.
"""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.crash.harness_faults import (
    Load,
    Market,
    check_so_far,
    check_strace_works,
    finish,
    healthy,
    hold_ballast,
    next_segments,
    on_two_lakes,
    strace,
)
from tests.crash.nursery import Nursery


@dataclass(frozen=True, slots=True)
class Point:
    """Die on entry to the `count`-th `call` of one thread; `is_log`: of those on the log's files only."""

    call: str
    count: int
    is_log: bool = False

    def __str__(self) -> str:
        return f"{self.call} {self.count}{' of the log' if self.is_log else ''}"


CALLS = {
    "openat": 110,  # of which some forty open no file of the lake: `/proc`, the folders above it
    "mkdir": 32,
    "writev": 40,
    "fdatasync": 40,
    "fsync": 60,
    "linkat": 25,
    "unlink": 40,
    "rmdir": 6,
    "rename": 1,
    "ftruncate": 1,
}
CALLS_OF_THE_LOG = {"openat": 12, "writev": 20, "fdatasync": 20, "fsync": 12, "unlink": 8}
"""How many of each one thread makes in a start that recovers and then commits some eight segments."""


def all_points() -> Iterator[Point]:
    """Each of these calls."""
    for is_log, calls in ((False, CALLS), (True, CALLS_OF_THE_LOG)):
        for call, last in calls.items():
            yield from (Point(call, count, is_log) for count in range(1, last + 1))


@pytest.mark.timeout(1200)
def test_a_kill_at_every_disk_call_loses_and_doubles_nothing(tmp_path: Path) -> None:
    check_strace_works(tmp_path)
    shuffled = list(all_points())
    random.Random(7).shuffle(shuffled)
    on_two_lakes(tmp_path, lambda folder, half: kill_one_lake(folder, shuffled[half::2]))


def kill_one_lake(folder: Path, points: Sequence[Point]) -> None:
    with Market(folder) as market, Nursery() as nursery:
        service = healthy(folder, market)
        hold_ballast(service)
        with Load(market):
            for point in points:
                only = next_segments(service) if point.is_log else ()
                fault = f"{point.call}:signal=KILL:when={point.count}"
                tracer = strace(fault, trace=folder / "trace", only=only, is_apart=True)
                code = nursery.run_until_dead(service, tracer, f"kill at {point}")
                assert code == -signal.SIGKILL, f"kill at {point}: ended with {code}\n{service.log_tail()}"
                check_so_far(service)
        finish(service, market)
