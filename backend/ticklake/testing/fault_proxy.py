"""A line to an object store that does wrong on command, and writes down every request.

    with S3Server() as server, FaultProxy(server.port) as proxy:
        store = ObjectStore(server.bucket, server.access_at(proxy.url))
        proxy.script(Fault.STORED_500, times=3, method="PUT")

The proxy lives in a thread of its own, so that blocking code can be its client.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote

from ticklake.base.errors import UsageError

_HEAD_BYTES_MAX: Final = 65_536
_SLOW_S: Final = 0.5
_OK: Final = range(200, 300)


class Fault(Enum):
    """What happens to a request."""

    STORED_500 = "500 after the store did it"
    RESET = "reset after the store did it"
    LOST = "reset before the store heard of it"
    CONFLICT_409 = "409, and nothing was stored"
    BUSY_503 = "503 SlowDown"
    SLOW = "half a second late"
    DENIED_403 = "403 AccessDenied"
    BAD_DIGEST_400 = "400 BadDigest"
    STRANGER = "somebody else takes the key first"
    NOT_OFFERED_501 = "501 NotImplemented"


_REPLIES: Final = {
    Fault.STORED_500: (500, "InternalError"),
    Fault.CONFLICT_409: (409, "ConditionalRequestConflict"),
    Fault.BUSY_503: (503, "SlowDown"),
    Fault.DENIED_403: (403, "AccessDenied"),
    Fault.BAD_DIGEST_400: (400, "BadDigest"),
    Fault.NOT_OFFERED_501: (501, "NotImplemented"),
}
_NOT_FORWARDED: Final = frozenset({Fault.LOST, *_REPLIES}) - {Fault.STORED_500}


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as it was recorded.

    Attributes:
        key: in the bucket, decoded; the bucket itself is not part of it.
        status: what the store answered; 0 when it was not asked.
        fault: what was done to it.
    """

    method: str
    key: str
    status: int
    fault: Fault | None = None


@dataclass(slots=True)
class _Scripted:
    fault: Fault
    times: int
    method: str
    part: str


@dataclass(slots=True)
class _Message:
    """A request or an answer: first line, headers as bytes, body."""

    first: bytes
    head: bytes
    body: bytes = b""
    names: dict[bytes, bytes] = field(default_factory=dict)

    @property
    def whole(self) -> bytes:
        return self.head + self.body


class FaultProxy:
    """Forwards to a store on this machine, from `start` to `stop`.

    Attributes:
        requests: every request so far, in the order of their ends.
    """

    def __init__(self, port: int, *, intrude: Callable[[str], None] | None = None) -> None:
        """Prepare; nothing listens yet.

        Args:
            port: of the store.
            intrude: does something to a key in the store just before its owner comes, for `Fault.STRANGER`; runs on
                another thread.
        """
        self.requests: list[Request] = []
        self._target = port
        self._intrude = intrude
        self._script: list[_Scripted] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._port = 0
        self._lines: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The endpoint: `http://127.0.0.1:port`."""
        return f"http://127.0.0.1:{self._port}"

    def script(self, fault: Fault, *, times: int = 1, method: str = "PUT", part: str = "") -> None:
        """Let the next requests of that method whose key contains `part` go wrong. Scripts are used up in order."""
        if fault is Fault.STRANGER and self._intrude is None:
            raise UsageError("Fault.STRANGER needs `intrude`; pass it to FaultProxy")
        with self._lock:
            self._script.append(_Scripted(fault, times, method, part))

    @property
    def is_spent(self) -> bool:
        """Whether every scripted fault has struck."""
        with self._lock:
            return not self._script

    def forgive(self) -> None:
        """Let nothing go wrong any more."""
        with self._lock:
            self._script.clear()

    def stored(self) -> Counter[str]:
        """How often the store itself said that it stored a key, whatever the client heard."""
        with self._lock:
            return Counter(found.key for found in self.requests if found.method == "PUT" and found.status in _OK)

    def start(self) -> None:
        """Listen on a free port."""
        self._thread.start()
        if not self._ready.wait(10):
            raise UsageError("the proxy did not begin to listen")

    def stop(self) -> None:
        """Close every line. Safe to repeat."""
        if self._loop is not None and self._end is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._listen())

    async def _listen(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        listener = await asyncio.start_server(self._accept, "127.0.0.1", self._port, limit=_HEAD_BYTES_MAX)
        self._port = listener.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        listener.close()
        lines = list(self._lines)
        for line in lines:
            line.cancel()
        await asyncio.gather(*lines, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._lines.add(task)
        upstream: asyncio.StreamWriter | None = None
        try:
            up_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target, limit=_HEAD_BYTES_MAX)
            while (request := await _read(reader, has_body=True)) is not None:
                if not await self._serve(request, writer, up_reader, upstream):
                    return
        except (OSError, asyncio.IncompleteReadError):
            return  # the other end is gone, and so is this line
        except asyncio.CancelledError:
            return  # the proxy stops
        finally:
            self._lines.discard(task)
            for each in (writer, upstream):
                if each is not None:
                    each.transport.abort()

    async def _serve(
        self,
        request: _Message,
        writer: asyncio.StreamWriter,
        up_reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        """One request. Whether the line is still good."""
        method, target, _ = request.first.decode("latin-1").split(" ", 2)
        key = unquote(target.partition("?")[0].lstrip("/").partition("/")[2])
        fault = self._next_fault(method, key)
        if fault is Fault.STRANGER and self._intrude is not None:
            await asyncio.to_thread(self._intrude, key)
        if fault is Fault.SLOW:
            await asyncio.sleep(_SLOW_S)
        answer, status = b"", 0
        if fault not in _NOT_FORWARDED:
            upstream.write(request.whole)
            found = await _read(up_reader, has_body=method != "HEAD")
            if found is None:
                raise ConnectionResetError("the store hung up")
            answer, status = found.whole, int(found.first.split(b" ")[1])
        with self._lock:
            self.requests.append(Request(method, key, status, fault))
        if fault in (Fault.RESET, Fault.LOST):
            _reset(writer)
            return False
        writer.write(_reply(*_REPLIES[fault]) if fault in _REPLIES else answer)
        await writer.drain()
        return True

    def _next_fault(self, method: str, key: str) -> Fault | None:
        with self._lock:
            for scripted in self._script:
                if scripted.method == method and scripted.part in key:
                    scripted.times -= 1
                    if scripted.times == 0:
                        self._script.remove(scripted)
                    return scripted.fault
        return None


async def _read(reader: asyncio.StreamReader, *, has_body: bool) -> _Message | None:
    """One message; None when the other end closed the line in between."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, _, rest = head.partition(b"\r\n")
    names = {}
    for line in rest.split(b"\r\n"):
        name, _, value = line.partition(b":")
        names[name.strip().lower()] = value.strip()
    message = _Message(first, head, names=names)
    if has_body and names.get(b"transfer-encoding", b"").lower() == b"chunked":
        message.body = await _read_chunks(reader)
    elif has_body and b"content-length" in names:
        message.body = await reader.readexactly(int(names[b"content-length"]))
    return message


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while True:
        size_line = await reader.readuntil(b"\r\n")
        size_bytes = int(size_line.split(b";")[0], 16)
        parts += [size_line, await reader.readexactly(size_bytes + 2)]
        if size_bytes == 0:
            return b"".join(parts)


def _reply(status: int, code: str) -> bytes:
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>on command</Message></Error>'
    head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST, not FIN."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
