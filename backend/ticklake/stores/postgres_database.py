"""One PostgreSQL connection, its tables, and the two things that text columns cannot hold.

psycopg is optional: `pip install 'ticklake[postgres]'`. Calls of several threads take turns on the connection; several
processes have one each, and the server keeps them apart. What a call wrote is committed, and so durable, when it
returns (unless somebody turned `synchronous_commit` off).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ticklake.base.errors import ConfigError, UnavailableError, UsageError
from ticklake.files.errors import PersistentStoreError

TABLES: Final = """
CREATE TABLE IF NOT EXISTS bars (
    symbol text, timeframe text, start timestamptz,
    open double precision NOT NULL, high double precision NOT NULL, low double precision NOT NULL,
    close double precision NOT NULL, volume double precision NOT NULL,
    PRIMARY KEY (symbol, timeframe, start));
CREATE TABLE IF NOT EXISTS fundamentals (
    symbol text, event_time timestamptz, known_at timestamptz, fingerprint text,
    written_at timestamptz NOT NULL, document bytea NOT NULL,
    PRIMARY KEY (symbol, event_time, known_at, fingerprint));
CREATE TABLE IF NOT EXISTS facts (
    symbol text NOT NULL, concept text NOT NULL, unit text NOT NULL, value double precision NOT NULL,
    period_end date NOT NULL, known_at timestamptz NOT NULL, period_start date, source text NOT NULL,
    form text, fiscal_year integer, fiscal_period text, frame text);
CREATE UNIQUE INDEX IF NOT EXISTS facts_statement ON facts
    (symbol, concept, unit, period_end, (coalesce(period_start, DATE '0001-01-01')), known_at, source);
CREATE TABLE IF NOT EXISTS events (
    number bigserial PRIMARY KEY, happened_at timestamptz NOT NULL, type text NOT NULL, document bytea NOT NULL);
CREATE INDEX IF NOT EXISTS events_time ON events (happened_at, number);
CREATE TABLE IF NOT EXISTS states (
    strategy_name text, version integer, document bytea NOT NULL,
    PRIMARY KEY (strategy_name, version));
CREATE TABLE IF NOT EXISTS audit (
    kind text, seq bigint, logged_at timestamptz NOT NULL, line bytea NOT NULL,
    PRIMARY KEY (kind, seq));
CREATE TABLE IF NOT EXISTS audit_heads (kind text PRIMARY KEY, seq bigint NOT NULL, hash text NOT NULL);
"""

_SETUP_LOCK: Final = 7_106_551_001  # any number, the same in all our programs: two that start at once take turns


class Database:
    """A connection with our tables. Safe between threads; give each process its own."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._turn = threading.RLock()

    @classmethod
    def connect(cls, dsn: str, *, schema: str) -> Database:
        """Connect, and make the schema and the tables that are missing.

        Args:
            dsn: `host=... dbname=...` or a `postgresql://` address.
            schema: the PostgreSQL schema that holds the tables.

        Raises:
            UsageError: `dsn` is no address of a server.
            ConfigError: psycopg is not installed, or the server refuses the schema.
            UnavailableError: the server does not answer.
        """
        try:
            import psycopg
            from psycopg import sql
        except ImportError as error:
            raise ConfigError("psycopg is not installed; run pip install 'ticklake[postgres]'") from error
        try:
            connection = psycopg.connect(dsn, autocommit=True, options="-c TimeZone=UTC")
        except psycopg.ProgrammingError as error:
            raise UsageError("--dsn: write postgresql://host/database, or host=... dbname=...") from error
        except psycopg.OperationalError as error:
            raise UnavailableError(f"PostgreSQL does not answer ({error}); check server and address") from error
        name = sql.Identifier(schema)
        try:
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", [_SETUP_LOCK])
                connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
                connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
                connection.execute(TABLES)
            connection.execute(sql.SQL("SET search_path TO {}").format(name))
        except psycopg.Error as error:
            connection.close()
            raise ConfigError(f"schema {schema!r}: {error}; give the user the right to create it") from error
        return cls(connection)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor in a transaction of its own: committed when the block ends, rolled back when it raises.

        Raises:
            UnavailableError: the connection is gone; whether the transaction was committed is not known, so look.
            PersistentStoreError: the server refuses; nothing was written.
        """
        import psycopg

        with self._turn:
            try:
                with self._connection.transaction(), self._connection.cursor() as cursor:
                    yield cursor
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                raise UnavailableError(f"PostgreSQL: {error}; look whether it was written, then try again") from error
            except psycopg.Error as error:
                raise PersistentStoreError(f"PostgreSQL refused: {error}; nothing was written") from error

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows of one query."""
        with self.transaction() as cursor:
            found: list[tuple[Any, ...]] = cursor.execute(query, values).fetchall()
            return found


def to_text(text: str) -> str:
    """Any text as one that a column can hold: NUL and `%` are percent-encoded, nothing else.

    Raises:
        UsageError: a lone surrogate, which no encoding can carry.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{text!r} is no valid text (a lone surrogate); pass a name that can be written") from error
    return text.replace("%", "%25").replace("\0", "%00")


def from_text(stored: str) -> str:
    """The text of `to_text`."""
    return stored.replace("%00", "\0").replace("%25", "%")


def to_text_or_none(text: str | None) -> str | None:
    """`to_text`, with null for None."""
    return None if text is None else to_text(text)
