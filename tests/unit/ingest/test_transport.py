"""The socket under the client: who introduces himself says all of it at once."""

from __future__ import annotations

import asyncio

from ticklake.ingest.transport import PromptTransport


async def test_connect_and_the_ping_behind_it_leave_as_one_piece() -> None:
    """A server that refuses at the first of two pieces resets the line under the second, and its word is lost."""
    pieces: list[bytes] = []

    class Listener(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            pieces.append(data)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Listener, "127.0.0.1", 0)
    transport = PromptTransport()
    _, transport._io_writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    try:
        for piece in (b"CONNECT {}\r\n", b"PING\r\n", b"PUB a 0\r\n\r\n"):
            transport.write(piece)
            for _ in range(20):  # what is sent by now has arrived: it is one machine
                await asyncio.sleep(0.005)
    finally:
        transport._io_writer.close()
        await transport._io_writer.wait_closed()
        server.close()
    assert pieces[0].startswith(b"CONNECT {}\r\nPING\r\n"), pieces
    assert b"".join(pieces) == b"CONNECT {}\r\nPING\r\nPUB a 0\r\n\r\n"
