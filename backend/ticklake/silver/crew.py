"""Who does the work: this process, a pool of processes, or a Dask cluster. Same tasks, same bytes."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from ticklake.base.errors import UnavailableError, UsageError
from ticklake.silver.work import DateTask, build_date

_POOLS_MAX: Final = 3  # a task that kills its process every time must not go round for ever
_CONNECT_TIMEOUT_S: Final = 20

Unit = Callable[..., bytes]
Outcomes = Generator[tuple[DateTask, bytes], None, None]


def run_tasks(
    tasks: Sequence[DateTask], *, workers: int = 1, scheduler: str | None = None, unit: Unit = build_date
) -> Outcomes:
    """Run every task once; gives each with its outcome as it is done, in no particular order.

    A task whose process dies is run again. `unit` is importable and takes `DateTask.arguments()`.

    Args:
        tasks: what to do.
        workers: processes of a local pool; 1 works in this process.
        scheduler: address of a Dask scheduler (`tcp://host:8786`); then `workers` is up to the cluster.
        unit: what to do with a task.

    Raises:
        UsageError: a remote scheduler cannot see this machine's disk; or Dask is not installed.
        UnavailableError: the scheduler does not answer, or processes die again and again.
    """
    if scheduler is not None:
        yield from _run_on_cluster(tasks, scheduler, unit)
    elif workers > 1 and len(tasks) > 1:
        yield from _run_in_pool(tasks, min(workers, len(tasks)), unit)
    else:
        for task in tasks:
            yield task, unit(*task.arguments())


def check_scheduler(address: str) -> None:
    """Refuse a scheduler on another machine: paths of this disk mean nothing there.

    Raises:
        UsageError: the address is none, or names another machine.
    """
    host = urlsplit(address).hostname
    if host is None or "://" not in address:
        raise UsageError(f"--scheduler {address!r} is no address; write tcp://127.0.0.1:8786")
    if not _is_this_machine(host):
        raise UsageError(
            f"scheduler {host} is another machine and the data root is a folder of this one, which its workers cannot "
            "see; run a scheduler here, or build with --workers"
        )


def _run_in_pool(tasks: Sequence[DateTask], workers: int, unit: Unit) -> Outcomes:
    threads = max(1, len(psutil.Process().cpu_affinity()) // workers)
    waiting = {task.date: task for task in tasks}
    for _ in range(_POOLS_MAX):
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(workers, context, initializer=_share_threads, initargs=(threads,)) as pool:
                futures = {pool.submit(unit, *task.arguments()): task for task in waiting.values()}
                try:
                    for future in as_completed(futures):
                        content = future.result()
                        yield waiting.pop(futures[future].date), content
                except BaseException:
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise
        except BrokenProcessPool:
            continue
        return
    raise UnavailableError(
        f"worker processes died {_POOLS_MAX} times, last with {', '.join(sorted(waiting))} unfinished; give them more "
        "memory or fewer --workers, then build again"
    )


def _share_threads(threads: int) -> None:
    """Runs first in a worker: Polars reads this when its threads start, which is later."""
    os.putenv("POLARS_MAX_THREADS", str(threads))


def _run_on_cluster(tasks: Sequence[DateTask], address: str, unit: Unit) -> Outcomes:
    check_scheduler(address)
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=_CONNECT_TIMEOUT_S, set_as_default=False)
    except OSError as error:
        raise UnavailableError(
            f"no Dask scheduler answers at {address} ({error}); start one, then build again"
        ) from error
    with client:
        futures = {
            client.submit(unit, *task.arguments(), key=f"{task.staging}/{task.date}", pure=False): task
            for task in tasks
        }
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                yield futures[future], future.result()
        finally:
            client.cancel(list(futures))


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
