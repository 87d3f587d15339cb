"""A nats-server that is killed, frozen, purged and rebuilt under load: everything it confirmed is stored, once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError, NotFoundError
from tests.nats.rig import STREAM, SUBJECT, Rig, assert_exactly, payloads, rig, until
from tests.nats.test_connection_faults import running_bus

from ticklake.ingest.bus import NatsBus
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

CONSUMER = "ticklake-rig-market_data"


class Publisher:
    """Publishes until told to stop, sends again what was not confirmed, and remembers what was."""

    def __init__(self, jetstream: JetStreamContext, *, patience_s: float = 1.0) -> None:
        self.confirmed: list[bytes] = []
        self._jetstream = jetstream
        self._patience_s = patience_s
        self._is_over = False

    async def run(self) -> None:
        number = 0
        while not self._is_over:
            payload = b"m %d" % number
            try:
                headers = {"Nats-Msg-Id": f"id-{number}"}
                await self._jetstream.publish(SUBJECT, payload, headers=headers, timeout=self._patience_s)
            except (nats.errors.Error, TimeoutError, APIError, NoStreamResponseError, OSError):
                await asyncio.sleep(0.05)
                continue  # the same message again; its id makes the server keep one
            self.confirmed.append(payload)
            number += 1

    def stop(self) -> None:
        self._is_over = True


@asynccontextmanager
async def house(
    folder: Path, *, sync: SyncMode = SyncMode.DEFAULT
) -> AsyncIterator[tuple[NatsServer, JetStreamContext, NatsBus, Rig]]:
    """Server, an operator's client, bus and a running writer."""
    async with NatsServer(options=ServerOptions(sync=sync)) as server:
        admin = await nats.connect(server.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
        jetstream = admin.jetstream(timeout=30)
        await jetstream.add_stream(name=STREAM, subjects=["market.>"])
        try:
            async with running_bus(server.url) as bus, rig(folder, bus) as writer:
                yield server, jetstream, bus, writer
        finally:
            await admin.close()


@pytest.mark.parametrize("kills", [2, pytest.param(15, marks=pytest.mark.nightly)])
async def test_a_server_killed_under_load_costs_nothing_it_confirmed(kills: int, tmp_path: Path) -> None:
    async with house(tmp_path, sync=SyncMode.ALWAYS) as (server, jetstream, bus, writer):
        publisher = Publisher(jetstream)
        async with asyncio.TaskGroup() as group:
            group.create_task(publisher.run(), name="publisher")
            for round_number in range(kills):
                want = len(publisher.confirmed) + 150
                await until(lambda want=want: len(publisher.confirmed) >= want, f"{want} messages are confirmed")
                await until(lambda: bus.is_connected and writer.state.is_bound, "we read, when the server dies")
                if round_number % 2 == 0:
                    server.kill()
                await asyncio.to_thread(server.restart)
            want = len(publisher.confirmed) + 150
            await until(lambda: len(publisher.confirmed) >= want, "load goes on after the last kill")
            publisher.stop()
        info = await jetstream.stream_info(STREAM)
        await until(lambda: writer.lane.position.sequence == info.state.last_seq, "we reached the end of the stream")
        assert writer.lane.incarnation.number == 1, "sync always: no sequence is used again"
    assert int(str(bus.facts["reconnects"])) >= kills
    found = payloads(tmp_path)
    assert max(found.values()) == 1
    assert set(publisher.confirmed) <= set(found)
    assert_exactly(tmp_path, found.elements())
    assert len(found) == info.state.messages, "what is in the stream is in the lake, and nothing else"


async def test_acks_lost_in_a_frozen_server_cost_no_duplicate(tmp_path: Path) -> None:
    expected = [b"m %d" % number for number in range(300)]
    async with house(tmp_path) as (server, jetstream, bus, writer):
        await writer.bound()
        for payload in expected[:200]:
            await jetstream.publish(SUBJECT, payload)
        await until(lambda: writer.counts.received > 0, "messages flow")
        server.pause()  # acks leave us and are never read
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
        await until(lambda: bool(jetstream._nc.is_connected), "the publisher is back")
        for payload in expected[200:]:
            await jetstream.publish(SUBJECT, payload)
        await writer.stored(300)
        assert bus.facts["reconnects"] == 1
    assert_exactly(tmp_path, expected)


async def test_a_frozen_server_that_thaws_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path) as (server, jetstream, bus, writer):
        await jetstream.publish(SUBJECT, b"before")
        await writer.stored(1)
        server.pause()
        await asyncio.sleep(1.0)
        server.resume()
        await jetstream.publish(SUBJECT, b"after")
        await writer.stored(2)
        assert bus.facts["reconnects"] == 0
    assert_exactly(tmp_path, [b"before", b"after"])


async def test_an_operator_who_deletes_purges_and_rebuilds_under_load_is_survived(tmp_path: Path) -> None:
    async with house(tmp_path) as (_, jetstream, _, writer):
        # No ack is lost here. One that was given up would be asked for again, of a stream made anew that knows no id.
        publisher = Publisher(jetstream, patience_s=30.0)
        async with asyncio.TaskGroup() as group:
            group.create_task(publisher.run(), name="publisher")
            for step in ("consumer", "purge", "consumer", "stream"):
                want = len(publisher.confirmed) + 100
                await until(lambda want=want: len(publisher.confirmed) >= want, f"{want} messages before {step}")
                if step == "consumer":
                    await until(lambda: writer.state.is_bound, "a consumer is there to be deleted")
                    with suppress(NotFoundError):  # the first deletion may not have been noticed yet
                        await jetstream.delete_consumer(STREAM, CONSUMER)
                elif step == "purge":
                    await jetstream.purge_stream(STREAM)
                else:
                    await jetstream.delete_stream(STREAM)
                    await jetstream.add_stream(name=STREAM, subjects=["market.>"])
            want = len(publisher.confirmed) + 100
            await until(lambda: len(publisher.confirmed) >= want, "load goes on")
            publisher.stop()
        info = await jetstream.stream_info(STREAM)
        await until(
            lambda: writer.lane.incarnation.number == 2 and writer.lane.position.sequence == info.state.last_seq,
            "we reached the end of the new stream",
        )
        assert writer.state.alarm.startswith("stream_recreated")
        missing = writer.counts.missing
    found = payloads(tmp_path)
    assert set(found) <= set(publisher.confirmed)
    assert max(found.values()) == 1
    assert_exactly(tmp_path, found.elements())
    new_stream = Counter(publisher.confirmed[-info.state.messages :])
    assert new_stream <= found, "everything in the stream that is left is in the lake"
    lost = len(publisher.confirmed) - found.total()
    assert missing <= lost, "what was purged unread is booked; what the deleted stream took with it cannot be"
