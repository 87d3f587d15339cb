"""Core NATS: what arrives is kept, what cannot be kept is counted, and nothing pretends to have a sequence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import nats
import pytest
from tests.e2e.raw_client import Publication, RawClient
from tests.nats.rig import SUBJECT, assert_exactly, ledger, rig, rows, settings_for, until

from ticklake.base.clock import SystemClock
from ticklake.base.errors import UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.base.settings_groups import NatsSettings
from ticklake.files.local import LocalFiles
from ticklake.ingest.bus import NatsBus
from ticklake.ingest.intake import Intake
from ticklake.schema.lookup import TableCatalog
from ticklake.sink.encode import SegmentEncoder
from ticklake.sink.lane import Lane
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.writer import LaneWriter
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

MIB = 1024 * 1024


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as running:
        yield running


@pytest.fixture
async def bus(server: NatsServer) -> AsyncIterator[NatsBus]:
    connection = NatsBus(
        NatsSettings(url=server.url, mode="core"), clock=SystemClock(), metrics=Metrics(version="test")
    )
    await connection.connect()
    yield connection
    await connection.close()


async def publish(server: NatsServer, payloads: Sequence[bytes], **headers: str) -> None:
    client = await nats.connect(server.url)
    for payload in payloads:
        await client.publish(SUBJECT, payload, headers=headers or None)
    await client.flush()
    await client.close()


async def test_messages_arrive_without_sequences(server: NatsServer, bus: NatsBus, tmp_path: Path) -> None:
    expected = [b"m %d" % number for number in range(1000)]
    async with rig(tmp_path, bus) as writer:
        await writer.bound()
        await publish(server, expected[:500])
        await publish(server, expected[500:], Source="test")
        await writer.stored(1000)
        assert (writer.state.mode, writer.state.dropped, writer.lane.position.sequence) == ("core", 0, 0)
    assert_exactly(tmp_path, expected, duplicates=0)
    found = rows(tmp_path)
    assert found["stream_seq"].null_count() == 1000
    assert found["server_ns"].null_count() == 0
    assert found["headers"].null_count() == 500
    assert {(entry.incarnation, entry.first_seq, entry.last_seq) for entry in ledger(tmp_path)} == {(0, None, None)}


async def test_equal_messages_are_all_kept(server: NatsServer, bus: NatsBus, tmp_path: Path) -> None:
    """Without sequences nothing tells a repetition from a duplicate, so nothing is dropped as one."""
    async with rig(tmp_path, bus) as writer:
        await writer.bound()
        await publish(server, [b"same"] * 50)
        await writer.stored(50)
    assert_exactly(tmp_path, [b"same"] * 50, duplicates=0)


async def test_what_was_logged_survives_a_restart_of_either_side(
    server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    async with rig(tmp_path, bus) as writer:
        await writer.bound()
        await publish(server, [b"one"])
        await until(lambda: writer.counts.received == 1, "the message is in the log")
    async with rig(tmp_path, bus) as writer:
        await writer.bound()
        await publish(server, [b"two"])
        await writer.stored(1)
        before = bus.generation
        await asyncio.to_thread(server.restart)
        await until(lambda: bus.generation >= before + 2 and bus.is_connected, "connected again")
        await writer.bound()
        arrived = 0
        while not arrived:  # a subscription is only there when something arrives; until then NATS drops
            await publish(server, [b"three"])
            await asyncio.sleep(0.1)
            arrived = writer.counts.received - 1
        await publish(server, [b"four"])
        await until(lambda: b"four" in rows(tmp_path)["payload"].to_list(), "the last message is stored")
    found = rows(tmp_path)["payload"].to_list()
    assert [found.count(text) for text in (b"one", b"two", b"four")] == [1, 1, 1]
    assert_exactly(tmp_path, found)


class StalledDisk(LocalFiles):
    """A disk whose log cannot be synced until it is told so; it stands still, as disks do."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()
        self.is_slow = False

    def create(self, path: str):  # type: ignore[no-untyped-def]
        file = super().create(path)
        inner = file.sync

        def sync() -> None:
            if self.is_slow:
                assert self.may_go_on.wait(220), "the test never let the disk go on"
            inner()

        return _Slow(file, sync)


