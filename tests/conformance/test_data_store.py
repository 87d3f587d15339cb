"""The public suite, against files and against a real PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.postgres_server import PostgresServer, start_server

from ticklake.stores.file_store import FileDataStore
from ticklake.stores.postgres import PostgresDataStore
from ticklake.stores.protocol import DataStore
from ticklake.testing.data_store import DataStoreSuite


class TestFileDataStore(DataStoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> DataStore:
        return FileDataStore(tmp_path / "records")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with start_server() as server:
        yield server


class TestPostgresDataStore(DataStoreSuite):
    @pytest.fixture
    def store(self, server: PostgresServer) -> Iterator[DataStore]:
        with PostgresDataStore.open(server.dsn, schema=server.fresh_schema()) as store:
            yield store
