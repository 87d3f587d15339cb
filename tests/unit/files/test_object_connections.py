"""A connection that a store has fallen out of step with is left, not asked again and again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ticklake.files.object_store import ObjectStore
from ticklake.files.s3_access import S3Access

REFUSAL = b"<Error><Code>SignatureDoesNotMatch</Code><Message>It does not match.</Message></Error>"


class OutOfStep(BaseHTTPRequestHandler):
    """Refuses whatever comes over the first connection, and takes all else."""

    protocol_version = "HTTP/1.1"
    connections: list[int]

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.client_address[1])

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        is_first = self.client_address[1] == self.connections[0]
        content = REFUSAL if is_first else b""
        self.send_response(403 if is_first else 200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    OutOfStep.connections = []
    with ThreadingHTTPServer(("127.0.0.1", 0), OutOfStep) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_new", [True, False])
def test_after_a_refused_signature_another_connection_is_asked(server: ThreadingHTTPServer, is_new: bool) -> None:
    access = S3Access(
        endpoint=f"http://127.0.0.1:{server.server_port}", region="us-east-1", access_key="a", secret_key="b"
    )
    store = ObjectStore("lake", access)
    if is_new:
        store.create("a", b"1", token="t")
    else:
        store.put("a", b"1")
    assert len(OutOfStep.connections) == 2
