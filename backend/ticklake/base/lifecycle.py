"""How the daemon's long-running parts start, drain in order, and end; and what its signals mean."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from ticklake.base.errors import TickLakeError

_CANCEL_AGAIN_S = 1.0  # longer than any clean-up of ours, far below a restart by hand


class Worker(Protocol):
    """One long-running part of the daemon."""

    name: str

    async def run(self) -> None:
        """Work until `close_intake`, then finish what is in hand and return."""
        ...

    def close_intake(self) -> None:
        """Take no more work. Safe to call twice, and before `run`."""
        ...


class WorkerEndedEarlyError(TickLakeError):
    """A worker returned unasked. The service stops: half a service must not look like a whole one."""


class DrainTimeoutError(TickLakeError):
    """A worker did not finish in the grace time. What it held is in the log and is replayed at the next start."""


async def run_workers(workers: Sequence[Worker], *, stop: asyncio.Event, grace_s: float) -> None:
    """Run `workers` (upstream first) until `stop` is set, then drain them one after the other, in that order.

    Each worker is closed only after the one above it has handed everything down. `grace_s` bounds the whole ladder.

    Raises:
        ExceptionGroup: a worker failed, ended early, or outlived the grace time. The others were cancelled; the log
            holds what they held.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_watch(worker, stop), name=worker.name) for worker in workers]
        try:
            await stop.wait()
            await _drain(workers, tasks, grace_s)
        finally:  # one failed or is late: the group cancels the others, once
            asyncio.get_running_loop().call_later(_CANCEL_AGAIN_S, _cancel_again, tasks)


async def _drain(workers: Sequence[Worker], tasks: Sequence[asyncio.Task[None]], grace_s: float) -> None:
    deadline_s = asyncio.get_running_loop().time() + grace_s
    for worker, task in zip(workers, tasks, strict=True):
        worker.close_intake()
        left_s = max(0.0, deadline_s - asyncio.get_running_loop().time())
        done, _ = await asyncio.wait([task], timeout=left_s)  # not `await task`: the group reports its error once
        if not done:
            raise DrainTimeoutError(
                f"{worker.name}: not drained {grace_s:g} s after the stop signal; "
                "its messages are in the log, start again to replay them"
            )


def _cancel_again(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all have ended.

    A client library may swallow a cancellation (nats-py does while it flushes), and a service whose disk failed would
    then live on, neither working nor dead.
    """
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        asyncio.get_running_loop().call_later(_CANCEL_AGAIN_S, _cancel_again, tasks)


async def _watch(worker: Worker, stop: asyncio.Event) -> None:
    await worker.run()
    if not stop.is_set():
        raise WorkerEndedEarlyError(
            f"{worker.name}: ended although nobody asked it to; see the log above, then restart"
        )


@contextmanager
def stop_on_signals(stop: asyncio.Event) -> Iterator[None]:
    """Within the block, the first SIGTERM or SIGINT sets `stop`; a second one ends the process at once.

    Leaving at once is safe: what was acked is in the log.
    """
    loop = asyncio.get_running_loop()
    caught = (signal.SIGTERM, signal.SIGINT)

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stop.set()

    for number in caught:
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)


@contextmanager
def call_on_signals(actions: Mapping[signal.Signals, Callable[[], None]]) -> Iterator[None]:
    """Within the block, run an action in the event loop for each signal (SIGHUP: reload, SIGUSR1: flush now)."""
    loop = asyncio.get_running_loop()
    for number, action in actions.items():
        loop.add_signal_handler(number, action)
    try:
        yield
    finally:
        for number in actions:
            loop.remove_signal_handler(number)
