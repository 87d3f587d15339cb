"""The pages as a hostile client sees them: bytes on a socket, not a library's idea of HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import pytest
from tests.unit.web.test_server import WELL

from ticklake.base.metrics import Metrics
from ticklake.base.settings import Settings
from ticklake.web.connection import CONNECTIONS_MAX
from ticklake.web.server import HttpServer

IDENTITY = WELL.identity.encode()  # in every answer that shows something
GOOD = b"GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Surface:
    """A server and a status that may be made large."""

    def __init__(self) -> None:
        self.status = WELL
        self.server = HttpServer("127.0.0.1", 0, lambda: self.status, Metrics(version="1"))
        self.port = 0

    @asynccontextmanager
    async def dial(self, *, buffer_bytes: int | None = None) -> AsyncIterator[tuple[asyncio.StreamReader, ...]]:
        raw = socket.socket()
        if buffer_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=raw, limit=64)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def say(self, request: bytes) -> bytes:
        """Everything the server answers until it closes or has nothing more to say."""
        async with self.dial() as (reader, writer):
            writer.write(request)
            writer.write_eof()
            with suppress(ConnectionResetError):
                return await asyncio.wait_for(reader.read(-1), 30)
        return b""


@pytest.fixture
async def surface() -> AsyncIterator[Surface]:
    surface = Surface()
    surface.port = await surface.server.start()
    yield surface
    await surface.server.stop()


def code_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_a_plain_request_shows_the_identity(surface: Surface) -> None:
    """Proves that the tests below would see it."""
    answer = await surface.say(GOOD)
    assert (code_of(answer), IDENTITY in answer) == (200, True)


@pytest.mark.parametrize(
    "head",
    [
        b"Host: evil.example",
        b"Host: evil.example:8088",
        b"Host: 127.0.0.1.evil.example",
        b"Host: localhost\r\nHost: evil.example",
        b"Host: evil.example\r\nX-Forwarded-Host: localhost",
        b"Host: localhost@evil.example",
        b"Host:",
        b"X-No: host",
        b"Host : localhost",
        b" Host: localhost",
    ],
)
async def test_a_request_that_is_not_clearly_for_us_sees_nothing(surface: Surface, head: bytes) -> None:
    answer = await surface.say(b"GET /version HTTP/1.1\r\n" + head + b"\r\n\r\n")
    assert code_of(answer) in (400, 421)
    assert IDENTITY not in answer


async def test_the_name_in_an_absolute_target_changes_nothing(surface: Surface) -> None:
    answer = await surface.say(b"GET http://localhost/version HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert IDENTITY not in answer


@pytest.mark.parametrize(
    "method",
    [b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"TRACE", b"CONNECT", b"PROPFIND", b"get", b"G"],
)
async def test_only_get_and_head_are_answered(surface: Surface, method: bytes) -> None:
    request = method + b" /version HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    answer = await surface.say(request)
    assert code_of(answer) in (400, 404, 405)
    assert IDENTITY not in answer


@pytest.mark.parametrize("header", [b"X-HTTP-Method-Override: DELETE", b"X-Method-Override: POST"])
async def test_a_method_cannot_be_overridden(surface: Surface, header: bytes) -> None:
    answer = await surface.say(b"GET /version HTTP/1.1\r\nHost: localhost\r\n" + header + b"\r\n\r\n")
    assert code_of(answer) == 200


@pytest.mark.parametrize(
    "target",
    [
        b"/../../etc/passwd",
        b"/%2e%2e/%2e%2e/etc/passwd",
        b"//etc/passwd",
        b"/static/../../etc/passwd",
        b"/version%00",
        b"*",
    ],
)
async def test_no_path_leads_to_a_file(surface: Surface, target: bytes) -> None:
    answer = await surface.say(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert code_of(answer) in (400, 404)
    assert b"root:" not in answer


async def test_what_was_asked_is_never_echoed(surface: Surface) -> None:
    for target in (b"/<script>alert(1)</script>", b"/readyz?verbose=<script>", b"/version?a=<script>"):
        answer = await surface.say(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nReferer: <script>\r\n\r\n")
        assert b"<script>" not in answer


async def test_an_upgrade_to_a_socket_is_not_taken(surface: Surface) -> None:
    answer = await surface.say(
        b"GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: http://evil.example\r\n\r\n"
    )
    assert code_of(answer) != 101


@pytest.mark.parametrize(
    "smuggled",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
    ],
)
async def test_a_body_is_refused_so_nobody_can_disagree_where_it_ends(surface: Surface, smuggled: bytes) -> None:
    answer = await surface.say(b"GET /version HTTP/1.1\r\nHost: localhost\r\n" + smuggled + GOOD)
    assert code_of(answer) == 400
    assert IDENTITY not in answer


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /version\r\n"],
)
async def test_garbage_is_answered_shortly_and_harms_nobody(surface: Surface, garbage: bytes) -> None:
    answer = await surface.say(garbage)
    assert IDENTITY not in answer
    assert len(answer) < 1000
    assert code_of(await surface.say(GOOD)) == 200


async def test_every_answer_of_a_page_forbids_embedding_sniffing_and_caching(surface: Surface) -> None:
    for target in (b"/", b"/version", b"/absent", b"/readyz", b"/metrics"):
        answer = (await surface.say(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n\r\n")).lower()
        head = answer.partition(b"\r\n\r\n")[0]
        for word in (b"default-src 'none'", b"frame-ancestors 'none'", b"nosniff", b"no-referrer", b"no-store"):
            assert word in head, (target, word)
        for word in (b"access-control", b"set-cookie", b"server:", b"x-powered-by"):
            assert word not in head, (target, word)


async def test_clients_that_ask_and_never_read_do_not_lock_the_probes_out(
    surface: Surface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticklake.web.connection.READ_TIMEOUT_S", 0.3)
    surface.status = replace(WELL, version="x" * (8 * 1024 * 1024))  # far larger than the buffers on the way
    async with AsyncExitStack() as stack, asyncio.timeout(60):
        deaf = [await stack.enter_async_context(surface.dial(buffer_bytes=4096)) for _ in range(CONNECTIONS_MAX)]
        for _, writer in deaf:
            writer.write(GOOD * 3)  # the second answer waits for room, so the connection counts as busy
        while True:  # each may try again: as long as they hold all places we are dropped at once
            with suppress(ConnectionError):
                async with surface.dial() as (reader, writer):
                    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    if b" 200 " in await reader.readline():
                        break


async def test_a_client_that_reads_in_time_is_not_cut_off(surface: Surface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ticklake.web.connection.READ_TIMEOUT_S", 5.0)
    size_bytes = 8 * 1024 * 1024
    surface.status = replace(WELL, version="x" * size_bytes)
    async with surface.dial(buffer_bytes=4096) as (reader, writer), asyncio.timeout(60):
        writer.write(GOOD)
        received_bytes = 0
        while received_bytes < size_bytes:
            chunk = await reader.read(1 << 20)
            assert chunk, "cut off in the middle"
            received_bytes += len(chunk)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "lake.example.org"])
def test_an_address_others_can_reach_needs_a_word(host: str) -> None:
    with pytest.raises(ValueError, match="allow_remote"):
        Settings.model_validate({"http": {"host": host}})
    assert Settings.model_validate({"http": {"host": host, "allow_remote": True}}).http.host == host
