"""T15: three servers, every message three times; leaders step down and die under load, and the lake misses nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import nats
import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import APIError, NoStreamResponseError
from tests.nats.rig import STREAM, assert_exactly, payloads, rig, until
from tests.nats.test_connection_faults import running_bus
from tests.nats.test_stream_faults import CONSUMER, Publisher

from ticklake.testing.held_ports import HeldPorts
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

SERVERS = 3
STEP_DOWNS = (  # a consumer whose leader moves ends our requests with "409 Leadership Change"
    f"$JS.API.CONSUMER.LEADER.STEPDOWN.{STREAM}.{CONSUMER}",
    f"$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}",
)
NOT_NOW = (nats.errors.Error, APIError, NoStreamResponseError, OSError, TimeoutError)
"""What an operator's call meets while a leader is being chosen."""


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[dict[str, NatsServer]]:
    """Three servers by name."""
    held = HeldPorts()
    ports = [held.take() for _ in range(SERVERS)]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    servers = {
        f"n{number}": NatsServer(
            folder / f"n{number}",
            options=ServerOptions(
                sync=SyncMode.DEFAULT,
                extra=f"server_name: n{number}\n"
                f'cluster {{ name: three, listen: "127.0.0.1:{port}", routes: [{routes}] }}',
            ),
        )
        for number, port in enumerate(ports, start=1)
    }
    try:
        with ThreadPoolExecutor(SERVERS) as pool:
            await asyncio.gather(
                *(asyncio.get_running_loop().run_in_executor(pool, server.start) for server in servers.values())
            )
        yield servers
    finally:
        for server in servers.values():
            await asyncio.to_thread(server.stop)
        held.release()


async def add_stream(jetstream: JetStreamContext) -> None:
    """Three copies of each message, as soon as the servers have found each other."""
    async with asyncio.timeout(60):
        while True:
            try:
                await jetstream.add_stream(name=STREAM, subjects=["market.>"], num_replicas=SERVERS)
            except NOT_NOW:
                await asyncio.sleep(0.1)
            else:
                return


async def leader(jetstream: JetStreamContext, *, of_consumer: bool = False) -> str:
    """Name of the server that leads the stream, or the consumer; "" while none does."""
    with suppress(*NOT_NOW):
        info = await (jetstream.consumer_info(STREAM, CONSUMER) if of_consumer else jetstream.stream_info(STREAM))
        return (info.cluster.leader or "") if info.cluster is not None else ""
    return ""


async def step_down(client: nats.NATS, jetstream: JetStreamContext, subject: str) -> None:
    """Let a leader give up its place, until there is one again; it may be the same."""
    is_done = False
    async with asyncio.timeout(60):
        while not is_done:
            with suppress(*NOT_NOW):
                is_done = bool(json.loads((await client.request(subject, b"", timeout=5)).data).get("success"))
            await asyncio.sleep(0.05)
        while not await leader(jetstream, of_consumer=".CONSUMER." in subject):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_leaders_that_step_down_and_die_under_load_cost_nothing(tmp_path: Path) -> None:
    async with cluster(tmp_path / "servers") as servers:
        urls = [server.url for server in servers.values()]
        admin = await nats.connect(urls, reconnect_time_wait=0.05, max_reconnect_attempts=-1)
        jetstream = admin.jetstream(timeout=5)
        await add_stream(jetstream)
        async with running_bus(",".join(urls)) as bus, rig(tmp_path, bus) as writer:
            publisher = Publisher(jetstream)

            async def go_on(what: str) -> None:
                """Until messages have flowed into files for a while."""
                want = writer.counts.stored + 150
                await until(lambda: writer.counts.stored >= want, f"150 more messages are stored {what}")

            async with asyncio.TaskGroup() as group:
                group.create_task(publisher.run(), name="publisher")
                try:
                    await go_on("before anything happens")
                    for subject in (*STEP_DOWNS, *STEP_DOWNS):
                        await step_down(admin, jetstream, subject)
                        await go_on(f"after {subject}")
                    dying = servers[(await admin.jetstream(timeout=30).stream_info(STREAM)).cluster.leader]
                    await asyncio.to_thread(dying.kill)
                    await go_on("without the leader")
                    await asyncio.to_thread(dying.start)
                    await step_down(
                        admin, jetstream, STEP_DOWNS[1]
                    )  # the others caught up only if this one works again
                    await go_on("with all three again")
                finally:
                    publisher.stop()
            state = (await admin.jetstream(timeout=30).stream_info(STREAM)).state
            await until(lambda: writer.lane.position.sequence == state.last_seq, "we reached the end of the stream")
            assert writer.lane.incarnation.number == 1, "it is one life of the stream, whoever leads it"
            assert not writer.state.alarm
        await admin.close()
    found = payloads(tmp_path)
    assert max(found.values()) == 1
    assert set(publisher.confirmed) <= set(found)
    assert len(found) == state.messages, "what is in the stream is in the lake, and nothing else"
    assert_exactly(tmp_path, found.elements())
