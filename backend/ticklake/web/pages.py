"""The read-only pages: probes, metrics, status once and as a stream. They show `Status`; they know nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ticklake.base.metrics import Metrics
from ticklake.service.health import Health, liveness, readiness, startup
from ticklake.service.status import Status

EVENT_INTERVAL_S: Final = 1.0
STREAMS_MAX: Final = 16  # half of the connections: streams must not lock the probes out

_EVENT_HEADERS: Final = {"X-Accel-Buffering": "no"}
_INDEX: Final = """ticklake

/livez        does the process work? 503 with reasons when a restart helps
/readyz       do messages flow into files? 503 with reasons; ?verbose for JSON in any case
/healthz      the same as /readyz
/startupz     is the log of the last run in the lake?
/metrics      Prometheus
/status.json  everything we know, once
/events       the same as a stream, every second
/version      what runs here
"""


class Pages:
    """The pages over one source of `Status` and one of metrics."""

    def __init__(self, status: Callable[[], Status], metrics: Metrics, *, stop: asyncio.Event) -> None:
        self._status = status
        self._metrics = metrics
        self._stop = stop
        self._streams = 0
        pages = {
            "/": self._index,
            "/livez": self._livez,
            "/readyz": self._readyz,
            "/healthz": self._readyz,
            "/startupz": self._startupz,
            "/metrics": self._metrics_page,
            "/status.json": self._status_page,
            "/events": self._events,
            "/version": self._version,
        }
        self.app = Starlette(routes=[Route(path, page, methods=["GET"]) for path, page in pages.items()])

    async def _index(self, _request: Request) -> Response:
        return PlainTextResponse(_INDEX)

    async def _livez(self, request: Request) -> Response:
        status = self._status()
        return _probe(request, liveness(status, status.taken_ns))

    async def _readyz(self, request: Request) -> Response:
        status = self._status()
        return _probe(request, readiness(status, status.taken_ns))

    async def _startupz(self, request: Request) -> Response:
        return _probe(request, startup(self._status()))

    async def _metrics_page(self, request: Request) -> Response:
        body, content_type = self._metrics.render(request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})

    async def _status_page(self, _request: Request) -> Response:
        return _json(self._status().to_dict())

    async def _version(self, _request: Request) -> Response:
        status = self._status()
        return _json({"version": status.version, "identity": status.identity})

    async def _events(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=_EVENT_HEADERS)
        if self._streams >= STREAMS_MAX:
            text = f"{STREAMS_MAX} streams are open already; read /status.json instead\n"
            return PlainTextResponse(text, status_code=503, headers={"Retry-After": "5"})
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=_EVENT_HEADERS)

    async def _stream(self) -> AsyncIterator[bytes]:
        """Server-sent events until the client leaves or the service stops. A slow client waits alone."""
        self._streams += 1
        try:
            yield b"retry: 2000\n\n"
            while not self._stop.is_set():
                yield b"event: status\ndata: " + msgspec.json.encode(self._status().to_dict()) + b"\n\n"
                try:
                    await asyncio.wait_for(self._stop.wait(), EVENT_INTERVAL_S)
                except TimeoutError:
                    continue
            yield b"event: stop\ndata: {}\n\n"
        finally:
            self._streams -= 1


def _probe(request: Request, health: Health) -> Response:
    if health.ok and "verbose" not in request.query_params:
        return PlainTextResponse("ok\n")
    return _json(health.to_dict(), status_code=200 if health.ok else 503)


def _json(value: Any, *, status_code: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code=status_code, media_type="application/json")
