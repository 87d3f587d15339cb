"""Core NATS behind the brake: what cannot be logged waits, then is dropped and counted; so is the time unsubscribed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.unit.sink.test_writer import new_writer, stored, until

from ticklake.base.errors import UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.ingest.core_feed import CoreFeed
from ticklake.ingest.intake import Intake
from ticklake.sink.writer import LaneWriter
from ticklake.testing.clock import ManualClock
from ticklake.testing.disk import CrashDisk

PAYLOAD = b'{"id":%d}'


class Line:
    """A wire of plain subscriptions that breaks when it is told to."""

    inbox_prefix = "_I"

    def __init__(self) -> None:
        self.generation = 1
        self.intakes: dict[int, Intake] = {}
        self.refusals = 0
        self._stands = asyncio.Event()
        self._stands.set()

    def send(self, *numbers: int) -> None:
        for intake in self.intakes.values():
            for number in numbers:
                intake.add(b"s", b"", None, PAYLOAD % number)

    def break_off(self) -> None:
        self._stands.clear()
        self._changed()

    def heal(self, *, refusals: int = 0) -> None:
        self.refusals = refusals
        self._stands.set()
        self._changed()

    def _changed(self) -> None:
        self.generation += 1
        for intake in self.intakes.values():
            intake.arrived.set()

    async def wait_connected(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                await self._stands.wait()
        except TimeoutError:
            return False
        return True

    async def request(self, subject: str, payload: bytes) -> bytes:
        raise AssertionError("core NATS asks for nothing")

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        raise AssertionError("core NATS acks nothing")

    async def attach(self, subject: str, intake: Intake) -> int:
        if self.refusals:
            self.refusals -= 1
            raise UnavailableError("cannot subscribe")
        self.intakes[1] = intake
        return 1

    async def detach(self, number: int) -> None:
        del self.intakes[number]


@asynccontextmanager
async def fed(line: Line, writer: LaneWriter, clock: ManualClock, metrics: Metrics) -> AsyncIterator[CoreFeed]:
    feed = CoreFeed(line, writer, subjects=["s"], clock=clock, metrics=metrics, sync_interval_s=0.0)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(writer.run(), name="writer")
        feeding = group.create_task(feed.run(), name="feed")
        yield feed
        feed.close_intake()
        await feeding
        writer.close_intake()


def gap_s(metrics: Metrics) -> float:
    return float(metrics.core_gap_seconds_total.labels("model")._value.get())


async def test_without_room_messages_wait_in_their_bound_and_the_rest_is_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ticklake.ingest.core_feed._WAITING_BYTES_MAX", 3 * len(PAYLOAD % 1))
    line, metrics, disk = Line(), Metrics(version="test"), CrashDisk()
    writer, clock = new_writer(disk)
    async with fed(line, writer, clock, metrics) as feed:
        await until(lambda: feed.state.is_bound, "subscribed")
        writer.hold(True)
        line.send(1, 2, 3, 4, 5)
        await until(lambda: metrics.core_dropped_total.labels("model")._value.get() == 2, "the loss is counted")
        assert (writer.counts.received, feed.state.dropped) == (0, 2)
        writer.hold(False)
        await until(lambda: writer.counts.received == 3, "what waited is in the log")
        line.send(6)
        await until(lambda: writer.counts.received == 4, "it goes on")
        writer.hold(True)
        line.send(7)
    assert stored(disk) == [1, 2, 3, 6, 7], "at the end what arrived is logged, room or not"


async def test_a_segment_that_cannot_be_committed_is_a_brake_too() -> None:
    line, metrics = Line(), Metrics(version="test")
    writer, clock = new_writer(CrashDisk(), bytes_max=1)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:  # nobody flushes
        feed = CoreFeed(line, writer, subjects=["s"], clock=clock, metrics=metrics, sync_interval_s=0.0)
        feeding = group.create_task(feed.run(), name="feed")
        await until(lambda: feed.state.is_bound, "subscribed")
        line.send(1)
        await until(lambda: writer.counts.received == 1, "the first is in the log, which is full now")
        line.send(2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (writer.has_room, writer.counts.received, line.intakes[1].messages) == (False, 1, 1)
        feed.close_intake()
        await feeding
    assert writer.counts.received == 2


async def test_the_time_without_a_subscription_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticklake.ingest.core_feed._LOOK_S", 0.01)
    line, metrics = Line(), Metrics(version="test")
    writer, clock = new_writer(CrashDisk())
    line.break_off()
    async with fed(line, writer, clock, metrics) as feed:
        await asyncio.sleep(0)
        clock.advance(100)
        line.heal()
        await until(lambda: feed.state.is_bound, "subscribed")
        assert gap_s(metrics) == 0, "before the first subscription nothing was interrupted"
        for gone_s in (7, 5):
            line.break_off()
            await until(lambda: not feed.state.is_bound, "the loss is noticed")
            clock.advance(gone_s)
            line.heal(refusals=gone_s == 5)
            await until(lambda: feed.state.is_bound, "subscribed again")
        assert gap_s(metrics) == 12
        line.break_off()
        await until(lambda: not feed.state.is_bound, "the loss is noticed")
        clock.advance(3)
    assert gap_s(metrics) == 15, "also the gap that never ended"


def test_a_lane_shows_its_gap_from_the_start() -> None:
    metrics = Metrics(version="test")
    metrics.begin_lane("model")
    assert metrics.registry.get_sample_value("ticklake_ingest_core_gap_seconds_total", {"lane": "model"}) == 0
