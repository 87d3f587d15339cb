"""One HTTP connection: uvicorn's, with a cap on how many there are and a deadline for a request to arrive."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX: Final = 32
HEADER_BYTES_MAX: Final = 8 * 1024
REQUEST_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 20.0


class BoundedConnection(H11Protocol):
    """Drops connections beyond the cap, those that take too long to say what they want, and those that do not listen.

    Without the deadlines a client that opens connections and stays silent, or asks and never reads the answer, would
    lock the probes out.
    """

    _deadline: asyncio.TimerHandle | None = None
    _read_deadline: asyncio.TimerHandle | None = None

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

    def pause_writing(self) -> None:
        """The client takes nothing any more: give it a little time."""
        super().pause_writing()
        self._read_deadline = self.loop.call_later(READ_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It reads again."""
        super().resume_writing()
        self._forget(self._read_deadline)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        super().connection_lost(exc)
        self._forget(self._deadline)
        self._forget(self._read_deadline)

    def _forget(self, timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()

    def _expect_request(self) -> None:
        self._forget(self._deadline)
        self._deadline = self.loop.call_later(REQUEST_TIMEOUT_S, self._drop_unless_busy)

    def _drop_unless_busy(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
