"""The socket under the client, closed within a bound: the stock one may wait for ever for a peer that is gone."""

from __future__ import annotations

import asyncio
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

_CLOSE_S = 0.5  # a living peer closes within a round trip
_READ_BYTES = 256 * 1024  # the stock 32 KiB stop and restart the socket for every handful of messages


class PromptTransport(TcpTransport):
    """A TCP transport that drops the socket when an orderly close does not end.

    It does not end when the peer vanished with bytes on their way to it, nor after a TLS handshake that failed. The
    client waits for it before it dials again, so every reconnect would hang.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._introduction = b""

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        """Connect, with room for a large read."""
        await super().connect(uri, buffer_size=max(buffer_size, _READ_BYTES), connect_timeout=connect_timeout)

    def write(self, payload: bytes) -> None:
        """Send. CONNECT leaves together with the PING behind it.

        A server that refuses us answers to CONNECT and hangs up. Had it not read the PING by then, the line would end
        with a reset, which takes the answer with it.
        """
        if payload.startswith(b"CONNECT "):
            self._introduction = payload
            return
        super().write(self._introduction + payload)  # type: ignore[no-untyped-call]
        self._introduction = b""

    async def read(self, buffer_size: int) -> bytes:
        """What has arrived, up to a large read."""
        content: bytes = await super().read(max(buffer_size, _READ_BYTES))
        return content

    def drop(self) -> None:
        """Let go of the socket of a try that failed; the client forgets it when the server never answered."""
        if self._io_writer is not None and not self._io_writer.is_closing():
            self._io_writer.transport.abort()

    async def wait_closed(self) -> None:
        """Wait for the close a moment, then drop what is left."""
        writer = self._io_writer
        if writer is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_S):
                await writer.wait_closed()
        except TimeoutError:
            writer.transport.abort()
