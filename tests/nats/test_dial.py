"""The first try of a connection goes to every server of the list, for the service and for those who publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ticklake.base.clock import SystemClock
from ticklake.base.errors import UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.base.settings_groups import NatsSettings
from ticklake.ingest.bus import NatsBus
from ticklake.ingest.dial import dial
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

SILENT_SERVERS = 2  # and the client shuffles the list


@pytest.fixture
async def silent() -> AsyncIterator[list[str]]:
    """Servers that take a connection and never say a word."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    listening = [await asyncio.start_server(say_nothing, "127.0.0.1", 0) for _ in range(SILENT_SERVERS)]
    yield [f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in listening]
    for server in listening:
        server.close()
        await server.wait_closed()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one silent server costs, here."""
    monkeypatch.setattr("ticklake.ingest.connection.CONNECT_TIMEOUT_S", 1.5)
    monkeypatch.setattr("ticklake.ingest.dial.CONNECT_TIMEOUT_S", 1.5)


async def test_the_last_server_of_a_list_is_tried_too(silent: list[str]) -> None:
    async with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        settings = NatsSettings(url=",".join([*silent, server.url]))
        client = await dial(settings, name="test", complain=lambda _: None)
        assert client.is_connected
        await client.close()
        bus = NatsBus(settings, clock=SystemClock(), metrics=Metrics(version="test"))
        await bus.connect()
        assert bus.is_connected
        await bus.close()


async def test_both_say_the_same_of_a_server_that_is_not_there() -> None:
    settings = NatsSettings(url="nats://somebody:secret@127.0.0.1:1")
    bus = NatsBus(settings, clock=SystemClock(), metrics=Metrics(version="test"))
    said = []
    for attempt in (bus.connect(), dial(settings, name="test", complain=lambda _: None)):
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1.*is the server running") as caught:
            await attempt
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "secret" not in said[0]
