"""The line to the server goes bad in every way: the bus heals by itself, and the lake misses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nats
import pytest
from tests.nats.proxy import Fault, Proxy
from tests.nats.rig import SUBJECT, assert_exactly, rig, until

from ticklake.base.clock import SystemClock
from ticklake.base.metrics import Metrics
from ticklake.base.settings_groups import NatsSettings
from ticklake.ingest.bus import NatsBus
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer


@asynccontextmanager
async def running_bus(url: str) -> AsyncIterator[NatsBus]:
    bus = NatsBus(NatsSettings(url=url), clock=SystemClock(), metrics=Metrics(version="test"))
    task = asyncio.ensure_future(bus.run())
    try:
        await until(lambda: bus.is_connected, "the bus is connected")
        yield bus
    finally:
        bus.close_intake()
        async with asyncio.timeout(60):
            await task


@pytest.fixture
async def server() -> AsyncIterator[NatsServer]:
    async with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as running:
        admin = await nats.connect(running.url)
        await admin.jetstream(timeout=30).add_stream(name="MARKET_DATA", subjects=["market.>"])
        await admin.close()
        yield running


async def publish(url: str, *payloads: bytes) -> None:
    client = await nats.connect(url)
    for payload in payloads:
        await client.jetstream(timeout=30).publish(SUBJECT, payload)
    await client.close()


DIALS = {Fault.RESET: 2, Fault.KILLED: 2, Fault.HALF_OPEN: 3, Fault.BLACKHOLE: 2, Fault.TRICKLE: 2}
NOTICED_S = 15.0  # two pings of 4 s without an answer, the next one due, and what a busy machine adds


async def test_a_bad_line_is_given_up_and_dialled_again(server: NatsServer, tmp_path: Path) -> None:
    """All faults at once, each on a line and a lake of its own: the slowest takes three pings to notice."""
    first, second = [b"first %d" % i for i in range(50)], [b"second %d" % i for i in range(50)]

    async def live_through(fault: Fault, *, is_struck: asyncio.Barrier) -> None:
        folder, name = tmp_path / fault.value, fault.name.replace("_", "").lower()
        folder.mkdir()
        proxy = Proxy(urlsplit(server.url).port or 0)
        async with (
            proxy.listening() as url,
            running_bus(url) as bus,
            rig(folder, bus, writer_id=name) as writer,
        ):
            await writer.stored(50)
            proxy.strike(fault)
            noticed = asyncio.create_task(
                until(lambda: proxy.accepted > 1, f"{fault} is noticed", patience_s=NOTICED_S)
            )
            await is_struck.wait()
            await noticed
            await writer.stored(100)
            assert bus.is_connected
            # A dial that is slow on a busy machine is made again; one every half a second would be forty.
            assert DIALS[fault] <= proxy.accepted <= DIALS[fault] + 6, fault
            assert writer.lane.incarnation.number == 1
            assert not writer.state.alarm
        assert_exactly(folder, first + second)

    await publish(server.url, *first)
    barrier = asyncio.Barrier(len(Fault) + 1)
    async with asyncio.TaskGroup() as group:
        for fault in Fault:
            group.create_task(live_through(fault, is_struck=barrier), name=fault.value)
        await barrier.wait()
        await publish(server.url, *second)


async def test_a_read_loop_that_died_is_noticed_and_replaced(server: NatsServer, tmp_path: Path) -> None:
    """The client logs the death of its reader and goes on looking connected; without the watchdog it stays deaf."""
    async with running_bus(server.url) as bus, rig(tmp_path, bus) as writer:
        await writer.bound()
        client = bus._client
        assert client is not None
        assert not client.is_reader_dead()
        assert client._reading_task is not None
        client._reading_task.cancel()
        await until(client.is_reader_dead, "the reader is dead")
        assert bus.is_connected, "the client does not know it"
        await publish(server.url, b"heard")
        await until(lambda: bus.facts["reconnects"] == 1, "the watchdog reconnected")
        await writer.stored(1)
        assert bus._client is client
    assert_exactly(tmp_path, [b"heard"])


async def test_a_server_that_is_down_at_the_start_is_waited_for(server: NatsServer, tmp_path: Path) -> None:
    await asyncio.to_thread(server.kill)
    bus = NatsBus(NatsSettings(url=server.url), clock=SystemClock(), metrics=Metrics(version="test"))
    task = asyncio.ensure_future(bus.run())
    async with rig(tmp_path, bus) as writer:
        await until(lambda: writer.state.problem == "waiting for the connection", "the feed says what it waits for")
        await asyncio.to_thread(server.start)
        await publish(server.url, b"at last")
        await writer.stored(1)
    bus.close_intake()
    await task
    assert_exactly(tmp_path, [b"at last"])


async def test_a_stop_while_the_server_is_away_is_prompt_and_keeps_what_is_logged(
    server: NatsServer, tmp_path: Path
) -> None:
    async with running_bus(server.url) as bus:
        async with rig(tmp_path, bus) as writer:
            await publish(server.url, b"logged")
            await until(lambda: writer.counts.received == 1, "the message is in the log")
            await asyncio.to_thread(server.kill)
        assert_exactly(tmp_path, [b"logged"])
        await asyncio.to_thread(server.start)


async def test_any_server_of_a_cluster_list_will_do(server: NatsServer, tmp_path: Path) -> None:
    async with running_bus(f"nats://127.0.0.1:1,{server.url}") as bus, rig(tmp_path, bus) as writer:
        await publish(server.url, b"m")
        await writer.stored(1)
    assert_exactly(tmp_path, [b"m"])
