"""What only the PostgreSQL backend can get wrong: names of columns, tampering by SQL, two programs, no server."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import pytest
from tests.conformance.postgres_server import PostgresServer, start_server

from ticklake.base.errors import ConfigError, UnavailableError, UsageError
from ticklake.stores.audit_records import AuditKind
from ticklake.stores.models import Action, Decision, PriceBar
from ticklake.stores.postgres import PostgresDataStore
from ticklake.stores.postgres_database import from_text, to_text

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DECISION = Decision("AAPL", Action.BUY, 0.5, 0.5, "why")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with start_server() as server:
        yield server


@pytest.mark.parametrize("text", ["", "%", "\0", "%00", "%2500", "\0%25\0", "a%b"])
def test_any_text_fits_a_column_and_comes_back(text: str) -> None:
    assert "\0" not in to_text(text)
    assert from_text(to_text(text)) == text


def test_a_name_that_no_encoding_carries_is_refused() -> None:
    with pytest.raises(UsageError):
        to_text("\ud800")


TAMPERING = {
    "a changed line": "UPDATE audit SET line = overlay(line PLACING 'x'::bytea FROM 40) WHERE seq = 3",
    "a removed line": "DELETE FROM audit WHERE seq = 3",
    "a removed end": "DELETE FROM audit WHERE seq = 5",
    "swapped lines": "UPDATE audit a SET line = b.line FROM audit b WHERE a.seq IN (3, 4) AND b.seq = 7 - a.seq",
    "a removed head": "DELETE FROM audit_heads",
    "a changed head": "UPDATE audit_heads SET seq = 4",
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(TAMPERING))
def test_tampering_by_sql_is_found(server: PostgresServer, what: str) -> None:
    import psycopg

    schema = server.fresh_schema()
    with PostgresDataStore.open(server.dsn, schema=schema) as store:
        for _ in range(5):
            store.log_decision("value", DECISION)
        assert store.verify_audit(AuditKind.DECISIONS).is_ok
        with psycopg.connect(server.dsn, options=f"-c search_path={schema}") as connection:
            assert connection.execute(TAMPERING[what]).rowcount > 0  # type: ignore[call-overload]
        assert not store.verify_audit(AuditKind.DECISIONS).is_ok


def test_programs_with_connections_of_their_own_share_one_store(server: PostgresServer) -> None:
    schema = server.fresh_schema()

    def run(program: int) -> None:
        with PostgresDataStore.open(server.dsn, schema=schema) as store:
            for number in range(5):
                store.log_decision("value", DECISION)
                store.save_strategy_state("value", {"n": number})
                store.write_bars("AAPL", [PriceBar("AAPL", NOON.replace(minute=program, second=number), 1, 1, 1, 1, 1)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, range(8)))
    with PostgresDataStore.open(server.dsn, schema=schema, state_versions_kept=2) as store:
        assert store.verify_audit(AuditKind.DECISIONS).lines == 40
        assert store.verify_audit(AuditKind.DECISIONS).is_ok
        assert len(store.read_bars("AAPL", date(2026, 1, 5), date(2026, 1, 5))) == 40
        assert store.save_strategy_state("value", {}) == 41
        assert store.list_state_versions("value") == [40, 41]


def test_without_psycopg_the_next_step_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"ticklake\[postgres\]"):
        PostgresDataStore.open("dbname=none")


@pytest.mark.usefixtures("server")
def test_no_server_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="does not answer"):
        PostgresDataStore.open("host=/nonexistent-folder dbname=none")
