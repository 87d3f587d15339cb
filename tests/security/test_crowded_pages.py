"""A crowd of bad HTTP clients does not slow the lake down, and is gone when the probes are needed."""

from __future__ import annotations

import socket
from contextlib import ExitStack, suppress
from pathlib import Path

from tests.crash.harness_faults import STREAM, Market, check_exactly_once, healthy

_CROWD = 80  # more than there are places


def test_ingest_does_not_notice_clients_that_are_silent_slow_or_deaf(tmp_path: Path) -> None:
    with Market(tmp_path) as market:
        service = healthy(tmp_path, market)
        with service, ExitStack() as stack:
            for n in range(_CROWD):
                client = stack.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=60))
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                with suppress(ConnectionError):  # beyond the cap
                    if n % 3 == 0:
                        client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n" * 40)  # never reads
                    elif n % 3 == 1:
                        client.sendall(b"GET /metrics HTT")  # never ends
            market.publish(3000)
            service.wait_for(lambda: STREAM in service.get("/metrics")[1].decode().upper(), "lets the probes in")
            service.wait_settled(STREAM, market.published)
            assert service.get("/readyz")[0] == 200
            assert service.terminate() == 0, service.log_tail()
        check_exactly_once(service, market.published)