class _Slow:
    def __init__(self, file: object, sync: object) -> None:
        self._file, self.sync = file, sync

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)


async def test_beyond_its_memory_it_drops_and_counts_every_message(
    server: NatsServer, bus: NatsBus, tmp_path: Path
) -> None:
    """The log stands still while 160 MiB come; 128 MiB may wait."""
    disk, metrics = StalledDisk(), bus._metrics
    settings = settings_for(tmp_path)
    lane = Lane.open(
        files=disk,
        state_folder=str(settings.state_dir),
        data_root=str(settings.data_root),
        identity="00c0ffee",
        epoch=1,
        stream="MARKET_DATA",
        encode=SegmentEncoder(TableCatalog()),
        clock=SystemClock(),
        ballast_bytes=0,
    )
    policy = FlushPolicy(lambda _: FlushRule(10**9, 0.1), interval_min_s=0.0, bytes_max=1 << 30)
    writer = LaneWriter(lane, policy, clock=SystemClock(), metrics=metrics)
    feed = bus.feed(writer, stream="MARKET_DATA", subjects=["market.>"])
    sent = 41
    async with asyncio.timeout(220), asyncio.TaskGroup() as group:
        group.create_task(writer.run(), name="writer")
        running = group.create_task(feed.run(), name="feed")
        await until(lambda: feed.state.is_bound, "subscribed")
        await bus.request("$SYS.REQ.USER.INFO", b"")  # the server has seen our subscription
        disk.is_slow = True
        await publish(server, [b"first"])
        await until(lambda: writer.unsynced_since_ns is not None, "the log stands still")
        for number in range(sent - 1):  # one by one, so that the server never finds us too slow
            await publish(server, [number.to_bytes(4, "big") + bytes(4 * MIB - 4)])
            await bus.request("$SYS.REQ.USER.INFO", b"")  # answered behind the message
        await until(lambda: feed.state.dropped >= 8, "what does not fit was dropped")
        disk.may_go_on.set()
        dropped = feed.state.dropped
        await until(lambda: writer.counts.received + dropped == sent, "every other message is in the log")
        await until(lambda: _dropped(metrics) == dropped, "the metric says so too")
        feed.close_intake()
        await running
        writer.close_intake()
    assert dropped == 8, "40 messages of 4 MiB, room for 32"
    found = [payload[:4] for payload in rows(tmp_path)["payload"].to_list()]
    assert sorted(found) == sorted([b"firs", *(number.to_bytes(4, "big") for number in range(32))])


def _dropped(metrics: Metrics) -> int:
    return int(metrics.core_dropped_total.labels("market_data")._value.get())


async def test_a_subscription_is_at_the_server_before_it_is_said_to_be_there(server: NatsServer, bus: NatsBus) -> None:
    """A publisher that waits for ready loses nothing."""
    intake = Intake(bytes_max=MIB)
    with RawClient(server.url) as publisher:
        await bus.attach("at.once", intake)
        publisher.publish(Publication(b"at.once", b"first"))
        publisher.flush()  # the listener had no turn since
    await until(lambda: intake.messages == 1, "the first message is there")


async def test_a_subscription_that_the_server_never_confirmed_is_taken_back(
    server: NatsServer, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticklake.ingest.client._ROUND_TRIP_S", 0.2)
    intake = Intake(bytes_max=MIB)
    server.pause()
    with pytest.raises(UnavailableError, match="cannot subscribe to doubted"):
        await bus.attach("doubted", intake)
    monkeypatch.undo()
    server.resume()
    await bus.attach("doubted", intake)
    with RawClient(server.url) as publisher:
        publisher.publish(Publication(b"doubted", b"once"))
        publisher.flush()
    await until(lambda: intake.messages > 0, "the message is there")
    await bus.attach("after", Intake(bytes_max=MIB))  # a second copy would have come before its answer
    assert intake.messages == 1
