"""10,000 events a second into a running service: how late the ack leaves, and how late readers see the rows."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

import pyarrow.parquet as pq
from tests.benchmarks.child import Child, call
from tests.benchmarks.figures import Figure, limit_figure, percentile
from tests.benchmarks.load import make_stream
from tests.benchmarks.machine import sync_p99_ms
from tests.benchmarks.scale import Scale

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

_RATE = 10_000
_LOOK_S = 0.02


def measure(scale: Scale) -> Iterator[Figure]:
    """Default settings first, then flush after one second."""
    usual = [_run(scale, None) for _ in range(scale.rounds)]
    syncs = [sync_p99_ms(scale.folder) for _ in range(scale.rounds)]
    p50 = median(run["ack_p50_ms"] for run in usual)
    yield limit_figure(
        "ack latency at 10,000 events/s, p99",
        [run["ack_p99_ms"] for run in usual],
        unit="ms",
        below=20,
        ours=f"p50 {p50:.1f} ms, p99 {median(run['ack_p99_ms'] for run in usual):.1f} ms",
        reference=f"{median(syncs):.1f} ms: p99 of the disk's own fdatasync, idle",
        note="from the server's receipt of each message until the ack that covers it leaves, fsync included",
    )
    yield _visible("publish -> visible in Parquet, default settings, p99", usual, below=6)
    fast = [_run(scale, 1.0) for _ in range(scale.rounds)]
    yield _visible("publish -> visible in Parquet, flush 1 s, p99", fast, below=2)


def _visible(what: str, runs: list[dict[str, Any]], *, below: float) -> Figure:
    p50, p99 = (median(run[key] for run in runs) for key in ("seen_p50_s", "seen_p99_s"))
    return limit_figure(
        what,
        [run["seen_p99_s"] for run in runs],
        unit="s",
        below=below,
        ours=f"p50 {p50:.1f} s, p99 {p99:.1f} s",
        note=f"from the publisher's clock until another process sees the file, {runs[0]['files']} files",
    )


class FileWatch:
    """Another process's view: when each file of the lake was first seen."""

    def __init__(self, root: Path) -> None:
        self.seen_ns: dict[str, int] = {}
        self._root = root
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="file-watch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._note()

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_S):
            self._note()

    def _note(self) -> None:
        for folder, _, names in os.walk(self._root):
            for name in names:
                self.seen_ns.setdefault(f"{folder}/{name}", time.time_ns())


def _run(scale: Scale, flush_seconds: float | None) -> dict[str, Any]:
    folder = scale.folder / "live"
    flags = ["--flush-seconds", flush_seconds] if flush_seconds else []
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        asyncio.run(make_stream(server.url))
        with (
            Child("service", server.url, folder, "--acks", *flags) as service,
            FileWatch(folder / "lake/bronze") as watch,
        ):
            service.answer()  # ready
            sent = call("load", "paced", server.url, "--rate", _RATE, "--seconds", scale.live_s)["sent"]
            service.terminate()
            answer = service.answer()
    assert answer["stored"] == answer["acked"] == sent, f"{sent} sent, but {answer}"
    waits = _waits(watch.seen_ns)
    assert len(waits) == sent, f"{sent} sent, {len(waits)} rows seen"
    shutil.rmtree(folder)
    answer |= {"seen_p50_s": percentile(waits, 0.5), "seen_p99_s": percentile(waits, 0.99)}
    return answer


def _waits(seen_ns: dict[str, int]) -> list[float]:
    """Per row the seconds from its publication until its file was seen. The publisher stamped `ts_recv_ns`."""
    waits: list[float] = []
    for path, at_ns in seen_ns.items():
        sent = pq.read_table(path, columns=["ts_recv_ns"], partitioning=None).column(0).to_pylist()
        waits += [(at_ns - sent_ns) / 1e9 for sent_ns in sent]
    return waits
