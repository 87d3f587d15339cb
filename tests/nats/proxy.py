"""A line between client and server that can go bad."""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum


class Fault(Enum):
    """What happens to the connections that stand when it strikes; those made later are sound, if not said otherwise."""

    BLACKHOLE = "blackhole"  # nothing passes, nobody says so
    RESET = "reset"  # RST, as from a firewall that forgot us
    KILLED = "killed"  # the client's kernel destroys its socket (`ss -K`); where it cannot, the line drops
    TRICKLE = "trickle"  # one byte a second from the server
    HALF_OPEN = "half open"  # the line drops, and the next dial is accepted and never answered


class Proxy:
    """Forwards to `port` on this machine."""

    def __init__(self, port: int) -> None:
        self.accepted = 0
        self._target = port
        self._lines: list[_Line] = []
        self._is_next_mute = False

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Gives the address to dial."""
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"nats://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()
            for line in self._lines:
                line.abort()
            await listener.wait_closed()

    def strike(self, fault: Fault) -> None:
        """Let every standing line go bad."""
        self._is_next_mute = fault is Fault.HALF_OPEN
        for line in self._lines:
            line.strike(fault)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        line = _Line(writer)
        self._lines.append(line)
        if self._is_next_mute:
            self._is_next_mute = False
            await line.ended.wait()
            return
        up_reader, line.up_writer = await asyncio.open_connection("127.0.0.1", self._target)
        pumps = [
            asyncio.ensure_future(line.pump(reader, line.up_writer, is_down=False)),
            asyncio.ensure_future(line.pump(up_reader, writer, is_down=True)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        line.abort()
        await asyncio.wait(pumps)


class _Line:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.up_writer: asyncio.StreamWriter | None = None
        self.ended = asyncio.Event()
        self._writer = writer
        self._fault: Fault | None = None

    def strike(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.RESET:
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.abort()
        elif fault is Fault.HALF_OPEN or (fault is Fault.KILLED and not self._kill_client()):
            self.abort()

    def _kill_client(self) -> bool:
        """Let the kernel destroy the client's end. Gives whether it did: not every kernel can, nor may everybody."""
        if shutil.which("ss") is None:
            return False
        port = self._writer.get_extra_info("peername")[1]
        ours = ["ss", "-H", "-t", "-n", "src", "127.0.0.1", "sport", "=", f":{port}"]
        subprocess.run([*ours, "-K"], capture_output=True, check=False)
        return not subprocess.run(ours, capture_output=True, text=True, check=True).stdout.strip()

    def abort(self) -> None:
        self.ended.set()
        for writer in (self._writer, self.up_writer):
            if writer is not None:
                writer.transport.abort()

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_down: bool) -> None:
        try:
            while chunk := await reader.read(65_536):
                if self._fault is Fault.BLACKHOLE:
                    await self.ended.wait()
                    return
                if self._fault is Fault.TRICKLE and is_down:
                    for at in range(len(chunk)):
                        writer.write(chunk[at : at + 1])
                        await writer.drain()
                        await asyncio.sleep(1.0)
                else:
                    writer.write(chunk)
                    await writer.drain()
        except ConnectionError:
            return  # the other end is gone; so are we
