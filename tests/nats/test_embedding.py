"""The writers inside somebody else's program, as one would paste it from a page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nats
import pytest
from tests.nats.rig import STREAM, assert_exactly, settings_for, until

from ticklake.assemble import build_bus
from ticklake.base.errors import RetryableError
from ticklake.bronze import BronzeWriter
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

SCRIPT = """
import asyncio
import sys

from ticklake.assemble import build_bus
from ticklake.base.settings import Settings
from ticklake.bronze import BronzeReader, BronzeWriter

async def main(url, folder):
    settings = Settings(data_root=folder, nats={"url": url, "create_streams": True}, bronze={"flush_seconds": 0.2})
    bus = build_bus(settings)
    await bus.connect()
    writer = BronzeWriter(bus, settings=settings)
    await writer.start()
    while not writer.feeds[0].state.is_bound:
        await asyncio.sleep(0.01)
    trade = b'{"ts_event_ns": %d, "ts_recv_ns": 1734359400000000000, "source": "me", "symbol": "ESZ4", '
    trade += b'"price": 6000.25, "size": 1, "aggressor": 1}'
    for n in range(100):
        await bus.publish("market.futures.trades", trade % (1734359400000000000 + n))
    while writer.writers[0].counts.received < 100:
        await asyncio.sleep(0.01)
    await writer.stop()
    await bus.close()

asyncio.run(main(*sys.argv[1:]))
print(BronzeReader(sys.argv[2]).read_futures_trades("ES", "2024-12-16").height)
"""


def test_a_program_writes_and_reads_a_lake_of_its_own(tmp_path: Path) -> None:
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT, server.url, str(tmp_path / "lake")],
            capture_output=True,
            text=True,
            timeout=200,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "100", done.stdout + done.stderr


async def test_stop_drains_gives_the_folder_back_and_a_second_writer_goes_on(tmp_path: Path) -> None:
    async with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        client = await nats.connect(server.url)
        await client.jetstream(timeout=30).add_stream(name=STREAM, subjects=["market.>"])
        settings = settings_for(tmp_path, url=server.url)
        bus = build_bus(settings)
        await bus.connect()
        expected = []
        for life in range(2):
            writer = BronzeWriter(bus, settings=settings)
            await writer.start()
            with pytest.raises(RetryableError, match="is in use by process"):
                await BronzeWriter(bus, settings=settings).start()
            expected.append(b"life %d" % life)
            await client.jetstream(timeout=30).publish("market.any", expected[-1])
            await until(lambda writer=writer: writer.writers[0].counts.received == 1, "the message is in the log")
            await writer.stop()
            assert_exactly(tmp_path, expected)
        await bus.close()
        await client.close()
