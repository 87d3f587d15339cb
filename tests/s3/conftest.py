"""One real store for all tests of this folder; each test has a prefix of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from ticklake.files.object_path import ObjectPath
from ticklake.testing.s3_server import S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server
        server.kill()  # it would wait for connections that are kept open, and nobody needs what it holds


@pytest.fixture
def bucket(s3_server: S3Server) -> ObjectPath:
    """A fresh prefix."""
    return s3_server.place(f"t-{uuid.uuid4().hex[:8]}")
