"""The simulated feed: live times, every message stored once, and an end in order."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import nats
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from tests.deploy.tools import run
from tests.e2e.harness import clean_environment

from ticklake.base.clock import SystemClock
from ticklake.testing.feed import market_for_ever, stamp
from ticklake.testing.market import encode
from ticklake.testing.nats_server import NatsServer

FEED = [sys.executable, "-m", "ticklake.testing.feed"]
NOW_NS = 1_800_000_000_123_456_789


def test_an_event_keeps_its_inner_distances_when_it_is_stamped() -> None:
    seen = Counter()
    for event in islice(market_for_ever(1, SystemClock()), 3000):
        before, after = json.loads(encode(event)), json.loads(stamp(event, NOW_NS))
        seen[event.subject] += 1
        if "ts" in before:
            shift_ms = after["ts"] - before["ts"]
            assert shift_ms == (NOW_NS - event.event_ns) // 1_000_000
            if "viewport" in before:
                assert after["viewport"]["ts"] - before["viewport"]["ts"] == shift_ms
        else:
            assert after["ts_event_ns"] == NOW_NS + before["ts_event_ns"] - event.event_ns
            assert after["ts_recv_ns"] - after["ts_event_ns"] == before["ts_recv_ns"] - before["ts_event_ns"]
        times = {"ts", "viewport", "ts_event_ns", "ts_recv_ns"}
        assert {key: value for key, value in before.items() if key not in times} == {
            key: value for key, value in after.items() if key not in times
        }
    assert {"market.futures.trades", "market.futures.mbp10", "levels.signals"} <= set(seen)


def test_without_a_server_it_says_so_and_ends() -> None:
    ended = run(*FEED, "--url", "nats://127.0.0.1:1", check=False, env=clean_environment({}))
    assert ended.returncode == 69
    assert "127.0.0.1:1" in ended.stderr
    assert "Traceback" not in ended.stderr


async def message_id(stream: JetStreamContext, sequence: int) -> str:
    message = await stream.get_msg("ALL", sequence)
    assert message.headers is not None
    return message.headers["Nats-Msg-Id"]


async def test_every_message_is_stored_once_though_the_server_is_killed(tmp_path: Path) -> None:
    alive, log_path = tmp_path / "alive", tmp_path / "feed.log"
    with NatsServer(tmp_path / "nats") as server:
        client = await nats.connect(server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.05)
        stream = client.jetstream(timeout=30)
        await stream.add_stream(StreamConfig(name="ALL", subjects=["market.>", "levels.>"]))

        async def hold(messages: int) -> None:
            async with asyncio.timeout(100):
                while (await stream.stream_info("ALL")).state.messages < messages or not alive.exists():  # noqa: ASYNC110 - facts in other processes ring no bell
                    await asyncio.sleep(0.02)

        with log_path.open("wb") as log:
            feed = subprocess.Popen(  # noqa: ASYNC220 - at once; what follows waits
                [*FEED, "--url", server.url, "--rate", "400", "--alive", alive],
                env=clean_environment({}),
                stdout=log,
                stderr=log,
            )
        try:
            await hold(200)
            server.pause()
            await asyncio.sleep(0.5)  # the feed sends on, into a socket that nobody reads: these messages will be lost
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            held = (await stream.stream_info("ALL")).state.messages
            await hold(held + 200)
            feed.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(feed.wait, 100) == 0, log_path.read_text()
        finally:
            feed.kill()
            feed.wait()
        acknowledged = int(log_path.read_text().split("feed: ")[-1].split()[0])
        info = await stream.stream_info("ALL")
        assert info.state.messages == acknowledged > held
        ids = [await message_id(stream, sequence) for sequence in range(1, acknowledged + 1)]
        run_ = ids[0].rpartition("-")[0]
        assert sorted(ids) == sorted(f"{run_}-{number}" for number in range(acknowledged))
        await client.close()
