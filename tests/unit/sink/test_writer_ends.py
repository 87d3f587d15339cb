"""However a writer ends, nothing of it stays behind: no thread that waits for a store, no open log."""

from __future__ import annotations

import asyncio
import random
import threading
from pathlib import Path

import psutil
import pytest
from tests.crash.mill import model_encoder
from tests.unit.sink.test_writer import append, messages, running, until

from ticklake.base.errors import TickLakeError
from ticklake.base.metrics import Metrics
from ticklake.files.local import LocalFiles
from ticklake.files.object_answer import Answer, StoreUnavailableError
from ticklake.files.object_path import ObjectPath
from ticklake.lake.landing import BucketLake
from ticklake.sink.lane import Lane
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.store_wait import StoreWait
from ticklake.sink.writer import LaneWriter
from ticklake.testing.clock import ManualClock


def down() -> None:
    raise StoreUnavailableError("connection refused", reason=Answer.UNKNOWN)


def new_writer(folder: Path, wait: StoreWait) -> LaneWriter:
    """A writer into a bucket that takes nothing."""
    bucket = BucketLake(
        ObjectPath(None, "lake"),  # type: ignore[arg-type] - nobody gets as far as to use it
        persist=lambda _: wait.commit([down]),
        ask=lambda _: [False],
    )
    lane = Lane.open(
        files=LocalFiles(),
        state_folder=str(folder),
        data_root=bucket,
        identity="00c0ffee",
        epoch=1,
        stream="ENDS",
        encode=model_encoder(),
        clock=ManualClock(),
        salt_source=random.Random(1).randbytes,
        ballast_bytes=0,
    )
    policy = FlushPolicy(lambda _: FlushRule(1, 3600.0), interval_min_s=0.0, bytes_max=10**9)
    return LaneWriter(lane, policy, clock=ManualClock(), metrics=Metrics(version="test"), store_wait=wait)


def our_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.partition("-")[2].startswith("ends")}


def open_logs(folder: Path) -> list[str]:
    return [file.path for file in psutil.Process().open_files() if file.path.startswith(str(folder / "wal"))]


async def waiting_for_the_store(writer: LaneWriter, wait: StoreWait) -> None:
    await append(writer, messages(1))
    await until(lambda: wait.down is not None, "the commit waits for the store")


@pytest.mark.parametrize("how", ["cancelled", "failed"])
async def test_a_writer_that_ends_unasked_waits_for_no_store_and_leaves_no_thread(tmp_path: Path, how: str) -> None:
    wait = StoreWait("ends", clock=ManualClock())
    writer = new_writer(tmp_path, wait)
    assert open_logs(tmp_path)

    async def other() -> None:
        await waiting_for_the_store(writer, wait)
        raise TickLakeError("another part of the service failed")

    if how == "failed":
        with pytest.raises(ExceptionGroup, match="unhandled"):
            async with running(writer):
                await other()
    else:
        run = asyncio.ensure_future(writer.run())
        await writer.new_incarnation(created_ns=7, reason="first", start_sequence=1, start_after_ns=0)
        await waiting_for_the_store(writer, wait)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    await until(lambda: not our_threads(), "every thread of the writer has ended")
    assert not open_logs(tmp_path), "the log is let go"
    with pytest.raises(TickLakeError, match="its writer has ended"):
        await append(writer, messages(2))


async def test_only_tries_of_a_commit_are_counted_as_such() -> None:
    metrics = Metrics(version="test")
    wait = StoreWait("ends", clock=ManualClock(), metrics=metrics)
    count = lambda: metrics.registry.get_sample_value("ticklake_lake_commit_total", {"result": "unknown"})  # noqa: E731
    wait.last_try()
    for ask, expected in ((wait.run, 0), (wait.commit, 1)):
        with pytest.raises(StoreUnavailableError):
            ask([down])
        assert count() == expected
