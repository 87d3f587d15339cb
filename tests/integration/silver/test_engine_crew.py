"""Who builds when nobody says: processes of one thread each for much work, this process for little."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import msgspec
import polars as pl
import psutil
import pytest
from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.base.errors import UnavailableError
from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.crew import Crew, hire, workers_for
from ticklake.silver.manifest import dump_manifest
from ticklake.silver.task import Task, Unit

PATH = os.pathsep.join(sys.path)  # children run this code, wherever ticklake is installed
GIB = 1 << 30
MUCH = GIB
MEMORY = "_RJEM_MALLOC_CONF"


def machine(monkeypatch: pytest.MonkeyPatch, *, cores: int, free_gib: float) -> None:
    monkeypatch.setattr(psutil.Process, "cpu_affinity", lambda self: list(range(cores)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(free_gib * GIB)))


def workers_of(pid: int) -> list[psutil.Process]:
    """Worker processes of a process that have become programs of their own."""
    children = (child for child in psutil.Process(pid).children() if is_alive(child))
    return [child for child in children if "spawn_main" in " ".join(child.cmdline())]


def spawned(count: int) -> dict[int, psutil.Process]:
    """Our worker processes, as soon as so many have become programs of their own."""
    until_s = time.monotonic() + 40
    while True:
        workers = workers_of(os.getpid())
        if len(workers) >= count:
            return {child.pid: child for child in workers}
        assert time.monotonic() < until_s, workers
        time.sleep(0.01)


def describe(*arguments: object) -> bytes:
    """A unit of work: date, process and Polars threads."""
    return msgspec.json.encode((arguments[0], psutil.Process().pid, pl.thread_pool_size()))


def clocked(*arguments: object) -> bytes:
    """A unit of work: when it ran."""
    return str(time.monotonic_ns()).encode()


def removed(place: str) -> bytes:
    """A unit of work: the folder is gone."""
    Path(place).rmdir()
    return b""


def dies(place: str) -> bytes:
    """A unit of work that kills its process, until somebody made a folder of that name."""
    if not Path(place).is_dir():
        os.kill(os.getpid(), signal.SIGKILL)
    return b"alive"


def dies_once(place: str) -> bytes:
    """A unit of work that kills its process the first time."""
    if not Path(place).is_dir():
        Path(place).mkdir()
        os.kill(os.getpid(), signal.SIGKILL)
    return b"alive"


def says_what_it_knows(*arguments: object) -> bytes:
    """Whether the stages are imported."""
    del arguments
    return msgspec.json.encode("ticklake.silver.stages.es_levels" in sys.modules)


def wait_until_none_is_left() -> None:
    """No worker process of ours runs any more."""
    until_s = time.monotonic() + 40
    while workers_of(os.getpid()):
        assert time.monotonic() < until_s
        time.sleep(0.01)


def is_alive(child: psutil.Process) -> bool:
    return child.is_running() and child.status() != psutil.STATUS_ZOMBIE


@dataclass(frozen=True)
class Probe:
    date: str
    bytes: int = 0
    unit: Unit = describe

    @property
    def key(self) -> str:
        return f"{self.date}/{self.unit.__name__}"

    def arguments(self) -> tuple[object, ...]:
        return (self.date,)


def outcomes(crew: Crew, tasks: Sequence[Task], then: Mapping[str, Sequence[Task]] | None = None) -> dict[str, bytes]:
    """Date of each task -> its outcome, in the order they were done; after that of a date in `then`, its tasks."""
    found: dict[str, bytes] = {}

    def done(task: Task, content: bytes) -> Iterator[Task]:
        found[task.date] = content
        yield from (then or {}).get(task.date, ())

    crew.run(tasks, done)
    return found


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
    tasks = [Probe(day) for day in ("a", "b", "c")]
    with hire(workers=1) as crew:
        first = [msgspec.json.decode(content) for content in outcomes(crew, tasks).values()]
        second = [msgspec.json.decode(content) for content in outcomes(crew, tasks[:1]).values()]
    assert sorted(day for day, _, _ in first) == ["a", "b", "c"]
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
        (content,) = outcomes(crew, [Probe("a")]).values()
    assert msgspec.json.decode(content)[1] in started
    assert {own["POLARS_MAX_THREADS"] for own in environments} == {"1"}
    for own in environments:
        counts = dict(item.split(":") for item in own[MEMORY].split(","))  # the last one does
        keeps = {"dirty_decay_ms": "-1", "muzzy_decay_ms": "-1", "background_thread": "false"}
        assert counts == {"narenas": "3", **keeps}
    assert {own["MALLOC_MMAP_THRESHOLD_"] for own in environments} == {"5000000"}, "what the user said comes first"
    assert dict(os.environ) == before


def test_a_process_in_the_place_of_a_dead_one_gets_ready_too(tmp_path: Path) -> None:
    fatal, after = Probe(str(tmp_path / "died"), unit=dies_once), Probe("a", unit=says_what_it_knows)
    with hire(workers=1) as crew:
        crew.get_ready(dump_manifest(baseline_manifest("es_levels")))
        assert outcomes(crew, [after]) == {"a": b"true"}
        assert outcomes(crew, [fatal], {fatal.date: [after]})["a"] == b"true"


def test_a_process_that_cannot_get_ready_says_so_with_its_tasks() -> None:
    with hire(workers=1) as crew:
        crew.get_ready("pipeline: nowhere\nversion: v\n")
        (content,) = outcomes(crew, [Probe("a")]).values()
    assert msgspec.json.decode(content)[0] == "a"


def test_large_tasks_begin_first_and_equal_ones_in_their_order() -> None:
    tasks = [Probe(day, size, clocked) for day, size in (("a", 1), ("b", 5), ("c", 9), ("d", 5))]
    with hire(workers=1) as crew:
        done = sorted((int(content), date) for date, content in outcomes(crew, tasks).items())
    assert [date for _, date in done] == ["c", "b", "d", "a"]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_what_follows_from_a_task_is_done_too(workers: int) -> None:
    then = {"a": [Probe("b"), Probe("c")], "c": [Probe("d")]}
    with hire(workers=workers) as crew:
        found = outcomes(crew, [Probe("a"), Probe("e")], then)
    assert sorted(found) == ["a", "b", "c", "d", "e"]
    assert {msgspec.json.decode(content)[0] for content in found.values()} == set(found)


def test_what_follows_is_begun_as_soon_as_it_is_named(tmp_path: Path) -> None:
    """The first of two tasks that follow is done before the second is even thought of."""
    place = tmp_path / "made"
    place.mkdir()
    seen: list[str] = []

    def done(task: Task, content: bytes) -> Iterator[Task]:
        seen.append(task.date)
        if task.date == "a":
            yield Probe(str(place), unit=removed)
            until_s = time.monotonic() + 40
            while place.is_dir():
                assert time.monotonic() < until_s
                time.sleep(0.01)
            yield Probe("c")

    with hire(workers=1) as crew:
        crew.run([Probe("a")], done)
    assert sorted(seen) == sorted(["a", str(place), "c"])


def test_nothing_is_lost_when_a_process_dies_while_tasks_follow(tmp_path: Path) -> None:
    """A dead process breaks the pool for those that are begun later, too."""
    place = tmp_path / "alive"

    def done(task: Task, content: bytes) -> Iterator[Task]:
        seen.append(task.date)
        if task.date == "a":
            yield Probe(str(place), unit=dies)
            wait_until_none_is_left()
            time.sleep(0.5)  # the pool has heard of it by now
            place.mkdir()
            yield from (Probe("b"), Probe("c"))

    seen: list[str] = []
    with hire(workers=1) as crew:
        crew.run([Probe("a")], done)
    assert sorted(seen) == sorted(["a", "b", "c", str(place)])


def test_processes_may_die_again_as_long_as_tasks_get_done(tmp_path: Path) -> None:
    first, second, third = (Probe(str(tmp_path / name), unit=dies_once) for name in "abc")
    with hire(workers=1) as crew:
        found = outcomes(crew, [first], {first.date: [second], second.date: [third]})
    assert list(found) == [first.date, second.date, third.date]


def test_a_task_that_always_kills_its_process_ends_the_build(tmp_path: Path) -> None:
    with (
        hire(workers=1) as crew,
        pytest.raises(UnavailableError, match=r"died 3 times in a row, last with .*never unfinished"),
    ):
        outcomes(crew, [Probe("a", 1), Probe(str(tmp_path / "never"), unit=dies)])


def test_nobody_waits_for_what_a_dead_process_was_to_be_sent(tmp_path: Path) -> None:
    """More than a pipe holds: up to Python 3.11.4 whoever writes to it would wait for ever."""
    large = [Probe(name * 500_000) for name in "xyz"]
    with hire(workers=1) as crew, pytest.raises(UnavailableError, match="died 3 times in a row"):
        outcomes(crew, [Probe(str(tmp_path / "never"), 1, unit=dies), *large])


@contextmanager
def slow_build(root: Path, days: int) -> Iterator[subprocess.Popen[str]]:
    """`ticklake silver build --workers 2` of so many dates, alone in its process group."""
    toy_lake(root, days)
    manifest = toy_manifest(pipeline="tests.integration.silver.fragile:SLOW")
    (root / "m.yaml").write_text(dump_manifest(manifest))
    command = [sys.executable, "-m", "ticklake", "silver", "build", str(root / "m.yaml"), "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": PATH, "TICKLAKE_DATA_ROOT": str(root)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True) as build:
        yield build


def workers_when(when: str, build: subprocess.Popen[str], root: Path) -> list[psutil.Process]:
    """The two workers of a build, in the middle of their imports or when the first date is built."""
    until_s = time.monotonic() + 40
    while len(workers_of(build.pid)) < 2 or (when == "dates are built" and not built_dates(root)):
        assert time.monotonic() < until_s
        assert build.poll() is None
        time.sleep(0.01)
    time.sleep(0.1 * (when == "workers start"))
    return workers_of(build.pid)


def built_dates(root: Path) -> list[Path]:
    return list((root / "silver/features/v1").glob("date=*"))


@pytest.mark.parametrize("when", ["workers start", "dates are built"])
def test_an_interrupt_from_the_keyboard_ends_a_build_and_its_workers_at_once(tmp_path: Path, when: str) -> None:
    with slow_build(tmp_path, 40) as build:
        workers = workers_when(when, build, tmp_path)
        os.killpg(build.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, told = build.communicate(timeout=40)
    assert build.returncode == 130
    assert told.strip().endswith("interrupted")
    assert "Traceback" not in told
    assert psutil.wait_procs(workers, timeout=10)[1] == []
    assert len(built_dates(tmp_path)) < 40, "nobody waits for the rest"


@pytest.mark.parametrize("when", ["workers start", "dates are built"])
def test_workers_of_a_killed_build_end_by_themselves(tmp_path: Path, when: str) -> None:
    with slow_build(tmp_path, 10) as build:
        workers = workers_when(when, build, tmp_path)
        build.kill()
    until_s = time.monotonic() + 40
    while left := [worker for worker in workers if is_alive(worker)]:
        if time.monotonic() > until_s:
            for worker in left:
                worker.kill()
            pytest.fail(f"{left} still wait for tasks of a builder that is gone")
        time.sleep(0.01)
    assert len(built_dates(tmp_path)) < 10


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
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": PATH}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["complete"]


UNGUARDED = """
import sys
from pathlib import Path
from tests.integration.silver.toy import toy_manifest
from ticklake.silver.builder import SilverFeatureBuilder

with Path(sys.argv[1], "runs").open("a") as runs:
    print("one", file=runs)
result = SilverFeatureBuilder(sys.argv[1]).build_feature_set(toy_manifest(), workers=2)
print(result.status)
"""


def test_a_script_that_builds_needs_no_guard_and_runs_once(tmp_path: Path) -> None:
    toy_lake(tmp_path, 1)
    script = tmp_path / "mine.py"
    script.write_text(UNGUARDED)
    environment = {**os.environ, "PYTHONPATH": PATH}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.stdout.split(), done.stderr) == (["complete"], "")
    assert (tmp_path / "runs").read_text().split() == ["one"]


def test_little_work_is_done_here() -> None:
    with hire(work_bytes=1000) as crew:
        (content,) = outcomes(crew, [Probe("a")]).values()
    assert msgspec.json.decode(content)[1] == psutil.Process().pid
