"""One feed on a model of the server: silence, and a server that came back with less and earlier."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.crash.mill import DATA
from tests.unit.sink.test_writer import new_writer, stored, until

from ticklake.base.metrics import Metrics
from ticklake.ingest.api import JetStreamApi
from ticklake.ingest.consumer import explicit_consumer
from ticklake.ingest.intake import Intake
from ticklake.ingest.pull import SILENCE_S
from ticklake.ingest.stream_feed import StreamFeed
from ticklake.lake.ledger import read_ledger
from ticklake.sink.writer import LaneWriter
from ticklake.testing.clock import NS_PER_S, ManualClock
from ticklake.testing.disk import CrashDisk
from ticklake.testing.jetstream import FakeJetStream

STREAM = "MODEL"


@asynccontextmanager
async def fed(server: FakeJetStream, writer: LaneWriter, clock: ManualClock) -> AsyncIterator[StreamFeed]:
    """A feed and its writer beside the block, drained behind it."""
    feed = StreamFeed(
        server,
        writer,
        stream=STREAM,
        subjects=["model.>"],
        consumer="c",
        clock=clock,
        metrics=Metrics(version="test"),
        sync_interval_s=0.0,
    )
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        group.create_task(writer.run(), name="writer")
        feeding = group.create_task(feed.run(), name="feed")
        await until(lambda: feed.state.is_bound, "the consumer is ours")
        yield feed
        feed.close_intake()
        await feeding
        writer.close_intake()


async def turns(count: int = 20) -> None:
    """Let the other tasks go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def a_wake_that_brings_nothing(writer: LaneWriter) -> None:
    writer.hold(True)
    writer.hold(False)
    await turns()


async def test_silence_is_noticed_although_the_feed_is_woken_all_the_time() -> None:
    disk = CrashDisk()
    (writer, clock), server = new_writer(disk), FakeJetStream(ManualClock())
    server.create_stream(STREAM, "model.>")
    async with fed(server, writer, clock) as feed:
        await turns()
        clock.advance(SILENCE_S - 1)
        await a_wake_that_brings_nothing(writer)
        server.add(STREAM, "model.a", b'{"id":1}')  # the line lives after all
        await until(lambda: writer.counts.received == 1, "the message is in the log")
        for _ in range(int(SILENCE_S)):
            assert feed.state.is_bound
            clock.advance(1)
            await a_wake_that_brings_nothing(writer)
        clock.advance(1)
        await a_wake_that_brings_nothing(writer)
        assert (feed.state.is_bound, feed.state.problem) == (False, f"no heartbeat for {SILENCE_S:g} s")
        server.add(STREAM, "model.a", b'{"id":2}')
        await until(lambda: writer.counts.received == 2, "the consumer was made anew")
    assert [(entry.stored, entry.duplicates) for entry in read_ledger(disk, DATA)] == [(2, 0)]


async def test_silence_means_nothing_while_nothing_is_asked_for() -> None:
    disk = CrashDisk()
    (writer, clock), server = new_writer(disk), FakeJetStream(ManualClock())
    server.create_stream(STREAM, "model.>")
    writer.hold(True)
    async with fed(server, writer, clock) as feed:
        await turns()
        clock.advance(10 * SILENCE_S)
        writer.flush()
        await turns()
        writer.hold(False)  # only now it asks
        await turns()
        assert feed.state.is_bound
        clock.advance(SILENCE_S - 1)
        await a_wake_that_brings_nothing(writer)
        assert feed.state.is_bound
        clock.advance(1)
        await a_wake_that_brings_nothing(writer)
        assert not feed.state.is_bound


@pytest.mark.parametrize("wakes", [1, 5])
async def test_only_the_end_of_a_hold_wakes_the_feed(wakes: int) -> None:
    writer, _ = new_writer(CrashDisk())
    woken: list[bool] = []
    writer.on_room(lambda: woken.append(True))
    for _ in range(3):
        writer.hold(False)
    assert woken == [], "it was never held"
    for _ in range(wakes):
        writer.hold(True)
        writer.hold(True)
        writer.hold(False)
        writer.hold(False)
    assert len(woken) == wakes
    writer.lane.close()


def publish(server: FakeJetStream, clock: ManualClock, *numbers: int) -> None:
    """One message a second."""
    for number in numbers:
        clock.advance(1)
        server.add(STREAM, "model.a", b'{"id":%d}' % number)


