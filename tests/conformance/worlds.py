"""Two servers with one face: the model in memory and the real one, and the faults both can have."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import nats
from nats.aio.client import Client
from nats.js import JetStreamContext
from tests.nats.rig import STREAM, SUBJECT, until

from ticklake.base.clock import SystemClock
from ticklake.base.metrics import Metrics
from ticklake.base.settings_groups import NatsSettings
from ticklake.ingest.bus import NatsBus
from ticklake.ingest.intake import Intake
from ticklake.ingest.stream_feed import StreamFeed
from ticklake.ingest.wire import Wire
from ticklake.sink.feed import BatchWriter, Feed
from ticklake.testing.jetstream import FakeJetStream
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

CONSUMER = "ticklake-rig-market_data"


class Tap:
    """A wire that counts what passes and can lose acks, as a network may."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.creations = 0
        self.are_acks_lost = False
        self.lost_acks: list[str] = []

    @property
    def lost_sequences(self) -> set[int]:
        """Of the stream, from the subjects of the acks: `...delivered.sequence.consumer_sequence.time.pending`."""
        return {int(subject.split(".")[-4]) for subject in self.lost_acks}

    @property
    def generation(self) -> int:
        return self.wire.generation

    @property
    def inbox_prefix(self) -> str:
        return self.wire.inbox_prefix

    async def wait_connected(self, timeout_s: float) -> bool:
        return await self.wire.wait_connected(timeout_s)

    async def request(self, subject: str, payload: bytes) -> bytes:
        self.creations += subject.startswith("$JS.API.CONSUMER.CREATE.")
        return await self.wire.request(subject, payload)

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        if self.are_acks_lost and subject.startswith("$JS.ACK."):
            self.lost_acks.append(subject)
        else:
            await self.wire.publish(subject, payload, reply)

    async def attach(self, subject: str, intake: Intake) -> int:
        return await self.wire.attach(subject, intake)

    async def detach(self, number: int) -> None:
        await self.wire.detach(number)


class TapBus:
    """A `Bus` over any wire, built as the real one builds its feeds."""

    def __init__(self, wire: Wire) -> None:
        self.tap = Tap(wire)
        self.facts: dict[str, object] = {}

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    def feed(self, writer: BatchWriter, *, stream: str, subjects: Sequence[str]) -> Feed:
        return StreamFeed(
            self.tap,
            writer,
            stream=stream,
            subjects=subjects,
            consumer=CONSUMER,
            clock=SystemClock(),
            metrics=Metrics(version="test"),
            sync_interval_s=0.001,
        )


class World(Protocol):
    """A server, seen from its publisher and from whoever hurts it."""

    bus: TapBus

    async def publish(self, *texts: bytes) -> list[int]: ...

    async def delete(self, sequence: int) -> None: ...

    async def purge(self) -> None: ...

    async def recreate(self) -> None: ...

    async def mark(self) -> None:
        """Remember the stream as it is."""
        ...

    async def lose_tail(self) -> None:
        """The stream is as it was at `mark`; what came later is gone, and its sequences will be used again."""
        ...

    async def redeliver(self) -> None:
        """What was delivered and not acked comes again."""
        ...

    async def drop_consumer(self) -> None: ...

    async def disconnect(self) -> None: ...


class FakeWorld:
    def __init__(self, retention: str) -> None:
        self.server = FakeJetStream(SystemClock())
        self.server.create_stream(STREAM, "market.>", retention=retention)
        self.bus = TapBus(self.server)
        self._last = self._marked = 0

    async def publish(self, *texts: bytes) -> list[int]:
        found = [self.server.add(STREAM, SUBJECT, text) for text in texts]
        self._last = found[-1]
        return found

    async def delete(self, sequence: int) -> None:
        self.server.delete_message(STREAM, sequence)

    async def purge(self) -> None:
        self.server.purge(STREAM)

    async def recreate(self) -> None:
        self.server.recreate(STREAM)
        self._last = 0

    async def mark(self) -> None:
        self._marked = self._last

    async def lose_tail(self) -> None:
        self.server.lose_tail(STREAM, self._last - self._marked)
        self._last = self._marked

    async def redeliver(self) -> None:
        self.server.expire_acks(STREAM)

    async def drop_consumer(self) -> None:
        self.server.drop_consumer(STREAM)

    async def disconnect(self) -> None:
        self.server.disconnect()


class RealWorld:
    def __init__(self, server: NatsServer, admin: Client, bus: NatsBus, retention: str) -> None:
        self.server = server
        self.bus = TapBus(bus)
        self._real = bus
        self._admin = admin
        self._jetstream: JetStreamContext = admin.jetstream(timeout=30)
        self._config: dict[str, Any] = {"name": STREAM, "subjects": ["market.>"], "retention": retention}

    async def open(self) -> None:
        await self._jetstream.add_stream(**self._config)

    async def publish(self, *texts: bytes) -> list[int]:
        return [(await self._jetstream.publish(SUBJECT, text)).seq for text in texts]

    async def delete(self, sequence: int) -> None:
        await self._jetstream.delete_msg(STREAM, sequence)

    async def purge(self) -> None:
        await self._jetstream.purge_stream(STREAM)

    async def recreate(self) -> None:
        await self._jetstream.delete_stream(STREAM)
        await self.open()

    async def mark(self) -> None:
        await asyncio.to_thread(self._swap_store, is_restored=False)
        await self._healed()

    async def lose_tail(self) -> None:
        await asyncio.to_thread(self._swap_store, is_restored=True)
        await self._healed()

    async def redeliver(self) -> None:
        for subject in self.bus.tap.lost_acks:
            await self._admin.publish(subject, b"-NAK")
        await self._admin.flush()

    async def drop_consumer(self) -> None:
        await self._jetstream.delete_consumer(STREAM, CONSUMER)

    async def disconnect(self) -> None:
        before = self._real.generation
        await asyncio.to_thread(self.server.restart)
        await until(lambda: self._real.generation > before and self._real.is_connected, "the bus is connected again")
        await self._healed()

    async def _healed(self) -> None:
        await until(lambda: bool(self._real.is_connected and self._admin.is_connected), "both clients are back")

    def _swap_store(self, *, is_restored: bool) -> None:
        copy = self.server.folder / "marked"
        self.server.kill()
        if is_restored:
            shutil.rmtree(self.server.store_dir)
            shutil.copytree(copy, self.server.store_dir)
        else:
            shutil.copytree(self.server.store_dir, copy)
        self.server.start()


@asynccontextmanager
async def open_world(kind: str, folder: Path, *, retention: str = "limits") -> AsyncIterator[World]:
    """The fake or the real one, with an empty stream."""
    if kind == "fake":
        yield FakeWorld(retention)
        return
    async with NatsServer(folder / "nats", options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        admin = await nats.connect(server.url, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
        bus = NatsBus(NatsSettings(url=server.url), clock=SystemClock(), metrics=Metrics(version="test"))
        running = asyncio.ensure_future(bus.run())
        try:
            await until(lambda: bus.is_connected, "the bus is connected")
            world = RealWorld(server, admin, bus, retention)
            await world.open()
            yield world
        finally:
            bus.close_intake()
            await running
            await admin.close()
