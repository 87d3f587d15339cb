"""Bars in PostgreSQL: one row each, upserted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from ticklake.stores.bars import BarSeries, by_timeframe
from ticklake.stores.bars_frame import BAR_SCHEMA, bars_of, checked_frame, frame_of
from ticklake.stores.models import DAILY, PriceBar
from ticklake.stores.postgres_database import Database, from_text, to_text
from ticklake.stores.spans import ALWAYS, Moment, Span

_UPSERT: Final = """
INSERT INTO bars SELECT * FROM incoming ORDER BY start
ON CONFLICT (symbol, timeframe, start) DO UPDATE SET
    open = excluded.open, high = excluded.high, low = excluded.low, close = excluded.close, volume = excluded.volume
"""
_READ: Final = """
SELECT start, open, high, low, close, volume FROM bars
WHERE symbol = %s AND timeframe = %s AND start >= coalesce(%s, '-infinity'::timestamptz)
    AND start <= coalesce(%s, 'infinity'::timestamptz) ORDER BY start
"""


class PostgresBars:
    """The `BarStore` of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write_bars(self, symbol: str, bars: Sequence[PriceBar]) -> None:
        """Add or replace bars, all or none.

        Raises:
            RejectedError: a bar is of another symbol.
        """
        groups = by_timeframe(symbol, bars)
        self._upsert(symbol, {timeframe: frame_of(group) for timeframe, group in groups.items()})

    def write_bar_frame(self, symbol: str, frame: Any, *, timeframe: str = DAILY) -> int:
        """Add or replace the bars of a frame, all or none; gives how many."""
        rows = checked_frame(frame)
        self._upsert(symbol, {timeframe: rows})
        return len(rows)

    def read_bars(self, symbol: str, start: Moment, end: Moment, *, timeframe: str = DAILY) -> list[PriceBar]:
        """Bars that start from `start` to `end`, both included, in order."""
        span = Span.of(start, end)
        return bars_of(self._read(symbol, timeframe, span), symbol=symbol, timeframe=timeframe, span=span)

    def read_bar_frame(
        self, symbol: str, start: Moment | None = None, end: Moment | None = None, *, timeframe: str = DAILY
    ) -> pl.DataFrame:
        """The same bars as a frame."""
        return self._read(symbol, timeframe, Span.of(start, end))

    def list_bars(self) -> list[BarSeries]:
        """What there is, by symbol and timeframe. Files and bytes are 0: the server has its own."""
        query = "SELECT symbol, timeframe, count(*), min(start), max(start) FROM bars GROUP BY symbol, timeframe"
        found = [
            BarSeries(from_text(symbol), from_text(timeframe), rows, 0, 0, ALWAYS.present(first), ALWAYS.present(last))
            for symbol, timeframe, rows, first, last in self._database.rows(query)
        ]
        return sorted(found, key=lambda series: (series.symbol, series.timeframe))

    def _upsert(self, symbol: str, frames: dict[str, pl.DataFrame]) -> None:
        stored = to_text(symbol)
        with self._database.transaction() as cursor:
            cursor.execute("CREATE TEMP TABLE incoming (LIKE bars) ON COMMIT DROP")
            with cursor.copy("COPY incoming FROM STDIN") as copy:
                for timeframe, rows in frames.items():
                    name = to_text(timeframe)
                    for row in rows.select(BAR_SCHEMA.names()).iter_rows():
                        copy.write_row((stored, name, *row))
            cursor.execute(_UPSERT)

    def _read(self, symbol: str, timeframe: str, span: Span) -> pl.DataFrame:
        rows = self._database.rows(_READ, to_text(symbol), to_text(timeframe), span.start, span.end)
        return pl.DataFrame(rows, schema=BAR_SCHEMA, orient="row")
