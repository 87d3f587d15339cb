"""Streams that forget what was acked: the log is the only copy, so nothing may be acked too early or stored twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext
from tests.nats.rig import STREAM, SUBJECT, assert_exactly, payloads, rig, until
from tests.nats.test_connection_faults import running_bus

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

CONSUMER = "ticklake-rig-market_data"
RETENTIONS = pytest.mark.parametrize("retention", ["workqueue", "interest"])


@asynccontextmanager
async def stream(retention: str, *, ack_wait_s: float = 60.0) -> AsyncIterator[tuple[NatsServer, JetStreamContext]]:
    """A stream with our consumer on it; what is not acked comes again after `ack_wait_s`."""
    async with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        client = await nats.connect(server.url, reconnect_time_wait=0.05)
        jetstream = client.jetstream(timeout=30)
        await jetstream.add_stream(name=STREAM, subjects=["market.>"], retention=retention)
        await jetstream.add_consumer(
            STREAM,
            name=CONSUMER,
            durable_name=CONSUMER,
            ack_policy="explicit",
            deliver_policy="all",
            ack_wait=ack_wait_s,
        )
        try:
            yield server, jetstream
        finally:
            await client.close()


async def until_empty(jetstream: JetStreamContext) -> None:
    """Until every message is acked: the server takes an ack when it likes."""
    async with asyncio.timeout(60):
        while (await jetstream.stream_info(STREAM)).state.messages:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.05)


@RETENTIONS
async def test_what_is_stored_is_acked_and_gone_from_the_stream(retention: str, tmp_path: Path) -> None:
    expected = [b"m %d" % number for number in range(500)]
    async with stream(retention) as (server, jetstream), running_bus(server.url) as bus:
        for life in range(2):
            async with rig(tmp_path, bus) as writer:
                for payload in expected[life * 250 : life * 250 + 250]:
                    await jetstream.publish(SUBJECT, payload)
                await writer.stored(250)
                assert writer.state.mode == "explicit"
                assert writer.lane.tracks_seen
                assert not writer.state.alarm
        await until_empty(jetstream)
    assert_exactly(tmp_path, expected, duplicates=0)


@RETENTIONS
async def test_a_killed_service_stores_each_message_once(retention: str, tmp_path: Path) -> None:
    expected = [b"m %d" % number for number in range(1500)]
    async with stream(retention, ack_wait_s=1.0) as (server, jetstream):
        for kill in range(3):
            process = await _serve(server.url, tmp_path)
            try:
                for payload in expected[kill * 500 : kill * 500 + 500]:
                    await jetstream.publish(SUBJECT, payload)
                want = kill * 500 + 300
                await until(lambda want=want: payloads(tmp_path).total() >= want, f"{want} messages are in files")
            finally:
                process.send_signal(signal.SIGKILL)
                await process.wait()
        async with running_bus(server.url) as bus, rig(tmp_path, bus) as writer:
            await until(lambda: payloads(tmp_path).total() >= 1500, "every message is in a file")
            await writer.bound()
            await until_empty(jetstream)  # also what was redelivered is acked in the end
    assert_exactly(tmp_path, expected)


async def _serve(url: str, folder: Path) -> asyncio.subprocess.Process:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TICKLAKE_")},
        "TICKLAKE_NATS__URL": url,
        "TICKLAKE_DATA_ROOT": str(folder / "lake"),
        "TICKLAKE_WRITER_ID": "rig",
        "TICKLAKE_HTTP__PORT": "0",
        "TICKLAKE_BRONZE__FLUSH_SECONDS": "0.1",
        "TICKLAKE_BRONZE__FLUSH_INTERVAL_MIN_S": "0",
    }
    log = (folder / "serve.log").open("ab")
    with log:
        return await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "ticklake", "serve"], env=environment, stdout=log, stderr=log
        )


async def test_a_server_that_restarts_between_store_and_ack_changes_nothing(tmp_path: Path) -> None:
    async with (
        stream("workqueue") as (server, jetstream),
        running_bus(server.url) as bus,
        rig(tmp_path, bus) as writer,
    ):
        await writer.bound()
        await jetstream.publish(SUBJECT, b"once")
        await writer.stored(1)
        await asyncio.to_thread(server.restart)  # it may have kept the message, its ack being lost
        await until(lambda: bus.is_connected, "connected again")
        await jetstream.publish(SUBJECT, b"twice")
        await writer.stored(2)
    assert_exactly(tmp_path, [b"once", b"twice"])
