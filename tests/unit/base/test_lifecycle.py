import asyncio
import os
import signal
import subprocess
import sys

import pytest

from ticklake.base.lifecycle import (
    DrainTimeoutError,
    WorkerEndedEarlyError,
    call_on_signals,
    run_workers,
    stop_on_signals,
)


class Part:
    """A worker that writes down what happens to it."""

    def __init__(self, name: str, diary: list[str], *, fails: str = "", sticks: bool = False) -> None:
        self.name = name
        self._diary = diary
        self._fails = fails
        self._sticks = sticks
        self._closed = asyncio.Event()

    def close_intake(self) -> None:
        self._diary.append(f"{self.name} closed")
        self._closed.set()

    async def run(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert task.get_name() == self.name
        if self._fails == "early":
            return
        if self._fails == "run":
            raise OSError("disk gone")
        try:
            await self._closed.wait()
            if self._fails == "drain":
                raise OSError("disk gone while draining")
            if self._sticks:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self._diary.append(f"{self.name} cancelled")
            raise
        await asyncio.sleep(0)
        self._diary.append(f"{self.name} drained")


async def stopped(*workers: Part, grace_s: float = 5) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_soon(stop.set)
    await run_workers(workers, stop=stop, grace_s=grace_s)


async def test_workers_drain_one_after_the_other_from_upstream() -> None:
    diary: list[str] = []
    await stopped(Part("feed", diary), Part("log", diary), Part("files", diary))
    assert diary == ["feed closed", "feed drained", "log closed", "log drained", "files closed", "files drained"]


async def test_a_worker_that_fails_stops_the_others_and_its_error_is_kept() -> None:
    diary: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        await run_workers([Part("feed", diary), Part("log", diary, fails="run")], stop=asyncio.Event(), grace_s=5)
    assert caught.group_contains(OSError, match="disk gone")
    assert diary == ["feed cancelled"]


async def test_a_worker_that_ends_unasked_is_an_error() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await run_workers([Part("feed", []), Part("log", [], fails="early")], stop=asyncio.Event(), grace_s=5)
    assert caught.group_contains(WorkerEndedEarlyError, match="log: ended although nobody asked")


async def test_a_failure_while_draining_is_reported_once() -> None:
    diary: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        await stopped(Part("feed", diary, fails="drain"), Part("log", diary))
    assert len(caught.value.exceptions) == 1
    assert "log cancelled" in diary


async def test_a_worker_that_does_not_drain_is_named_and_cancelled() -> None:
    diary: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        await stopped(Part("feed", diary, sticks=True), Part("log", diary), grace_s=0.05)
    assert caught.group_contains(DrainTimeoutError, match="feed: not drained")
    assert {"feed cancelled", "log cancelled"} <= set(diary)


async def test_the_first_signal_sets_stop_and_the_handlers_leave_with_the_block() -> None:
    stop = asyncio.Event()
    with stop_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(60):
            await stop.wait()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_ends_the_process_at_once(number: signal.Signals) -> None:
    program = """
import asyncio
from ticklake.base.lifecycle import stop_on_signals

async def main():
    stop = asyncio.Event()
    with stop_on_signals(stop):
        print("ready", flush=True)
        await stop.wait()
        print("draining", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "draining\n"
        process.send_signal(number)
        assert process.wait(60) == -number


async def test_other_signals_call_their_action_in_the_loop() -> None:
    called = asyncio.Event()
    with call_on_signals({signal.SIGUSR1: called.set}):
        os.kill(os.getpid(), signal.SIGUSR1)
        async with asyncio.timeout(60):
            await called.wait()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


class Swallower(Part):
    """Loses the first cancellation, as a flush of nats-py does, and goes back to work."""

    async def run(self) -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self._diary.append(f"{self.name} cancelled")
        raise asyncio.CancelledError


@pytest.mark.timeout(20)  # without the second cancellation it would never end, whatever else is cancelled
async def test_a_worker_that_swallows_its_cancellation_is_cancelled_again() -> None:
    """Seen: a failed fdatasync while another feed was flushing; the process lived on without doing anything."""
    diary: list[str] = []
    workers = [Swallower("deaf", diary), Part("disk", diary, fails="run")]
    with pytest.raises(ExceptionGroup) as caught:
        await run_workers(workers, stop=asyncio.Event(), grace_s=5)
    assert caught.group_contains(OSError, match="disk gone")
    assert diary == ["deaf cancelled", "deaf cancelled"]
