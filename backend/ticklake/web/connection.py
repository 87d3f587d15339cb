"""One HTTP connection: uvicorn's, with a cap on how many there are and a deadline for a request to arrive."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX: Final = 32
HEADER_BYTES_MAX: Final = 8 * 1024
REQUEST_TIMEOUT_S: Final = 5.0


class BoundedConnection(H11Protocol):
    """Drops connections beyond the cap, and those that take longer than the deadline to say what they want.

    Without the deadline a client that opens connections and stays silent would lock the probes out.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Count the connection; start the deadline."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
        else:
            self._expect_request()

    def on_response_complete(self) -> None:
        """Start the deadline of the next request."""
        super().on_response_complete()
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def _expect_request(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._drop_unless_busy)

    def _drop_unless_busy(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
