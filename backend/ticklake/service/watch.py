"""Looks at the service once a second: gauges, disk watermark, watchdog."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from ticklake.base.metrics import Metrics
from ticklake.service.health import CODES, readiness
from ticklake.service.notify import Notifier
from ticklake.service.snapshot import Snapshot
from ticklake.service.status import Status
from ticklake.sink.tier import TierWriter

_LOOK_S = 1.0


class Watch:
    """A worker that keeps the numbers fresh and slows intake down before the disk is full."""

    name = "watch"

    def __init__(
        self, snapshot: Snapshot, *, tiers: Sequence[TierWriter], metrics: Metrics, notifier: Notifier
    ) -> None:
        self._snapshot = snapshot
        self._tiers = tiers
        self._metrics = metrics
        self._notifier = notifier
        self._closing = asyncio.Event()
        self._problems: frozenset[str] = frozenset()
        self._log = structlog.get_logger()
        metrics.show_readiness({"starting"}, known=CODES)

    def close_intake(self) -> None:
        """End `run`."""
        self._closing.set()

    async def run(self) -> None:
        """Look until closed."""
        async with asyncio.TaskGroup() as group:
            beside = [
                group.create_task(self._measure_disk(), name="watch-disk"),
                group.create_task(self._show_life(), name="watchdog"),
            ]
            while not await self._is_closed_within(_LOOK_S):
                self._look(self._snapshot.take())
            for task in beside:
                task.cancel()

    async def _measure_disk(self) -> None:
        """A disk that hangs holds this up and nothing else."""
        while not await self._is_closed_within(_LOOK_S):
            await asyncio.to_thread(self._snapshot.measure_disk)

    async def _show_life(self) -> None:
        """At half the manager's time, from the loop that acks: when it stops turning, we are restarted."""
        watchdog_s = self._notifier.watchdog_s
        if watchdog_s is None:
            return
        self._notifier.watchdog()
        while not await self._is_closed_within(watchdog_s / 2):
            self._notifier.watchdog()

    async def _is_closed_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return False
        return True

    def _look(self, status: Status) -> None:
        self._measure(status)
        is_low = status.disk.low_since_ns is not None
        for tier in self._tiers:
            for writer in tier.writers:
                writer.hold(is_low)
        health = readiness(status, status.taken_ns)
        problems = frozenset(reason.code for reason in health.reasons)
        self._metrics.show_readiness(problems, known=CODES)
        if problems != self._problems and status.phase == "running":
            self._problems = problems
            if health.ok:
                self._log.info("service.ready")
            else:
                what = [f"{reason.code}: {reason.what}" for reason in health.reasons]
                self._log.warning("service.not_ready", reasons=what)
            self._notifier.status("ready" if health.ok else "; ".join(sorted(problems)))

    def _measure(self, status: Status) -> None:
        metrics, disk = self._metrics, status.disk
        for lane in status.lanes:
            since_ns = lane.unsynced_since_ns
            unsynced_s = 0.0 if since_ns is None else max(0.0, (status.taken_ns - since_ns) / 1e9)
            metrics.wal_bytes.labels(lane.name).set(lane.wal_bytes)
            metrics.wal_waiting_messages.labels(lane.name).set(lane.waiting)
            metrics.wal_oldest_unflushed_seconds.labels(lane.name).set(lane.oldest_unflushed_s)
            metrics.wal_unsynced_seconds.labels(lane.name).set(unsynced_s)
        metrics.disk_free_bytes.set(disk.free_bytes)
        metrics.disk_total_bytes.set(disk.total_bytes)
        metrics.disk_free_min_bytes.set(disk.min_free_bytes)
