"""Small hand-made events, trades, books and options, times in seconds after an instant, for the feature stages."""

from __future__ import annotations

from datetime import date

import polars as pl

from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.orderflow import added, ofi_terms

NS = 1_000_000_000
DATE = date(2025, 1, 15)


def session() -> SessionWindow:
    window = session_window("us_index_futures", DATE)
    assert window is not None
    return window


OPEN_NS = session().open_ns


def at(second: float) -> int:
    return OPEN_NS + round(second * NS)


def events(*rows: dict) -> pl.DataFrame:
    """Events; what a row leaves out is: CALL_WALL at 100, direction 1, entry 95, zone 5, ATR 2."""
    return pl.DataFrame(
        {
            "event_id": [f"e{place}" for place in range(len(rows))],
            "ts_event_ns": pl.Series([at(row["second"]) for row in rows], dtype=pl.Int64),
            "kind": pl.Series([row.get("kind", "CALL_WALL") for row in rows], dtype=pl.String),
            "level_price": pl.Series([row.get("level", 100.0) for row in rows], dtype=pl.Float64),
            "direction": pl.Series([row.get("direction", 1) for row in rows], dtype=pl.Int8),
            "entry_price": pl.Series([row.get("entry", 95.0) for row in rows], dtype=pl.Float64),
            "zone_points": pl.Series([row.get("zone", 5.0) for row in rows], dtype=pl.Float64),
            "atr": pl.Series([row.get("atr", 2.0) for row in rows], dtype=pl.Float64),
        }
    )


def trades(*rows: tuple[float, float, int, int]) -> pl.DataFrame:
    """Trades as (second, price, size, aggressor)."""
    return pl.DataFrame(
        {
            "ts_event_ns": pl.Series([at(row[0]) for row in rows], dtype=pl.Int64),
            "price": pl.Series([row[1] for row in rows], dtype=pl.Float64),
            "size": pl.Series([row[2] for row in rows], dtype=pl.Int64),
            "aggressor": pl.Series([row[3] for row in rows], dtype=pl.Int8),
        }
    )


def book(*rows: tuple[float, list[tuple[float, float]], list[tuple[float, float]]]) -> pl.DataFrame:
    """Book rows as (second, bids, asks), a side being (price, size) from the best level on; the rest is absent.

    Each is the only update of its bucket.
    """
    columns: dict[str, pl.Series] = {"ts_event_ns": pl.Series([at(row[0]) for row in rows], dtype=pl.Int64)}
    for side, place in (("bid", 1), ("ask", 2)):
        for level in range(10):
            shown = [row[place][level] if level < len(row[place]) else (None, None) for row in rows]
            columns[f"{side}_px_{level + 1}"] = pl.Series([px for px, _ in shown], dtype=pl.Float64)
            columns[f"{side}_sz_{level + 1}"] = pl.Series([sz for _, sz in shown], dtype=pl.Float64)
    terms = ofi_terms(5)
    return pl.DataFrame(columns).with_columns(ofi=terms[0].fill_null(0.0), ofi5=added(terms))


def actions(*rows: tuple[float, str, str, float, float]) -> pl.DataFrame:
    """Book actions as (second, action, side, price, size)."""
    return pl.DataFrame(
        {
            "ts_event_ns": pl.Series([at(row[0]) for row in rows], dtype=pl.Int64),
            "action": pl.Series([row[1] for row in rows], dtype=pl.String),
            "side": pl.Series([row[2] for row in rows], dtype=pl.String),
            "action_price": pl.Series([row[3] for row in rows], dtype=pl.Float64),
            "action_size": pl.Series([row[4] for row in rows], dtype=pl.Float64),
        }
    )


def options(*rows: tuple[float, float, str, float | None]) -> pl.DataFrame:
    """Option trades as (second, strike, right, dealer gamma flow)."""
    return pl.DataFrame(
        {
            "ts_event_ns": pl.Series([at(row[0]) for row in rows], dtype=pl.Int64),
            "strike": pl.Series([row[1] for row in rows], dtype=pl.Float64),
            "right": pl.Series([row[2] for row in rows], dtype=pl.String),
            "dealer_gamma_flow": pl.Series([row[3] for row in rows], dtype=pl.Float64),
        }
    )


def values(columns: list[pl.Series]) -> dict[str, list]:
    return {column.name: column.to_list() for column in columns}
