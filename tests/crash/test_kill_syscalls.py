"""T07: kill -9 on entry to the k-th disk call, on the real service. Each start meets what the kill before left."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.crash.harness_faults import (
    Load,
    Market,
    check_so_far,
    check_strace_works,
    faulty,
    finish,
    healthy,
    hold_ballast,
    next_segments,
    on_two_lakes,
    run_until_dead,
    strace,
)


@dataclass(frozen=True, slots=True)
class Point:
    """Die on entry to the `count`-th `call` of one thread; `is_log`: of those on the log's files only."""

    call: str
    count: int
    is_log: bool = False

    def __str__(self) -> str:
        return f"{self.call} {self.count}{' of the log' if self.is_log else ''}"


SAMPLE = (
    *(Point("writev", count) for count in (2, 4, 6, 9, 14)),
    *(Point("fdatasync", count) for count in (3, 5, 12)),
    *(Point("fsync", count) for count in (4, 9, 16)),
    *(Point("linkat", count) for count in (1, 3, 7)),
    *(Point("unlink", count) for count in (1, 4, 9)),
    *(Point("rmdir", count) for count in (1, 2)),
    *(Point("writev", count, is_log=True) for count in (1, 2)),
    *(Point("fdatasync", count, is_log=True) for count in (1, 4)),
    *(Point("unlink", count, is_log=True) for count in (1, 2)),
    Point("fsync", 2, is_log=True),
)
"""Start, recovery, log and commit each have their share; the order is shuffled, so every one meets many leftovers."""


def all_points() -> Iterator[Point]:
    """Each call of a run that recovers, logs and commits a handful of segments."""
    for call, last in (("writev", 40), ("fdatasync", 40), ("fsync", 60), ("linkat", 25), ("unlink", 40), ("rmdir", 6)):
        for count in range(1, last + 1):
            yield Point(call, count)
    for call, last in (("writev", 20), ("fdatasync", 20), ("fsync", 12), ("unlink", 8)):
        for count in range(1, last + 1):
            yield Point(call, count, is_log=True)


@pytest.mark.timeout(900)
def test_a_kill_at_a_sampled_disk_call_loses_and_doubles_nothing(tmp_path: Path) -> None:
    kill_at_each(tmp_path, SAMPLE, seed=7)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_kill_at_every_disk_call_loses_and_doubles_nothing(tmp_path: Path) -> None:
    kill_at_each(tmp_path, all_points(), seed=1)


def kill_at_each(folder: Path, points: Iterable[Point], *, seed: int) -> None:
    check_strace_works(folder)
    shuffled = list(points)
    random.Random(seed).shuffle(shuffled)
    on_two_lakes(folder, lambda half_folder, half: kill_one_lake(half_folder, shuffled[half::2]))


def kill_one_lake(folder: Path, points: Sequence[Point]) -> None:
    with Market(folder) as market:
        plain = healthy(folder, market)
        hold_ballast(plain)
        with Load(market):
            for point in points:
                only = next_segments(plain) if point.is_log else ()
                wrapper = strace(f"{point.call}:signal=KILL:when={point.count}", trace=folder / "trace", only=only)
                service = faulty(folder, market, wrapper)
                code = run_until_dead(service, f"kill at {point}")
                assert code == -signal.SIGKILL, f"kill at {point}: ended with {code}\n{service.log_tail()}"
                check_so_far(service)
        finish(plain, market)
