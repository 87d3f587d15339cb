"""Reported numbers in files: one Parquet file per symbol, rewritten as a whole under a lock.

    {folder}/AAPL/facts.parquet

All filings of a large company since 2009 are some 25,000 rows, half a megabyte: one file is read faster than many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

from ticklake.files.atomic import discard, locked, publish_file, temp_beside
from ticklake.files.engines import scan_files, source_of
from ticklake.files.errors import UnreadableError
from ticklake.files.names import safe_name
from ticklake.files.place import Place, sorted_places
from ticklake.stores.fundamentals import check_symbol
from ticklake.stores.fundamentals_facts import FACT_SCHEMA, add_facts, facts_of, frame_of_facts, known_facts
from ticklake.stores.models import FundamentalFact
from ticklake.stores.spans import ALWAYS, Moment, Span

_NAME: Final = "facts.parquet"
_ROW_GROUP_ROWS: Final = 4096
"""Rows are sorted by concept: who asks for one reads one group or two."""


class FileFacts:
    """Facts below one folder. Safe between threads and processes."""

    def __init__(self, folder: Place) -> None:
        self._folder = folder

    def write_facts(self, symbol: str, facts: Sequence[FundamentalFact]) -> None:
        """Add facts. One of the same concept, unit, period, known time and source replaces the stored one.

        Raises:
            RejectedError: a fact is of another symbol; nothing was stored.
        """
        for fact in facts:
            check_symbol(symbol, fact.symbol)
        if not facts:
            return
        path = self._path(symbol)
        with locked(path):
            old = _read(path) if path.exists() else pl.DataFrame(schema=FACT_SCHEMA)
            _write(path, add_facts(old, frame_of_facts(facts)), symbol)

    def read_facts(
        self, symbol: str, as_of: Moment | None = None, *, concept: str | None = None
    ) -> list[FundamentalFact]:
        """For each concept, unit and period the newest statement that could be known at `as_of`.

        Args:
            symbol: the instrument.
            as_of: included; a date means until its end. None for everything that is known by now.
            concept: only this one.

        Raises:
            UnreadableError: the file is damaged; the text names it.
        """
        path, span = self._path(symbol), Span.of(None, as_of)
        if not path.exists():
            return []
        return facts_of(known_facts(_read(path, concept).lazy(), span, concept).collect(), symbol=symbol, span=span)

    def read_fact_history(self, symbol: str, *, concept: str | None = None) -> list[FundamentalFact]:
        """Every statement ever written, by concept, unit, period, known time and source."""
        path = self._path(symbol)
        if not path.exists():
            return []
        return facts_of(_read(path, concept), symbol=symbol, span=ALWAYS)

    def count_facts(self) -> dict[str, int]:
        """How many statements of each symbol there are, from footers."""
        counts = {}
        for path in sorted_places(self._folder.glob(f"*/{_NAME}")):
            symbol = pl.read_parquet_metadata(source_of(path))["ticklake.symbol"]
            counts[symbol] = scan_files([path]).select(pl.len()).collect().item()
        return counts

    def _path(self, symbol: str) -> Place:
        return self._folder / safe_name(symbol) / _NAME


def _read(path: Place, concept: str | None = None) -> pl.DataFrame:
    rows = scan_files([path], schema=FACT_SCHEMA)
    try:
        return (rows if concept is None else rows.filter(pl.col("concept") == concept)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UnreadableError(f"{path}: no facts ({error}); restore it from a copy", path=path) from error


def _write(path: Place, rows: pl.DataFrame, symbol: str) -> None:
    temp = temp_beside(path)
    footer = {"ticklake.schema": "records.facts/1", "ticklake.symbol": symbol}
    try:
        rows.write_parquet(temp, compression="zstd", row_group_size=_ROW_GROUP_ROWS, metadata=footer)
    except BaseException:
        discard(temp)
        raise
    publish_file(temp, path)
