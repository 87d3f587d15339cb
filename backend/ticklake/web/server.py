"""The HTTP server inside the daemon's own event loop: no thread, no signal handlers, no task that outlives `stop`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import structlog
import uvicorn

from ticklake.base.errors import UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.service.status import Status
from ticklake.web.connection import HEADER_BYTES_MAX, REQUEST_TIMEOUT_S, BoundedConnection
from ticklake.web.guard import Guard
from ticklake.web.pages import Pages

# After this, a client that does not read its answer is cut off.
_CLOSE_GRACE_S: Final = 1
_BACKLOG: Final = 64

log = structlog.get_logger()


class HttpServer:
    """Serves the pages on one address.

    uvicorn's `serve()` would take over SIGINT and SIGTERM and poll ten times a second; its `startup()` and
    `shutdown()` are all we need. A server that was stopped stays stopped.
    """

    def __init__(self, host: str, port: int, status: Callable[[], Status], metrics: Metrics) -> None:
        self._host = host
        self._port = port
        self._stop = asyncio.Event()
        self._socket: socket.socket | None = None
        pages = Pages(status, metrics, stop=self._stop)
        config = uvicorn.Config(
            Guard(pages.app, host=host),
            http=BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            h11_max_incomplete_event_size=HEADER_BYTES_MAX,
            timeout_keep_alive=int(REQUEST_TIMEOUT_S),
            timeout_graceful_shutdown=_CLOSE_GRACE_S,
        )
        self._server = uvicorn.Server(config)

    async def start(self) -> int:
        """Listen.

        Returns:
            the port, also when 0 asked for a free one.

        Raises:
            UnavailableError: the address is taken or not ours.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            self._socket = socket.create_server((self._host, self._port), family=family, backlog=_BACKLOG)
        except OSError as error:
            raise UnavailableError(
                f"http {self._host}:{self._port}: {error.strerror or error}; "
                "stop who listens there, or set http.port (0 takes a free one)"
            ) from error
        self._server.config.load()
        self._server.lifespan = self._server.config.lifespan_class(self._server.config)
        await self._server.startup(sockets=[self._socket])
        port: int = self._socket.getsockname()[1]
        log.info("web.listening", host=self._host, port=port)
        return port

    async def stop(self) -> None:
        """Close the port, end the streams, cut off who does not read. Takes about a second at most; safe to repeat."""
        self._stop.set()
        if self._socket is None:
            return
        sockets, self._socket = [self._socket], None
        await self._server.shutdown(sockets=sockets)
        state = self._server.server_state
        for connection in list(state.connections):
            connection.transport.abort()
        if state.tasks:  # cancelled by the shutdown; let them end before we say so
            await asyncio.wait(state.tasks, timeout=_CLOSE_GRACE_S)
        log.info("web.closed")
