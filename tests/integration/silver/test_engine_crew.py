"""Who builds when nobody says: processes of one thread each for much work, this process for little."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import msgspec
import polars as pl
import psutil
import pytest
from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.schema.lookup import TableCatalog
from ticklake.silver.crew import hire, workers_for
from ticklake.silver.manifest import dump_manifest
from ticklake.silver.work import DateTask

REPOSITORY = Path(__file__).parents[3]
GIB = 1 << 30
TABLES = TableCatalog()
MUCH = GIB
MEMORY = "_RJEM_MALLOC_CONF"


def machine(monkeypatch: pytest.MonkeyPatch, *, cores: int, free_gib: float) -> None:
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: list(range(cores)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(free_gib * GIB)))


def spawned(count: int) -> dict[int, psutil.Process]:
    """Our worker processes, as soon as so many have become programs of their own."""
    until_s = time.monotonic() + 40
    while True:
        workers = [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
        if len(workers) >= count:
            return {child.pid: child for child in workers}
        assert time.monotonic() < until_s, workers
        time.sleep(0.01)


def describe(*arguments: object) -> bytes:
    """A unit of work: process and Polars threads."""
    return msgspec.json.encode((arguments[3], psutil.Process().pid, pl.thread_pool_size()))


def clocked(*arguments: object) -> bytes:
    """A unit of work: when it ran."""
    return str(time.monotonic_ns()).encode()


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
    tasks = [DateTask("", TABLES, "", day, "", "", "") for day in ("a", "b", "c")]
    with hire(workers=1) as crew:
        first = [msgspec.json.decode(content) for _, content in crew.run(tasks, describe)]
        second = [msgspec.json.decode(content) for _, content in crew.run(tasks[:1], describe)]
    assert [day for day, _, _ in first] == ["a", "b", "c"]
    (worker,) = {pid for _, pid, _ in first + second}
    assert worker != psutil.Process().pid
    assert {threads for _, _, threads in first + second} == {1}
    assert not psutil.pid_exists(worker)


def test_processes_start_when_asked_to_get_ready_each_with_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY, f"{os.environ[MEMORY]},narenas:3")  # Polars wrote there when it was imported
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "5000000")
    before = dict(os.environ)
    with hire(workers=2) as crew:
        crew.get_ready(dump_manifest(toy_manifest()))
        started = spawned(2)
        environments = [child.environ() for child in started.values()]
        ((_, content),) = crew.run([DateTask("", TABLES, "", "a", "", "", "")], describe)
    assert msgspec.json.decode(content)[1] in started
    assert {own["POLARS_MAX_THREADS"] for own in environments} == {"1"}
    for own in environments:
        counts = dict(item.split(":") for item in own[MEMORY].split(","))  # the last one does
        keeps = {"dirty_decay_ms": "-1", "muzzy_decay_ms": "-1", "background_thread": "false"}
        assert counts == {"narenas": "3", **keeps}
    assert {own["MALLOC_MMAP_THRESHOLD_"] for own in environments} == {"5000000"}, "what the user said comes first"
    assert dict(os.environ) == before


def test_a_process_that_cannot_get_ready_says_so_with_its_tasks() -> None:
    with hire(workers=1) as crew:
        crew.get_ready("pipeline: nowhere\nversion: v\n")
        ((_, content),) = crew.run([DateTask("", TABLES, "", "a", "", "", "")], describe)
    assert msgspec.json.decode(content)[0] == "a"


def test_large_tasks_begin_first_and_equal_ones_in_their_order() -> None:
    tasks = [DateTask("", TABLES, "", day, "", "", "", size) for day, size in (("a", 1), ("b", 5), ("c", 9), ("d", 5))]
    with hire(workers=1) as crew:
        done = [task.date for task, _ in sorted(crew.run(tasks, clocked), key=lambda item: int(item[1]))]
    assert done == ["c", "b", "d", "a"]


BUILD = """
import sys
from tests.integration.silver.toy import toy_lake, toy_manifest
from ticklake.schema.lookup import TableCatalog
from ticklake.silver.builder import SilverFeatureBuilder

result = SilverFeatureBuilder(sys.argv[1], tables=TableCatalog()).build_feature_set(toy_manifest(), workers=0)
print(result.status, *(name for name in ("pandas", "pydantic", "duckdb") if name in sys.modules))
"""


def test_a_build_imports_neither_pandas_nor_the_settings_when_it_is_told_everything(tmp_path: Path) -> None:
    toy_lake(tmp_path, 1)
    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["complete"]


def test_little_work_is_done_here() -> None:
    with hire(work_bytes=1000) as crew:
        ((_, content),) = crew.run([DateTask("", TABLES, "", "a", "", "", "")], describe)
    assert msgspec.json.decode(content)[1] == psutil.Process().pid
