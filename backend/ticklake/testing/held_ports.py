"""TCP ports of 127.0.0.1 that nobody else is given, whether our server listens on them or is down for a moment."""

from __future__ import annotations

import socket
import sys
from typing import Final

_MAY_KEEP: Final = sys.platform == "linux"  # elsewhere a server cannot listen beside a socket that only holds its port


class HeldPorts:
    """Ports that stay ours until `release`.

    Each is bound, and nobody listens on it but a server that is told to: the system gives it to no other program that
    asks for any free port, and to no connection that goes out. Outside of Linux a port is only found to be free.
    """

    def __init__(self) -> None:
        """Holds none yet."""
        self._sockets: list[socket.socket] = []

    def take(self, port: int = 0) -> int:
        """Hold this port, any free one when 0; gives its number.

        Raises:
            OSError: somebody has it.
        """
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", port))  # refused for a port that another one holds, too
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # from here on a server may listen beside us
        except BaseException:
            held.close()
            raise
        number: int = held.getsockname()[1]
        if _MAY_KEEP:
            self._sockets.append(held)
        else:
            held.close()
        return number

    def release(self) -> None:
        """Give them all back. Safe to repeat."""
        while self._sockets:
            self._sockets.pop().close()
