"""What stands before every page: no strange host names, and headers that keep browsers from doing more than show it."""

from __future__ import annotations

import ipaddress
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ticklake.web.connection import HEADER_BYTES_MAX

# Nobody outside can register a name below these, so a page of theirs cannot be "us" in a browser.
_PRIVATE_SUFFIXES: Final = (".localhost", ".local", ".internal", ".svc")

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI wrapper around the pages.

    The check of the Host header stops DNS rebinding: a web page elsewhere whose name is made to point at us, so that
    the browser hands it what we serve.
    """

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self._app = app
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer strangers with 421, huge heads with 431, bodies with 400, the rest through the pages.

        Our headers go on every answer.
        """

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
            await send(message)

        await self._choose(scope)(scope, receive, send_with_headers)

    def _choose(self, scope: Scope) -> ASGIApp:
        # The parser's own limit holds only for a head that comes in pieces.
        fields = sum(len(name) + len(value) for name, value in scope["headers"])
        if len(scope["raw_path"]) + len(scope["query_string"]) + fields > HEADER_BYTES_MAX:
            return PlainTextResponse(f"the request's head is larger than {HEADER_BYTES_MAX} bytes\n", status_code=431)
        headers = Headers(scope=scope)
        if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
            # No page takes one, and about where a body ends a proxy in front of us may think otherwise than we do.
            close = {"Connection": "close"}
            return PlainTextResponse("send no body: there is nothing to change here\n", status_code=400, headers=close)
        if not is_own_name(headers.get("host"), self._host):
            return PlainTextResponse("this Host name is not ours; use the address or a local name\n", status_code=421)
        return self._app


def is_own_name(host_header: str | None, own_host: str) -> bool:
    """Whether a Host header names this server: an address, a local name, or the host it was told to listen on.

    Without the header it is no browser, and there is nothing to guard.
    """
    if host_header is None:
        return True
    name = _strip_port(host_header).lower().rstrip(".")
    if name in ("localhost", own_host.lower()):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(_PRIVATE_SUFFIXES))
    return True


def _strip_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