async def five_messages_are_held(retention: str) -> tuple[CrashDisk, ManualClock, FakeJetStream]:
    """Five messages that a feed has read and acked: the disk that holds them, the clock of the server, the server."""
    disk, server_clock = CrashDisk(), ManualClock()
    server = FakeJetStream(server_clock)
    server.create_stream(STREAM, "model.>", retention=retention)
    writer, clock = new_writer(disk)
    async with fed(server, writer, clock):
        publish(server, server_clock, 1, 2, 3, 4, 5)
        await until(lambda: writer.counts.received == 5, "five messages are in the log")
    return disk, server_clock, server


def lose_the_tail_and_step_back(server: FakeJetStream, clock: ManualClock, lost: int) -> None:
    """The power goes while nobody reads; the server comes back with less, and earlier."""
    server.lose_tail(STREAM, lost)
    clock.set_wall_ns(clock.wall_ns() - 10 * NS_PER_S)


async def test_new_messages_of_a_server_whose_clock_went_back_are_stored_though_older_than_our_position() -> None:
    disk, server_clock, server = await five_messages_are_held("limits")
    lose_the_tail_and_step_back(server, server_clock, 2)
    publish(server, server_clock, 14, 15, 16)
    writer, clock = new_writer(disk)
    async with fed(server, writer, clock) as feed:
        await until(lambda: writer.counts.received == 6, "all of the stream was read")
        assert feed.state.alarm == "sequence_reused after sequence 5 of incarnation 1"
    assert stored(disk) == [1, 1, 2, 2, 3, 3, 4, 5, 14, 15, 16], "nothing is lost; what the server kept is there twice"
    writer, clock = new_writer(disk)
    async with fed(server, writer, clock) as feed:
        assert feed.state.alarm == "", "the new life is known"
        server.add(STREAM, "model.a", b'{"id":17}')
        await until(lambda: writer.counts.received == 1, "reading goes on behind it")
    assert stored(disk)[-4:] == [14, 15, 16, 17]


async def a_connection_that_is_cut_gets_the_first_one(server: FakeJetStream) -> None:
    """It makes the consumer and asks for one message, whose ack never leaves."""
    await JetStreamApi(server).create_consumer(STREAM, explicit_consumer("c", subjects=None, is_late=False))
    number = await server.attach("cut", Intake())
    await server.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.c", b'{"batch":1}', reply="cut")
    await server.detach(number)


async def test_a_work_queue_that_lost_its_tail_drops_no_message_that_comes_behind_later_ones() -> None:
    """Sequences 4 and 5 are used again; 5 comes first, 4 was on its way to an earlier connection and comes again."""
    disk, server_clock, server = await five_messages_are_held("workqueue")
    server.lose_tail(STREAM, 2)
    server.drop_consumer(STREAM)
    publish(server, server_clock, 14, 15, 16)
    await a_connection_that_is_cut_gets_the_first_one(server)
    writer, clock = new_writer(disk)
    async with fed(server, writer, clock) as feed:
        await until(lambda: writer.counts.received == 2, "the two behind it came")
        server.expire_acks(STREAM)
        await until(lambda: writer.counts.received == 3, "it came, too")
        assert feed.state.alarm == "sequence_reused after sequence 5 of incarnation 1"
    assert (stored(disk), writer.counts.duplicates) == ([1, 2, 3, 4, 5, 14, 15, 16], 0)
    assert server.pending_acks(STREAM) == 0


async def test_a_work_queue_whose_clock_went_back_drops_no_new_message_as_a_duplicate() -> None:
    disk, server_clock, server = await five_messages_are_held("workqueue")
    lose_the_tail_and_step_back(server, server_clock, 2)
    server.drop_consumer(STREAM)  # the server remembers it no better than the messages
    publish(server, server_clock, 14, 15, 16)
    writer, clock = new_writer(disk)
    async with fed(server, writer, clock) as feed:
        await until(lambda: writer.counts.received == 3, "three more came")
        assert feed.state.alarm == "sequence_reused after sequence 5 of incarnation 1"
    assert (stored(disk), writer.counts.duplicates) == ([1, 2, 3, 4, 5, 14, 15, 16], 0)
    assert server.pending_acks(STREAM) == 0
