"""Our side: the whole service, as `ticklake serve` builds it, in a process of its own. Answers when it is done.

`--messages N`: read N messages of a filled stream, flush, and stop when all are in committed files.
Without it: say that we are ready, run until SIGTERM, then answer.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import threading
import time
from array import array
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import psutil
from tests.benchmarks.child import reply
from tests.benchmarks.figures import percentile
from tests.benchmarks.load import STREAM

from ticklake.assemble import build_service
from ticklake.base.logs import set_up_logs
from ticklake.base.settings import load_settings
from ticklake.cli.loop import new_event_loop
from ticklake.service.io_service import IOService
from ticklake.sink.feed import Batch
from ticklake.sink.writer import LaneWriter

_LOOK_S = 0.01
_MEMORY_LOOK_S = 0.25
_TIMEOUT_S = 200.0
_MIB = 2**20


class AckWatch:
    """Notes for each message how long the server's receipt lies back when the ack that covers it leaves."""

    def __init__(self, service: IOService) -> None:
        self.latencies_ns = array("q")
        self._waiting = array("q")
        bus = service._bus
        self._publish = bus.publish  # type: ignore[attr-defined]
        bus.publish = self._publish_timed  # type: ignore[attr-defined]

    def follow(self, writer: LaneWriter) -> None:
        """Look at the groups of one writer."""
        log = writer.log

        def noted(batch: Batch) -> Awaitable[int]:
            return self._noted(batch, log(batch))

        writer.log = noted  # type: ignore[method-assign]

    async def _noted(self, batch: Batch, logged: Awaitable[int]) -> int:
        segment = await logged
        if batch.group is not None:
            self._waiting.extend(batch.group.server_ns)
        return segment

    async def _publish_timed(self, subject: str, payload: bytes, reply: str = "") -> None:
        await self._publish(subject, payload, reply)
        if payload == b"+ACK":
            now_ns = time.time_ns()
            self.latencies_ns.extend(now_ns - server_ns for server_ns in self._waiting)
            del self._waiting[:]

    def answer(self) -> dict[str, Any]:
        """Milliseconds."""
        found = [latency / 1e6 for latency in self.latencies_ns]
        return {"acked": len(found), "ack_p50_ms": percentile(found, 0.5), "ack_p99_ms": percentile(found, 0.99)}


async def _run(wish: argparse.Namespace) -> dict[str, Any]:
    settings = load_settings(
        data_root=wish.data or wish.folder / "lake",
        state_dir=wish.folder / "state" if wish.data else None,
        s3__endpoint=wish.endpoint,
        s3__region="us-east-1" if wish.endpoint else None,
        s3__access_key=wish.access_key,
        s3__secret_key=wish.secret_key,
        nats__url=wish.url,
        nats__create_streams=True,
        nats__fast_lane=not wish.stock,
        bronze__flush_seconds=wish.flush_seconds,
    )
    service = build_service(settings, has_http=False)
    acks = AckWatch(service) if wish.acks else None
    marks: dict[str, float] = {}
    rss: list[float] = []
    threads: dict[str, float] = {}

    def on_ready() -> None:
        gc.freeze()  # as `ticklake serve` does
        marks["cpu"], marks["begin"] = time.process_time(), time.perf_counter()
        if acks is not None:
            for tier in service._tiers:
                for writer in tier.writers:
                    acks.follow(writer)
        if not wish.messages:
            reply({"ready": True})

    async with asyncio.timeout(_TIMEOUT_S), asyncio.TaskGroup() as group:
        run = group.create_task(service.run(on_ready=on_ready))
        watchers = [group.create_task(_watch_memory(rss))]
        if wish.messages:
            await _until_stored(service, wish.messages, marks, run)
            marks["cpu"] = time.process_time() - marks["cpu"]
            threads = _cpu_by_thread()
            service.stop()
        await run
        for watcher in watchers:
            watcher.cancel()
    lane = next(lane for lane in service.status.lanes if lane.stream == STREAM)
    answer: dict[str, Any] = {
        "received": lane.received,
        "stored": lane.stored,
        "rows": sum(table.rows for table in lane.tables.values()),
        "files": sum(table.files for table in lane.tables.values()),
        "rss_mib": rss,
        "peak_mib": _peak_mib(),
    }
    if wish.messages:
        answer["logged_s"] = marks["logged"] - marks["begin"]
        answer["durable_s"] = marks["durable"] - marks["begin"]
        answer["cpu_us"] = marks["cpu"] / wish.messages * 1e6
        answer["thread_cpu_s"] = threads
    if acks is not None:
        answer |= acks.answer()
    return answer


def _peak_mib() -> float:
    """Most memory ever resident. Not `getrusage`: after fork and exec that begins with the peak of the parent."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


async def _until_stored(service: IOService, messages: int, marks: dict[str, float], run: asyncio.Task[None]) -> None:
    """All messages in the log, then all in committed files. Ends as well when the service does."""
    while not run.done():
        writers = [writer for tier in service._tiers for writer in tier.writers if writer.lane.stream == STREAM]
        if writers and writers[0].counts.received >= messages:
            marks.setdefault("logged", time.perf_counter())
            if writers[0].counts.stored + writers[0].counts.quarantined >= messages:
                marks["durable"] = time.perf_counter()
                return
            service.flush()
        await asyncio.sleep(_LOOK_S)


def _cpu_by_thread() -> dict[str, float]:
    """CPU seconds so far of each thread; native ones together."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    spent: dict[str, float] = {}
    for thread in psutil.Process().threads():
        name = names.get(thread.id, "native")
        spent[name] = round(spent.get(name, 0.0) + thread.user_time + thread.system_time, 2)
    return spent


async def _watch_memory(rss: list[float]) -> None:
    process = psutil.Process()
    while True:
        rss.append(round(process.memory_info().rss / _MIB, 1))
        await asyncio.sleep(_MEMORY_LOOK_S)


def main() -> None:
    """Run, then answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--messages", type=int, default=0)
    parser.add_argument("--stock", action="store_true", help="the client's own parser instead of the fast lane")
    parser.add_argument("--acks", action="store_true", help="time the acks")
    parser.add_argument("--flush-seconds", type=float, default=None)
    parser.add_argument("--data", help="s3://bucket/prefix; else the lake lies below the folder")
    parser.add_argument("--endpoint", help="of the store")
    parser.add_argument("--access-key")
    parser.add_argument("--secret-key")
    wish = parser.parse_args()
    set_up_logs("warning")
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        reply(runner.run(_run(wish)))


if __name__ == "__main__":
    main()
