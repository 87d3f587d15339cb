"""CoreFeed: core NATS into the log. At most once before the log: what is lost there is counted where it can be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import structlog

from ticklake.base.clock import Clock
from ticklake.base.errors import UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.ingest.group import build_group
from ticklake.ingest.intake import Intake, Taken
from ticklake.ingest.wire import Wire
from ticklake.schema.messages import MessageGroup, Skipped
from ticklake.sink.feed import BatchWriter, FeedState
from ticklake.sink.lane import Lane

_WAITING_BYTES_MAX = 128 * 1024 * 1024  # core NATS cannot be asked to wait; beyond this, drop and count
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class CoreBatch:
    """Messages without sequences."""

    group: MessageGroup
    duplicates: int = 0
    missing: tuple[tuple[int, int], ...] = ()
    skipped: Skipped | None = None


class CoreFeed:
    """Feeds one writer from plain subscriptions that do not overlap."""

    def __init__(
        self,
        wire: Wire,
        writer: BatchWriter,
        *,
        subjects: Sequence[str],
        clock: Clock,
        metrics: Metrics,
        sync_interval_s: float,
    ) -> None:
        self.name = f"feed-{writer.name}"
        self._wire = wire
        self._writer = writer
        self._subjects = tuple(subjects)
        self._clock = clock
        self._metrics = metrics
        self._sync_interval_s = sync_interval_s
        self._intake = Intake(bytes_max=_WAITING_BYTES_MAX)
        self._counted = 0  # of the dropped
        self._gap_since_s: float | None = None  # not counted yet since then; None: subscribed, or never was
        self._is_closing = False
        self._state = FeedState(mode="core")
        self._log = structlog.get_logger().bind(lane=writer.name)

    @property
    def state(self) -> FeedState:
        """How it is doing now."""
        return replace(self._state, dropped=self._intake.dropped)

    def close_intake(self) -> None:
        """Unsubscribe, log what has arrived, return."""
        self._is_closing = True
        self._intake.arrived.set()

    async def run(self) -> None:
        """Subscribe, and log what comes, until closed. A new connection subscribes anew."""
        self._writer.on_room(self._intake.arrived.set)
        while not self._is_closing:
            self._count_gap()
            if not await self._wire.wait_connected(_LOOK_S):
                self._state = replace(self._state, is_bound=False, problem="waiting for the connection")
                continue
            generation, numbers = self._wire.generation, []
            try:
                for subject in self._subjects:
                    numbers.append(await self._wire.attach(subject, self._intake))  # noqa: PERF401 - all or those so far
                self._state = replace(self._state, is_bound=True, problem="")
                self._count_gap(is_over=True)
                await self._take_until_changed(generation)
                self._gap_since_s = self._clock.monotonic_s()
            except UnavailableError as error:
                self._state = replace(self._state, is_bound=False, problem=str(error))
                await asyncio.sleep(_LOOK_S)
            finally:
                for number in numbers:
                    await self._wire.detach(number)
        self._count_gap()
        await self._log_waiting(is_last=True)

    async def _take_until_changed(self, generation: int) -> None:
        while not self._is_closing and self._wire.generation == generation:
            with suppress(TimeoutError):  # then it is time to look whether the connection changed
                async with asyncio.timeout(_LOOK_S):
                    await self._intake.arrived.wait()
            self._intake.arrived.clear()
            await self._log_waiting()
            if self._intake.dropped > self._counted:
                lost, self._counted = self._intake.dropped - self._counted, self._intake.dropped
                self._metrics.core_dropped_total.labels(self._writer.name).inc(lost)
                self._log.warning("ingest.core_messages_dropped", messages=lost, reason="the disk cannot follow")
            await asyncio.sleep(self._sync_interval_s)

    async def _log_waiting(self, *, is_last: bool = False) -> None:
        """Log what arrived while there is room; at the end all of it, which is no more than may wait."""
        while self._intake.messages and (is_last or self._writer.has_room):
            taken = self._intake.take()
            ingest_ns = self._clock.wall_ns()
            await self._writer.log(await self._writer.prepare(partial(_as_batch, taken, ingest_ns)))

    def _count_gap(self, *, is_over: bool = False) -> None:
        """Book the time without subscriptions so far."""
        if self._gap_since_s is None:
            return
        now_s = self._clock.monotonic_s()
        self._metrics.core_gap_seconds_total.labels(self._writer.name).inc(now_s - self._gap_since_s)
        self._gap_since_s = None if is_over else now_s


def _as_batch(taken: Taken, ingest_ns: int, _: Lane) -> CoreBatch:
    nothing = np.empty(0, np.int64)
    return CoreBatch(build_group(taken, range(len(taken)), 0, ingest_ns, nothing, nothing))
