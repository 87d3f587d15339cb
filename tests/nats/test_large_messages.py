"""Messages of very different sizes: no request brings more than its bytes, and none waits for ever."""

from __future__ import annotations

from pathlib import Path

import nats
import pytest
from tests.nats.rig import STREAM, SUBJECT, assert_exactly, rig
from tests.nats.test_connection_faults import running_bus

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer


@pytest.mark.parametrize("retention", ["limits", "workqueue"])
async def test_messages_larger_than_a_request_may_bring_arrive_between_the_others(
    retention: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends a request whose bytes are used up, and would wait for ever with a message that fits in none."""
    monkeypatch.setattr("ticklake.ingest.pull._REQUEST_BYTES_MAX", 64 * 1024)
    sizes = [100, 30_000, 30_000, 30_000, 70_000, 100, 100_000, 100_000, 64 * 1024, 100, 200_000]
    expected = [b"%d " % number + b"x" * size for number, size in enumerate(sizes * 3)]
    async with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        admin = await nats.connect(server.url)
        jetstream = admin.jetstream(timeout=30)
        await jetstream.add_stream(name=STREAM, subjects=["market.>"], retention=retention)
        for payload in expected:
            await jetstream.publish(SUBJECT, payload)
        async with running_bus(server.url) as bus, rig(tmp_path, bus) as writer:
            await writer.stored(len(expected))
            await jetstream.publish(SUBJECT, b"y" * 300_000)
            await writer.stored(len(expected) + 1)
            assert (writer.state.redelivered, writer.state.problem) == (0, "")
        await admin.close()
    assert_exactly(tmp_path, [*expected, b"y" * 300_000], duplicates=0)
