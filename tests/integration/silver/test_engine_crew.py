"""Who builds when nobody says: processes of one thread each for much work, this process for little."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import polars as pl
import psutil
import pytest

from ticklake.silver.crew import hire, workers_for
from ticklake.silver.work import DateTask

GIB = 1 << 30
MUCH = GIB


def machine(monkeypatch: pytest.MonkeyPatch, *, cores: int, free_gib: float) -> None:
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: list(range(cores)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(free_gib * GIB)))


def describe(*arguments: str) -> bytes:
    """A unit of work: process and Polars threads."""
    return msgspec.json.encode((arguments[2], psutil.Process().pid, pl.thread_pool_size()))


def test_a_process_for_each_core_with_memory_and_none_for_little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, cores=8, free_gib=100)
    assert workers_for(MUCH) == 8
    assert workers_for(1000) == 0
    machine(monkeypatch, cores=8, free_gib=5)
    assert workers_for(MUCH) == 3
    machine(monkeypatch, cores=8, free_gib=2)
    assert workers_for(MUCH) == 0
    machine(monkeypatch, cores=1, free_gib=100)
    assert workers_for(MUCH) == 0


def test_workers_have_one_thread_each_and_stay_for_the_next_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLARS_MAX_THREADS", "3")
    tasks = [DateTask("", "", day, "", "", "") for day in ("a", "b", "c")]
    with hire(workers=1) as crew:
        first = [msgspec.json.decode(content) for _, content in crew.run(tasks, describe)]
        second = [msgspec.json.decode(content) for _, content in crew.run(tasks[:1], describe)]
    assert [day for day, _, _ in first] == ["a", "b", "c"]
    (worker,) = {pid for _, pid, _ in first + second}
    assert worker != psutil.Process().pid
    assert {threads for _, _, threads in first + second} == {1}
    assert not psutil.pid_exists(worker)


def test_little_work_is_done_here() -> None:
    with hire(work_bytes=1000) as crew:
        ((_, content),) = crew.run([DateTask("", "", "a", "", "", "")], describe)
    assert msgspec.json.decode(content)[1] == psutil.Process().pid
