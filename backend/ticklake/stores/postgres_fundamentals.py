"""Snapshots and facts in PostgreSQL. What could be known when is decided by the same code as for files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from ticklake.base.clock import Clock
from ticklake.stores.fundamentals import StoredSnapshot, check_symbol, decode_snapshot, encode_snapshot, fingerprint
from ticklake.stores.fundamentals_facts import FACT_SCHEMA, facts_of, frame_of_facts, in_key_order, known_facts
from ticklake.stores.models import FundamentalData, FundamentalFact
from ticklake.stores.postgres_database import Database, from_text, to_text, to_text_or_none
from ticklake.stores.spans import ALWAYS, Moment, Span, as_utc, end_of, from_ns

_NEWEST: Final = """
SELECT document FROM fundamentals WHERE symbol = %s AND known_at <= coalesce(%s, 'infinity'::timestamptz)
ORDER BY event_time DESC, known_at DESC, written_at DESC LIMIT 1
"""
_HISTORY: Final = "SELECT document FROM fundamentals WHERE symbol = %s ORDER BY event_time, known_at, written_at"
_COLUMNS: Final = ", ".join(FACT_SCHEMA.names())
_TEXTS: Final = tuple(name for name, dtype in FACT_SCHEMA.items() if dtype == pl.String)
_UPSERT: Final = f"""
INSERT INTO facts (symbol, {_COLUMNS}) SELECT symbol, {_COLUMNS} FROM incoming
ON CONFLICT (symbol, concept, unit, period_end, (coalesce(period_start, DATE '0001-01-01')), known_at, source)
DO UPDATE SET value = excluded.value, form = excluded.form, fiscal_year = excluded.fiscal_year,
    fiscal_period = excluded.fiscal_period, frame = excluded.frame
"""  # noqa: S608 - column names of ours
_FACTS: Final = f"""
SELECT {_COLUMNS} FROM facts WHERE symbol = %s AND known_at <= coalesce(%s, 'infinity'::timestamptz)
    AND (%s::text IS NULL OR concept = %s)
"""  # noqa: S608 - column names of ours


class PostgresFundamentals:
    """The snapshots of a database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def write_fundamental(self, symbol: str, data: FundamentalData) -> None:
        """Keep a snapshot beside all earlier ones; the same one again changes nothing.

        Raises:
            RejectedError: the snapshot is of another symbol.
        """
        check_symbol(symbol, data.symbol)
        written_at = from_ns(self._clock.wall_ns())
        document = encode_snapshot(StoredSnapshot(data, written_at))
        key = (to_text(symbol), as_utc(data.timestamp), data.known, fingerprint(data))
        with self._database.transaction() as cursor:
            insert = "INSERT INTO fundamentals VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
            cursor.execute(insert, (*key, written_at, document))

    def read_fundamental(self, symbol: str, as_of: Moment | None = None) -> FundamentalData | None:
        """The newest snapshot that could be known at `as_of`; None when there is none."""
        rows = self._database.rows(_NEWEST, to_text(symbol), None if as_of is None else end_of(as_of))
        return decode_snapshot(rows[0][0], path="fundamentals").data if rows else None

    def read_fundamental_history(self, symbol: str) -> list[FundamentalData]:
        """Every snapshot, by event time, known time, time of writing."""
        rows = self._database.rows(_HISTORY, to_text(symbol))
        return [decode_snapshot(document, path="fundamentals").data for (document,) in rows]

    def count_fundamentals(self) -> dict[str, int]:
        """Snapshots by symbol."""
        return _counts(self._database.rows("SELECT symbol, count(*) FROM fundamentals GROUP BY symbol"))


class PostgresFacts:
    """The facts of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write_facts(self, symbol: str, facts: Sequence[FundamentalFact]) -> None:
        """Add facts, all or none; of equal statements the last stays.

        Raises:
            RejectedError: a fact is of another symbol.
        """
        for fact in facts:
            check_symbol(symbol, fact.symbol)
        rows = frame_of_facts(facts).with_columns(pl.col(_TEXTS).map_elements(to_text, return_dtype=pl.String))
        stored = to_text(symbol)
        with self._database.transaction() as cursor:
            cursor.execute("CREATE TEMP TABLE incoming (LIKE facts) ON COMMIT DROP")
            with cursor.copy(f"COPY incoming (symbol, {_COLUMNS}) FROM STDIN") as copy:
                for row in rows.iter_rows():
                    copy.write_row((stored, *row))
            cursor.execute(_UPSERT)

    def read_facts(
        self, symbol: str, as_of: Moment | None = None, *, concept: str | None = None
    ) -> list[FundamentalFact]:
        """The newest statement of each concept, unit and period that could be known at `as_of`."""
        span = Span.of(None, as_of)
        rows = known_facts(self._rows(symbol, span, concept).lazy(), span, concept).collect()
        return facts_of(rows, symbol=symbol, span=span)

    def read_fact_history(self, symbol: str, *, concept: str | None = None) -> list[FundamentalFact]:
        """Every statement, by concept, unit, period, known time and source."""
        return facts_of(in_key_order(self._rows(symbol, ALWAYS, concept)), symbol=symbol, span=ALWAYS)

    def count_facts(self) -> dict[str, int]:
        """Statements by symbol."""
        return _counts(self._database.rows("SELECT symbol, count(*) FROM facts GROUP BY symbol"))

    def _rows(self, symbol: str, span: Span, concept: str | None) -> pl.DataFrame:
        wanted = to_text_or_none(concept)
        rows = self._database.rows(_FACTS, to_text(symbol), span.end, wanted, wanted)
        frame = pl.DataFrame(rows, schema=FACT_SCHEMA, orient="row")
        return frame.with_columns(pl.col(_TEXTS).map_elements(from_text, return_dtype=pl.String))


def _counts(rows: list[tuple[Any, ...]]) -> dict[str, int]:
    return dict(sorted((from_text(symbol), count) for symbol, count in rows))
