"""The data store in PostgreSQL: `PostgresDataStore`. For those who have a server; ticklake needs none."""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from ticklake.base.clock import Clock, SystemClock
from ticklake.stores.data_store import ComposedDataStore
from ticklake.stores.postgres_audit import PostgresAudit
from ticklake.stores.postgres_bars import PostgresBars
from ticklake.stores.postgres_database import Database
from ticklake.stores.postgres_fundamentals import PostgresFacts, PostgresFundamentals
from ticklake.stores.postgres_records import PostgresEvents, PostgresState
from ticklake.stores.state import VERSIONS_KEPT

SCHEMA: Final = "ticklake"
"""Schema of the tables, unless told otherwise."""


class PostgresDataStore(ComposedDataStore):
    """Bars, fundamentals, events, state and audit in one schema. A context manager; open with `open`."""

    def __init__(self, database: Database, *, clock: Clock, state_versions_kept: int) -> None:
        self._database = database
        super().__init__(
            bars=PostgresBars(database),
            fundamentals=PostgresFundamentals(database, clock=clock),
            facts=PostgresFacts(database),
            events=PostgresEvents(database),
            state=PostgresState(database, clock=clock, versions_kept=state_versions_kept),
            audit=PostgresAudit(database, clock=clock),
        )

    @classmethod
    def open(
        cls,
        dsn: str,
        *,
        schema: str = SCHEMA,
        clock: Clock | None = None,
        state_versions_kept: int = VERSIONS_KEPT,
    ) -> PostgresDataStore:
        """Connect, and make the tables that are missing.

        Args:
            dsn: `host=... dbname=...` or a `postgresql://` address.
            schema: the PostgreSQL schema that holds the tables.
            clock: stamps states and audit lines; the machine's by default.
            state_versions_kept: how many versions of a state stay.

        Raises:
            ConfigError: psycopg is not installed (`pip install 'ticklake[postgres]'`), or the user has no rights.
            UnavailableError: the server does not answer.
        """
        database = Database.connect(dsn, schema=schema)
        return cls(database, clock=clock or SystemClock(), state_versions_kept=state_versions_kept)

    def close(self) -> None:
        """Give the connection back. Safe to call twice."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
