"""Reported numbers as a Polars frame, and what could be known of them at a time. Pure.

One row per statement: concept, unit, period and filing. A later filing that reports a period again is a further row,
whether it confirms or corrects; the newest row that could be known is the answer. Of two filings known at the same
instant the one with the higher number (source) counts: the SEC numbers them in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

import polars as pl

from ticklake.stores.models import FundamentalFact
from ticklake.stores.spans import Span, as_utc

FACT_SCHEMA: Final = pl.Schema(
    {
        "concept": pl.String(),
        "unit": pl.String(),
        "value": pl.Float64(),
        "period_end": pl.Date(),
        "known_at": pl.Datetime("us", "UTC"),
        "period_start": pl.Date(),
        "source": pl.String(),
        "form": pl.String(),
        "fiscal_year": pl.Int32(),
        "fiscal_period": pl.String(),
        "frame": pl.String(),
    }
)
PERIOD_KEY: Final = ("concept", "unit", "period_end", "period_start")
STATEMENT_KEY: Final = (*PERIOD_KEY, "known_at", "source")

_NAMES: Final = tuple(field.name for field in fields(FundamentalFact) if field.name != "symbol")


def frame_of_facts(facts: Sequence[FundamentalFact]) -> pl.DataFrame:
    """Facts of one symbol as rows; of two with the same statement key the last."""
    columns: dict[str, list[Any]] = {name: [getattr(fact, name) for fact in facts] for name in _NAMES}
    columns["value"] = [float(value) for value in columns["value"]]
    columns["known_at"] = [as_utc(moment) for moment in columns["known_at"]]
    return add_facts(pl.DataFrame(schema=FACT_SCHEMA), pl.DataFrame(columns, schema=FACT_SCHEMA))


def add_facts(old: pl.DataFrame, new: pl.DataFrame) -> pl.DataFrame:
    """Both, in the order of the statement key; of equal keys the new row."""
    rows = pl.concat([old, new]).unique(list(STATEMENT_KEY), keep="last", maintain_order=True)
    return in_key_order(rows)


def in_key_order(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows by concept, unit, period, known time and source; an instant before a period."""
    return rows.sort(STATEMENT_KEY, nulls_last=False)


def known_facts(rows: pl.LazyFrame, span: Span, concept: str | None) -> pl.LazyFrame:
    """The newest statement of each concept, unit and period that could be known at the end of the span."""
    if span.end is not None:
        rows = rows.filter(pl.col("known_at") <= pl.lit(span.end, pl.Datetime("us", "UTC")))
    if concept is not None:
        rows = rows.filter(pl.col("concept") == concept)
    newest = rows.sort("known_at", "source").unique(list(PERIOD_KEY), keep="last", maintain_order=True)
    return newest.sort(PERIOD_KEY, nulls_last=False)


def facts_of(rows: pl.DataFrame, *, symbol: str, span: Span) -> list[FundamentalFact]:
    """The rows as models, with times in the form of the question."""
    return [
        FundamentalFact(symbol=symbol, **{**row, "known_at": span.present(row["known_at"])})
        for row in rows.iter_rows(named=True)
    ]
