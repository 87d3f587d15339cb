"""The shipped NATS configurations: the server accepts them, one node and three run on them and keep what they ack."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.js.api import StreamConfig
from tests.deploy.tools import DEPLOY, ROOT, need, run
from tests.e2e.harness import wait_until

from ticklake.testing.held_ports import HeldPorts

PASSWORDS = {"TICKLAKE_PASSWORD": "one", "FEED_PASSWORD": "two", "ADMIN_PASSWORD": "three"}
INBOX = b"_INBOX_ticklake"  # what the shipped users may subscribe to
DEPLOY_PAGE = ROOT / "backend" / "docs" / "deploy.md"
LEADER_TRIES = 60  # each takes a second or more
NODES = ("nats-1", "nats-2", "nats-3")


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    """The shipped files as they would lie in one folder."""
    folder = tmp_path / "etc"
    folder.mkdir()
    for path in (DEPLOY / "nats").glob("*.conf"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture
def held() -> Iterator[HeldPorts]:
    """Ports that nobody else is given before our servers listen on them."""
    ports = HeldPorts()
    yield ports
    ports.release()


@contextmanager
def server(config: Path, name: str, *, port: int, arguments: tuple[str, ...] = ()) -> Iterator[Path]:
    """One server on a port of ours, everything else from the file. Gives its log."""
    folder = config.parent / name
    folder.mkdir()
    log_path = folder / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [need("nats-server"), "-c", config, "-a", "127.0.0.1", "-p", str(port), "-m", "-1", *arguments],
            env=PASSWORDS | {"NATS_STORE_DIR": str(folder / "store"), "NATS_SERVER_NAME": name},
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: "Server is ready" in log_path.read_text(), f"{name} starts", seen=log_path.read_text)
        yield log_path
    finally:
        process.terminate()
        process.wait(100)


@pytest.mark.parametrize("name", ["single.conf", "cluster.conf"])
def test_the_server_accepts_the_file(configs: Path, name: str) -> None:
    environment = PASSWORDS | {"NATS_STORE_DIR": "/store", "NATS_SERVER_NAME": "nats-1"}
    assert "is valid" in run(need("nats-server"), "-t", "-c", configs / name, env=environment).stderr
    assert run(need("nats-server"), "-t", "-c", configs / name, env={}, check=False).returncode != 0


def test_a_missing_password_stops_the_server(configs: Path) -> None:
    environment = {"NATS_STORE_DIR": "/store", "TICKLAKE_PASSWORD": "one"}
    refused = run(need("nats-server"), "-t", "-c", configs / "single.conf", env=environment, check=False)
    assert refused.returncode != 0
    assert "FEED_PASSWORD" in refused.stderr


async def test_one_node_syncs_always_and_lets_nobody_in_without_password(configs: Path, held: HeldPorts) -> None:
    port = held.take()
    with server(configs / "single.conf", "node", port=port):
        url = f"nats://127.0.0.1:{port}"
        refusals: list[Exception] = []

        async def refused(error: Exception) -> None:
            refusals.append(error)

        async with asyncio.timeout(100):
            while "Authorization Violation" not in str(refusals):  # the line may break before this client has read it
                stranger = nats.NATS()
                with pytest.raises((nats.errors.Error, OSError)):
                    await stranger.connect(url, allow_reconnect=False, error_cb=refused, connect_timeout=30)
                await stranger.close()
        admin = await nats.connect(url, user="admin", password="three", inbox_prefix=INBOX)
        await admin.jetstream(timeout=30).add_stream(StreamConfig(name="MARKET_DATA", subjects=["market.>"]))
        feed = await nats.connect(url, user="feed", password="two", inbox_prefix=INBOX)
        assert (await feed.jetstream(timeout=30).publish("market.futures.trades", b"{}")).seq == 1
        with pytest.raises(nats.errors.TimeoutError):
            await feed.jetstream(timeout=0.3).purge_stream("MARKET_DATA")
        await feed.close()
        await admin.close()


async def test_three_nodes_keep_a_stream_three_times_and_survive_the_loss_of_one(
    configs: Path, held: HeldPorts
) -> None:
    ports, routes = [held.take() for _ in NODES], [held.take() for _ in NODES]
    others = ",".join(f"nats://127.0.0.1:{port}" for port in routes)
    with ExitStack() as stack:
        logs = {}
        leave = {}
        for name, port, route in zip(NODES, ports, routes, strict=True):
            arguments = ("--cluster", f"nats://127.0.0.1:{route}", "--routes", others)
            node = ExitStack()
            logs[name] = node.enter_context(server(configs / "cluster.conf", name, port=port, arguments=arguments))
            leave[name] = stack.enter_context(node).close
        urls = [f"nats://127.0.0.1:{port}" for port in ports]
        patient = {"reconnect_time_wait": 0.05, "max_reconnect_attempts": -1, "inbox_prefix": INBOX}
        admin = await nats.connect(urls, user="admin", password="three", **patient)
        feed = await nats.connect(urls, user="feed", password="two", **patient)
        stream, publisher = admin.jetstream(timeout=30), feed.jetstream(timeout=30)
        script = configs / "create_streams.py"
        script.write_text(DEPLOY_PAGE.read_text().split("```python\n")[1].split("```")[0])
        environment = PASSWORDS | {"NATS_URL": urls[0], "PATH": ""}
        created = [run(sys.executable, script, env=environment, check=False)]
        while created[-1].returncode != 0 and len(created) < LEADER_TRIES:  # no leader yet
            created.append(run(sys.executable, script, env=environment, check=False))
        assert created[-1].returncode == 0, created[-1].stderr
        made = await stream.stream_info("MARKET_DATA")
        assert (made.config.num_replicas, made.config.max_age) == (3, 7 * 86_400)
        assert made.cluster is not None
        assert {made.cluster.leader, *(peer.name for peer in made.cluster.replicas or [])} == set(NODES)
        for number in range(20):
            await publisher.publish("market.futures.trades", json.dumps({"n": number}).encode())
        assert made.cluster.leader is not None
        leave[made.cluster.leader]()
        last = {"Nats-Msg-Id": "last"}  # stored once, also when its ack is lost and it is sent again
        async with asyncio.timeout(100):
            while True:
                try:
                    ack = await publisher.publish("market.futures.trades", b"{}", headers=last, timeout=2)
                    info = await admin.jetstream(timeout=2).stream_info("MARKET_DATA")
                except (nats.js.errors.Error, nats.errors.Error, OSError):  # a new leader is being chosen
                    await asyncio.sleep(0.1)
                else:
                    break
        assert ack.seq == 21
        assert info.state.messages == 21
        await admin.close()
        await feed.close()
