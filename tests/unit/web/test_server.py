import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import httpx
import pytest

from ticklake.base.errors import UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.service.status import DiskStatus, LaneStatus, NatsStatus, RecoveryStatus, Status
from ticklake.web.connection import CONNECTIONS_MAX
from ticklake.web.pages import STREAMS_MAX
from ticklake.web.server import HttpServer

NOW = 1_734_359_400 * 10**9
WELL = Status(
    version="1.2.3",
    identity="0a1b2c3d",
    phase="running",
    phase_since_ns=NOW,
    started_ns=NOW,
    taken_ns=NOW,
    uptime_s=1.0,
    nats=NatsStatus(connected=True, url="nats://h:4222", server_version="2.15.1", since_ns=NOW),
    lanes=(LaneStatus(name="market_data", stream="MARKET_DATA", mode="jetstream"),),
    disk=DiskStatus(path="/lake", free_bytes=100, total_bytes=1000, min_free_bytes=10),
    recovery=RecoveryStatus(done=True),
)


class House:
    """A server, a client, and the status the server shows."""

    def __init__(self) -> None:
        self.status = WELL
        self.metrics = Metrics(version="1.2.3")
        self.server = HttpServer("127.0.0.1", 0, lambda: self.status, self.metrics)
        self.port = 0

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)


@asynccontextmanager
async def dialled(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=64)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    house.port = await house.server.start()
    yield house
    await house.server.stop()


async def test_probes_follow_the_status(house: House) -> None:
    async with house.client() as client:
        for path in ("/livez", "/readyz", "/healthz", "/startupz"):
            answer = await client.get(path)
            assert (answer.status_code, answer.text) == (200, "ok\n")
        house.status = replace(WELL, nats=replace(WELL.nats, connected=False))
        assert (await client.get("/livez")).status_code == 200
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert [reason["code"] for reason in answer.json()["reasons"]] == ["nats_disconnected"]
        house.status = WELL
        assert (await client.get("/readyz?verbose")).json() == {"ok": True, "reasons": []}
        house.status = replace(WELL, recovery=RecoveryStatus(done=False))
        assert (await client.get("/startupz")).status_code == 503


async def test_pages_show_status_metrics_and_version(house: House) -> None:
    house.metrics.files_total.labels("futures.trades").inc(3)
    async with house.client() as client:
        assert (await client.get("/status.json")).json() == json.loads(json.dumps(WELL.to_dict()))
        assert (await client.get("/version")).json() == {"version": "1.2.3", "identity": "0a1b2c3d"}
        page = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert page.headers["content-type"].startswith("application/openmetrics-text")
        assert 'ticklake_lake_files_total{table="futures.trades"} 3.0' in page.text
        index = await client.get("/")
        assert all(path in index.text for path in ("/livez", "/readyz", "/metrics", "/status.json", "/events"))


async def test_nothing_can_be_changed_over_http(house: House) -> None:
    async with house.client() as client:
        for path in ("/", "/readyz", "/status.json", "/events", "/metrics"):
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                assert (await client.request(method, path)).status_code == 405
            answer = await client.head(path)
            assert (answer.status_code, answer.content) == (200, b"")
        assert (await client.get("/absent")).status_code == 404


async def test_every_answer_carries_the_security_headers(house: House) -> None:
    async with house.client() as client:
        for path in ("/", "/absent", "/status.json", "/metrics"):
            headers = (await client.get(path, headers={"Origin": "http://evil.example"})).headers
            assert headers["content-security-policy"].startswith("default-src 'none'")
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["cache-control"] == "no-store"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers


async def test_a_rebound_name_sees_nothing(house: House) -> None:
    async with house.client() as client:
        answer = await client.get("/status.json", headers={"Host": "evil.example"})
        assert answer.status_code == 421
        assert "0a1b2c3d" not in answer.text


