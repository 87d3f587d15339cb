"""Who does the work: this process, a pool of processes, or a Dask cluster. Same tasks, same bytes."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from types import ModuleType
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import psutil

from ticklake.base.errors import UnavailableError, UsageError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.s3_access import remember_access
from ticklake.silver.code_hash import parsed_sources
from ticklake.silver.task import Done, Task
from ticklake.silver.work import settle_in

_DEATHS_MAX: Final = 3  # a task that kills its process every time must not go round for ever
_HOLDS_PIPES: Final = sys.version_info < (3, 11, 5)
"""Whether Python's pool keeps the pipe to dead processes open at their end, too: whoever is about to write more than it
holds then waits for ever, and so does who waits for him (cpython gh-94777)."""
_CONNECT_TIMEOUT_S: Final = 20
_WORKER_BYTES: Final = 3 << 29  # 1.5 GiB: a full session takes 0.9, a busier one more
_POOLED_BYTES_MIN: Final = 64 << 20
_ONE_THREAD: Final = {"POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_JEMALLOC: Final = "_RJEM_MALLOC_CONF"  # of Polars
_POLARS_OWN: Final = ("dirty_decay_ms:500", "muzzy_decay_ms:1000")  # what it puts there itself when it is imported
_JEMALLOC_KEEPS: Final = ("narenas:1", "dirty_decay_ms:-1", "muzzy_decay_ms:-1", "background_thread:false")
_KEEP_MEMORY: Final = {
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),  # NumPy: glibc
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),  # the largest that it takes
}
"""What was freed is kept for the next date, in one arena for all threads of Polars; a user's own settings come first.
With an arena for each thread every other date fetches the pages of its book anew, a third of its time, and the process
grows to 1.5 GiB instead of 0.9. Without the others a rebuild of the certificate takes an eighth longer. Polars' own
thread that gives memory back would wake up three thousand times a second, on the core of another worker."""


class Crew(Protocol):
    """Whoever runs the units of work of a build."""

    @property
    def width(self) -> int:
        """How many tasks run at the same time."""
        ...

    def get_ready(self, manifest: str) -> None:
        """Start what must be started, and go on meanwhile: `manifest` (YAML) is what the tasks will be about."""
        ...

    def run(self, tasks: Sequence[Task], done: Done) -> None:
        """Run every task once, and those that follow; `done` hears of them in no particular order.

        A task whose process dies is run again.

        Raises:
            UnavailableError: processes die again and again, or the cluster does not answer.
        """
        ...


@contextmanager
def hire(
    root: Place | None = None, *, workers: int | None = None, scheduler: str | None = None, work_bytes: int = 0
) -> Iterator[Crew]:
    """A crew for one build, gone at its end.

    Processes of this machine are told how to reach a bucket, by the pipe they are started with; those of a cluster must
    have it in their environment.

    Args:
        root: of the lake they work on.
        workers: processes of a local pool, each with one Polars thread; None for `workers_for(work_bytes)`.
        scheduler: address of a Dask scheduler (`tcp://host:8786`); then `workers` is up to the cluster.
        work_bytes: how much there is to read.

    Raises:
        UsageError: a remote scheduler cannot see this machine's disk; or Dask is not installed.
        UnavailableError: the scheduler does not answer.
    """
    if isinstance(root, ObjectPath):  # tasks name it by its address
        remember_access(root.store.bucket, root.store.access)
    if scheduler is not None:
        with _cluster(scheduler, root) as cluster:
            yield cluster
        return
    count = workers_for(work_bytes) if workers is None else workers
    if not count:
        yield _Alone()
        return
    pool = _Pool(count, root)
    try:
        yield pool
    except BaseException:
        pool.kill()  # what is under way is of no use to anybody
        raise
    finally:
        pool.close()


def workers_for(work_bytes: int) -> int:
    """How many processes build that much fastest; 0 for none but this one, with all its threads.

    One date after the other leaves cores idle, because much of a stage is one thread's work; so each core takes a date
    of its own, where the memory suffices. A process takes half a second to start, which little work does not repay.
    """
    cores = len(psutil.Process().cpu_affinity())
    fit = psutil.virtual_memory().available // _WORKER_BYTES
    count = min(cores, fit)
    return count if count > 1 and work_bytes >= _POOLED_BYTES_MIN else 0


class _Alone:
    """This process."""

    width: Final = 1

    def get_ready(self, manifest: str) -> None:
        """It is."""

    def run(self, tasks: Sequence[Task], done: Done) -> None:
        waiting = deque(tasks)
        while waiting:
            task = waiting.popleft()
            waiting.extend(done(task, task.unit(*task.arguments())))


class _Pool:
    """Processes of this machine. They start when asked to get ready and stay for all tasks."""

    def __init__(self, workers: int, root: Place | None) -> None:
        self.width = workers
        self._first: list[Callable[[], None]] = []  # what every process does before its first task
        if isinstance(root, ObjectPath):
            self._first.append(partial(remember_access, root.store.bucket, root.store.access))
        self._executor: ProcessPoolExecutor | None = None

    def get_ready(self, manifest: str) -> None:
        """Start every process: it imports what it needs while this one plans."""
        self._first.append(partial(settle_in, manifest, parsed_sources()))
        try:
            executor = self._start()
            with _settings_for_children():
                for _ in range(self.width):  # each call starts one process, as long as none is free
                    executor.submit(os.getpid)
        except BrokenProcessPool:
            self.close()  # the tasks start it again

    def run(self, tasks: Sequence[Task], done: Done) -> None:
        waiting = {task.key: task for task in tasks}
        deaths = 0  # in a row, without any task done
        while waiting:
            try:
                ordered = sorted(waiting.values(), key=lambda task: -task.bytes)  # no large one keeps all waiting
                under_way = {self._begin(task): task for task in ordered}
                while under_way:
                    finished = wait(under_way, return_when=FIRST_COMPLETED).done
                    for future in sorted(finished, key=lambda each: each.exception() is not None):  # outcomes first
                        task = under_way.pop(future)
                        content = future.result()
                        deaths = 0
                        del waiting[task.key]
                        for following in done(task, content):
                            waiting[following.key] = following
                            under_way[self._begin(following)] = following
            except BrokenProcessPool as error:
                self.close()
                deaths += 1
                if deaths == _DEATHS_MAX:
                    unfinished = sorted({task.date for task in waiting.values()})
                    raise UnavailableError(
                        f"worker processes died {deaths} times in a row, last with {', '.join(unfinished)} unfinished; "
                        "give them more memory or fewer --workers, then build again"
                    ) from error

    def _begin(self, task: Task) -> Future[bytes]:
        try:
            executor = self._start()
            with _settings_for_children():
                return executor.submit(task.unit, *task.arguments())
        except BrokenProcessPool as error:
            never: Future[bytes] = Future()
            never.set_exception(error)
            return never

    def _start(self) -> ProcessPoolExecutor:
        if self._executor is None:
            spawn = get_context("spawn")
            self._executor = ProcessPoolExecutor(self.width, spawn, initializer=_begin_to_work, initargs=(self._first,))
        return self._executor

    def kill(self) -> None:
        """End the processes at once, whatever they are at: all they do can be done again."""
        if self._executor is not None:
            for process in list((self._executor._processes or {}).values()):  # `kill_workers` from 3.14 on
                process.kill()

    def close(self) -> None:
        """End the processes; what they have not begun is dropped."""
        if self._executor is not None:
            if _HOLDS_PIPES:
                queue: Any = vars(self._executor)["_call_queue"]
                queue._reader.close()
            self._executor.shutdown(wait=True, cancel_futures=True)
            self._executor = None


def _begin_to_work(first: Sequence[Callable[[], None]]) -> None:
    """What a worker does before its first task."""
    Thread(target=_end_with_the_builder, daemon=True).start()
    for prepare in first:
        prepare()


def _end_with_the_builder() -> None:
    """End this worker when the process that started it is gone.

    One that was killed tells nobody, and the worker would wait for the next task for ever, with all its memory.
    """
    builder = parent_process()
    if builder is not None:
        builder.join()
        os._exit(1)


@contextmanager
def _settings_for_children() -> Iterator[None]:
    """Processes that start meanwhile are set up for one date after the other; this is read when they start.

    They import what their tasks name and not the program that builds, so a script needs no guard against running again
    in them, and the command line costs them nothing. An interrupt from the keyboard goes to all processes: they have it
    blocked from their first moment on, the one that waits for them acts.
    """
    environment = os.environ  # noqa: TID251, what children inherit is no setting of ours
    wanted = {**_ONE_THREAD, **{name: environment.get(name, value) for name, value in _KEEP_MEMORY.items()}}
    users = [item for item in environment.get(_JEMALLOC, "").split(",") if item and item not in _POLARS_OWN]
    wanted[_JEMALLOC] = ",".join([*_JEMALLOC_KEEPS, *users])  # the last one counts
    before = {name: environment.get(name) for name in wanted}
    environment.update(wanted)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    program, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for name, value in before.items():
            if value is None:
                del environment[name]
            else:
                environment[name] = value


def check_scheduler(address: str, root: Place | None = None) -> None:
    """Refuse a scheduler on another machine: paths of this disk mean nothing there, and built files wait on this disk.

    Raises:
        UsageError: the address is none, or names another machine.
    """
    host = urlsplit(address).hostname
    if host is None or "://" not in address:
        raise UsageError(f"--scheduler {address!r} is no address; write tcp://127.0.0.1:8786")
    if not _is_this_machine(host):
        what = "files on their way into a bucket wait in" if isinstance(root, ObjectPath) else "the data root is"
        raise UsageError(
            f"scheduler {host} is another machine and {what} a folder of this one, which its workers cannot "
            "see; run a scheduler here, or build with --workers"
        )


@contextmanager
def _cluster(address: str, root: Place | None) -> Iterator[Crew]:
    check_scheduler(address, root)
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
    except OSError as error:
        raise UnavailableError(
            f"no Dask scheduler answers at {address} ({error}); start one, then build again"
        ) from error
    with client:
        yield _Cluster(distributed, client)


@dataclass(frozen=True, slots=True)
class _Cluster:
    """The workers of a Dask scheduler."""

    distributed: Any
    client: Any

    @property
    def width(self) -> int:
        threads: dict[str, int] = self.client.nthreads()
        return max(1, sum(threads.values()))

    def get_ready(self, manifest: str) -> None:
        """Its workers run already."""

    def run(self, tasks: Sequence[Task], done: Done) -> None:
        under_way = {self._begin(task): task for task in tasks}
        completed = self.distributed.as_completed(list(under_way), loop=self.client.loop)
        try:
            for future in completed:
                for following in done(under_way.pop(future), future.result()):
                    begun = self._begin(following)
                    under_way[begun] = following
                    completed.add(begun)
        finally:
            self.client.cancel(list(under_way))

    def _begin(self, task: Task) -> Any:
        return self.client.submit(task.unit, *task.arguments(), key=task.key, pure=False)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise UsageError('Dask is not installed: `pip install "ticklake[dask]"`, or build with --workers') from error
    return distributed


def _is_this_machine(host: str) -> bool:
    own = {address.address for addresses in psutil.net_if_addrs().values() for address in addresses}
    try:
        named = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except socket.gaierror:
        return False
    return bool(named & own)
