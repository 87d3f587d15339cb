"""`ack_after = commit`: the server hears nothing of a message before it is in the lake, and then it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo
from tests.nats.rig import STREAM, SUBJECT, Rig, assert_exactly, settings_for, until
from tests.nats.test_connection_faults import running_bus

from ticklake.base.settings_groups import BronzeSettings
from ticklake.bronze.writer import BronzeWriter
from ticklake.ingest.bus import NatsBus
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

CONSUMER = "ticklake-rig-market_data"
PAYLOADS = [b"m %d" % number for number in range(200)]


@asynccontextmanager
async def stream(
    retention: str = "limits", *, ack_wait_s: float | None = None
) -> AsyncIterator[tuple[str, JetStreamContext]]:
    """A stream; with an ack wait also our consumer on it."""
    async with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        client = await nats.connect(server.url)
        jetstream = client.jetstream(timeout=30)
        await jetstream.add_stream(name=STREAM, subjects=["market.>"], retention=retention)
        if ack_wait_s is not None:
            await jetstream.add_consumer(
                STREAM,
                name=CONSUMER,
                durable_name=CONSUMER,
                ack_policy="explicit",
                deliver_policy="all",
                ack_wait=ack_wait_s,
            )
        try:
            yield server.url, jetstream
        finally:
            await client.close()


@asynccontextmanager
async def patient_rig(folder: Path, bus: NatsBus) -> AsyncIterator[Rig]:
    """A writer that flushes when it is told to, and acks after the commit."""
    settings = settings_for(folder).model_copy(
        update={"ack_after": "commit", "bronze": BronzeSettings(flush_seconds=3000, flush_rows=10**6)}
    )
    writer = BronzeWriter(bus, settings=settings)
    await writer.start()
    try:
        yield Rig(writer, settings)
    finally:
        await writer.stop()


async def look(jetstream: JetStreamContext) -> ConsumerInfo:
    return await jetstream.consumer_info(STREAM, CONSUMER)


async def publish(jetstream: JetStreamContext, payloads: list[bytes]) -> None:
    for payload in payloads:
        await jetstream.publish(SUBJECT, payload)


async def until_acked(jetstream: JetStreamContext, sequence: int) -> None:
    async with asyncio.timeout(60):
        while (await look(jetstream)).ack_floor.stream_seq < sequence:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.05)


async def until_empty(jetstream: JetStreamContext) -> None:
    async with asyncio.timeout(60):
        while (await jetstream.stream_info(STREAM)).state.messages:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("retention", ["limits", "workqueue"])
async def test_the_ack_leaves_with_the_commit(retention: str, tmp_path: Path) -> None:
    async with stream(retention) as (url, jetstream), running_bus(url) as bus, patient_rig(tmp_path, bus) as rig:
        await publish(jetstream, PAYLOADS[:100])
        await until(lambda: rig.counts.received == 100, "100 messages are in the log")
        await asyncio.sleep(0.3)
        before = await look(jetstream)
        assert (before.ack_floor.stream_seq, before.num_ack_pending) == (0, 100)
        rig.writer.flush_all()
        await rig.stored(100)
        await until_acked(jetstream, 100)
        await publish(jetstream, PAYLOADS[100:])
        await until(lambda: rig.counts.received == 200, "all messages are in the log")
        await rig.writer.stop()  # drains: commit first, then the acks, then the connection
        await until_acked(jetstream, 200)
        assert (await look(jetstream)).num_ack_pending == 0
    assert_exactly(tmp_path, PAYLOADS, duplicates=0)


async def test_a_work_queue_is_told_that_we_are_at_it(tmp_path: Path) -> None:
    async with (
        stream("workqueue", ack_wait_s=4.0) as (url, jetstream),
        running_bus(url) as bus,
        patient_rig(tmp_path, bus) as rig,
    ):
        await publish(jetstream, PAYLOADS)
        await until(lambda: rig.counts.received == 200, "all messages are in the log")
        await asyncio.sleep(9.0)  # more than twice the ack wait
        assert (rig.counts.duplicates, (await look(jetstream)).num_redelivered or 0) == (0, 0)
        assert (await jetstream.stream_info(STREAM)).state.messages == 200
        rig.writer.flush_all()
        await rig.stored(200)
        await until_empty(jetstream)
    assert_exactly(tmp_path, PAYLOADS, duplicates=0)


async def test_a_redelivered_message_is_acked_when_its_first_copy_is_in_the_lake(tmp_path: Path) -> None:
    async with (
        stream("workqueue", ack_wait_s=60.0) as (url, jetstream),
        running_bus(url) as bus,
        patient_rig(tmp_path, bus) as rig,
    ):
        await publish(jetstream, PAYLOADS[:50])
        acks = rig.writer.feeds[0]._acks  # type: ignore[attr-defined]
        await until(lambda: sum(map(len, acks._waiting.values())) == 50, "all acks wait for the commit")
        for reply in [reply for waiting in acks._waiting.values() for reply in waiting][:20]:
            await bus.publish(reply.decode(), b"-NAK")
        await rig.duplicates(20)
        await asyncio.sleep(0.2)
        assert (await jetstream.stream_info(STREAM)).state.messages == 50, "acked before it was in the lake"
        rig.writer.flush_all()
        await rig.stored(50)
        await until_empty(jetstream)
    assert_exactly(tmp_path, PAYLOADS[:50], duplicates=20)


async def test_a_restart_reads_nothing_twice(tmp_path: Path) -> None:
    async with stream() as (url, jetstream), running_bus(url) as bus:
        await publish(jetstream, PAYLOADS[:100])
        async with patient_rig(tmp_path, bus) as rig:
            await until(lambda: rig.counts.received == 100, "100 messages are in the log")
            rig.writer.feeds[0]._acks.committed = _say_nothing  # type: ignore[attr-defined] - every ack is lost
            rig.writer.writers[0]._after_commit = _say_nothing
        async with patient_rig(tmp_path, bus) as rig:
            await publish(jetstream, PAYLOADS[100:])
            await until(lambda: rig.counts.received == 100, "the rest is in the log")
            assert rig.counts.duplicates == 0
    assert_exactly(tmp_path, PAYLOADS, duplicates=0)


async def _say_nothing(_segment: int) -> None:
    """An ack that never arrives."""