async def test_events_stream_the_status_and_end_when_the_server_stops(house: House) -> None:
    async with house.client() as client, client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        received = [await anext(lines) for _ in range(4)]
        assert received[:3] == ["retry: 2000", "", "event: status"]
        assert json.loads(received[3].removeprefix("data: "))["identity"] == "0a1b2c3d"
        async with asyncio.timeout(60):
            await house.server.stop()
            rest = [line async for line in lines]
        assert "event: stop" in rest


async def test_a_client_that_reads_nothing_delays_nobody(house: House) -> None:
    size_bytes = 64 * 1024 * 1024  # far larger than all buffers on the way
    house.status = replace(WELL, identity="x" * size_bytes)
    async with dialled(house.port) as (reader, writer):
        writer.write(b"GET /status.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await reader.readexactly(1) == b"H"  # the answer has begun, and is stuck
        async with house.client() as client:
            assert (await client.get("/livez")).text == "ok\n"
        async with asyncio.timeout(60):
            await house.server.stop()
            received_bytes = 0
            with suppress(ConnectionResetError):
                while chunk := await reader.read(1 << 20):
                    received_bytes += len(chunk)
        assert received_bytes < size_bytes / 2  # it was cut off: nothing of it is kept for later


async def test_silent_connections_are_capped_and_dropped(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticklake.web.connection.REQUEST_TIMEOUT_S", 0.2)
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        silent = [await stack.enter_async_context(dialled(house.port)) for _ in range(CONNECTIONS_MAX + 3)]
        for reader, _ in silent:  # those beyond the cap are dropped at once, the others at the deadline
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        monkeypatch.undo()  # what we ask now has the usual time
        async with house.client() as client:
            assert (await client.get("/livez")).status_code == 200


async def test_the_connection_beyond_the_cap_is_dropped_while_the_others_stay(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticklake.web.connection.REQUEST_TIMEOUT_S", 1000.0)  # it is not the deadline that drops
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        admitted = [await stack.enter_async_context(dialled(house.port)) for _ in range(CONNECTIONS_MAX)]
        extra, _ = await stack.enter_async_context(dialled(house.port))
        with suppress(ConnectionResetError):
            assert await extra.read() == b""
        reader, writer = admitted[0]
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in await reader.readline()


async def test_streams_leave_connections_for_the_probes(house: House) -> None:
    async with house.client() as client, AsyncExitStack() as stack, asyncio.timeout(60):
        for _ in range(STREAMS_MAX):
            answer = await stack.enter_async_context(client.stream("GET", "/events"))
            chunks = answer.aiter_raw()
            stack.push_async_callback(chunks.aclose)
            assert (await anext(chunks)).startswith(b"retry: 2000")
        assert (await client.get("/events")).status_code == 503
        assert (await client.get("/livez")).status_code == 200


@pytest.mark.parametrize("end", [b"\r\n\r\n", b""], ids=["whole", "without end"])
async def test_a_huge_head_is_refused(house: House, end: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticklake.web.connection.REQUEST_TIMEOUT_S", 1000.0)  # it is not the deadline that refuses
    async with dialled(house.port) as (reader, writer), asyncio.timeout(60):
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 20_000 + end)
        status = await reader.readline()
    assert status.split()[1] in (b"400", b"431")


async def test_stopping_twice_and_before_start_is_safe() -> None:
    server = HttpServer("127.0.0.1", 0, lambda: WELL, Metrics(version="1"))
    await server.stop()
    server = HttpServer("127.0.0.1", 0, lambda: WELL, Metrics(version="1"))
    await server.start()
    await server.stop()
    await server.stop()


async def test_a_taken_port_is_named(house: House) -> None:
    second = HttpServer("127.0.0.1", house.port, lambda: WELL, Metrics(version="1"))
    with pytest.raises(UnavailableError, match=rf"http 127\.0\.0\.1:{house.port}: .*set http\.port"):
        await second.start()


async def test_the_signals_stay_ours(house: House) -> None:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_no_task_outlives_the_server() -> None:
    house = House()
    house.port = await house.server.start()
    async with house.client() as client, client.stream("GET", "/events") as answer:
        await anext(answer.aiter_lines())
        await house.server.stop()
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
