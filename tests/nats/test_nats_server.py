"""The embedded server: real, on free ports, and as easy to hurt as to start."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import nats
import nats.errors
import pytest

from ticklake.base.errors import UnavailableError, UsageError
from ticklake.testing.nats_config import ServerOptions, SyncMode, User
from ticklake.testing.nats_find import BINARY_VARIABLE, find_server
from ticklake.testing.nats_server import NatsServer


async def stored(url: str) -> int:
    client = await nats.connect(url)
    try:
        return int((await client.jetstream(timeout=30).stream_info("S")).state.messages)
    finally:
        await client.close()


async def store(url: str, messages: int) -> None:
    client = await nats.connect(url)
    try:
        jetstream = client.jetstream(timeout=30)
        await jetstream.add_stream(name="S", subjects=["s.>"])
        for _ in range(messages):
            await jetstream.publish("s.x", b"payload")
    finally:
        await client.close()


async def test_acked_messages_survive_kill_and_restart_on_the_same_ports(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        url, monitor_url, pid = server.url, server.monitor_url, server.pid
        await store(url, 5)
        server.kill()
        assert not server.is_running()
        server.restart()
        assert (server.url, server.monitor_url) == (url, monitor_url)
        assert server.pid != pid
        assert await stored(url) == 5
        assert server.version >= (2, 10, 0)


def test_a_paused_server_takes_connections_and_answers_nothing() -> None:
    with NatsServer() as server:
        server.pause()
        with socket.create_connection(("127.0.0.1", urlsplit(server.url).port or 0), timeout=0.2) as line:
            with pytest.raises(TimeoutError):
                line.recv(4)
            server.resume()
            line.settimeout(60)
            assert line.recv(4) == b"INFO"


def test_stop_ends_a_paused_server_and_removes_its_own_folder() -> None:
    server = NatsServer()
    server.start()
    pid, folder = server.pid, server.folder
    server.pause()
    server.stop()
    server.stop()  # safe to repeat
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_paused_server_is_woken_to_leave_in_good_order(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        server.pause()
    assert "Server Exiting" in server.log_path.read_text()


def test_a_given_folder_stays(tmp_path: Path) -> None:
    with NatsServer(tmp_path) as server:
        assert server.store_dir.is_dir()
    assert server.store_dir.is_dir()
    assert server.log_path.stat().st_size > 0


@pytest.mark.parametrize(("sync", "is_always"), [(SyncMode.ALWAYS, True), (SyncMode.DEFAULT, None)])
def test_sync_mode_reaches_the_server(sync: SyncMode, is_always: bool | None) -> None:
    with NatsServer(options=ServerOptions(sync=sync)) as server:
        config = server.monitor("/jsz")["config"]
        assert isinstance(config, dict)
        assert config.get("sync_always") is is_always


async def test_users_may_do_only_what_they_may() -> None:
    users = (User("writer", "secret", publish=("allowed.>",)), User("reader", 'quote" and \\ too'))
    errors: list[Exception] = []
    told = asyncio.Event()

    async def note(error: Exception) -> None:
        errors.append(error)
        told.set()

    async with NatsServer(options=ServerOptions(users=users)) as server:
        client = await nats.connect(server.url, user="writer", password="secret", error_cb=note)
        await client.publish("allowed.x", b"")
        await client.flush()
        assert errors == []
        await client.publish("forbidden.x", b"")
        async with asyncio.timeout(60):
            await told.wait()
        assert "permissions violation" in str(errors[0]).lower()
        await client.close()
        other = await nats.connect(server.url, user="reader", password='quote" and \\ too')
        await other.close()
        stranger = nats.NATS()
        try:
            with pytest.raises((nats.errors.Error, OSError)):  # the line may break before it has read why
                await stranger.connect(
                    server.url,
                    user="writer",
                    password="wrong",
                    allow_reconnect=False,
                    error_cb=note,
                    connect_timeout=30,
                )
        finally:
            await stranger.close()


def test_a_bad_configuration_is_told_in_the_servers_words() -> None:
    server = NatsServer(options=ServerOptions(extra="nonsense: 1"))
    with pytest.raises(UnavailableError, match='unknown field "nonsense"'), server:
        pass
    assert not server.is_running()


def test_two_starts_are_refused() -> None:
    with NatsServer() as server, pytest.raises(UsageError, match="runs already"):
        server.start()


def test_before_the_start_there_is_no_address(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no port yet"):
        _ = NatsServer(tmp_path).url


def write_fake(path: Path, answer: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{answer}'\n")
    path.chmod(0o755)
    return path


def test_an_old_server_is_refused_by_version(tmp_path: Path) -> None:
    old = write_fake(tmp_path / "nats-server", "nats-server: v2.9.10")
    with pytest.raises(UnavailableError, match=r"2\.9\.10, needed is 2\.10\.0.*ticklake\[embedded\]"):
        find_server(old)


def test_the_variable_names_the_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = write_fake(tmp_path / "some-server", "nats-server: v2.11.4")
    monkeypatch.setenv(BINARY_VARIABLE, str(named))
    found = find_server()
    assert (found.path, found.version) == (named, (2, 11, 4))


def test_a_named_binary_that_is_missing_is_not_silently_replaced(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="does not run"):
        find_server(tmp_path / "missing")


def test_monitor_answers_json() -> None:
    with NatsServer() as server:
        assert json.dumps(server.monitor("/varz"))
        with pytest.raises(UnavailableError, match="HTTP 404"):
            server.monitor("/no-such-page")
