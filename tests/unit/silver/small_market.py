"""A small simulated session for the certificate: two contracts, a book with holes, an event now and then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from ticklake.schema.session import US_INDEX_FUTURES, SessionWindow, session_window
from ticklake.silver.frames import Frames

DAY = date(2026, 11, 20)
MINUTE_NS = 60_000_000_000
SECOND_NS = 1_000_000_000
BUCKET_NS = 250_000_000
KINDS = pl.Series(["VWAP", "PM_HIGH", "OR_LOW"])


@dataclass(frozen=True, slots=True)
class Market:
    """What a feature may look at; all rows in event order."""

    trades: pl.DataFrame
    book: pl.DataFrame
    events: pl.DataFrame


def session() -> SessionWindow:
    """The day everything happens on."""
    window = session_window(US_INDEX_FUTURES, DAY)
    assert window is not None
    return window


def simulate(trades: int = 3_000, quotes: int = 4_000, minutes: int = 40, seed: int = 1) -> dict[str, pl.LazyFrame]:
    """Input frames of a session: a random walk on a grid of quarters."""
    random = np.random.default_rng(seed)
    start_ns = session().open_ns - 10 * MINUTE_NS

    def moments(count: int) -> np.ndarray:
        return np.sort(random.integers(start_ns, start_ns + minutes * MINUTE_NS, count))

    price = 6000 + 0.25 * np.cumsum(random.integers(-1, 2, trades))
    is_next = random.random(trades) < np.linspace(0.05, 0.9, trades)
    bid = 6000 + 0.25 * np.cumsum(random.integers(-1, 2, quotes))
    is_hole = random.random(quotes) < 0.3
    sequence = pl.int_range(trades, eager=True)
    return {
        "bronze_trades": pl.LazyFrame(
            {
                "ts_event_ns": moments(trades),
                "price": price,
                "size": random.integers(1, 20, trades),
                "aggressor": random.integers(-1, 2, trades).astype(np.int8),
                "contract": np.where(is_next, "ESH7", "ESZ6"),
                "stream_seq": sequence,
                "message_row": sequence * 0,
            }
        ),
        "bronze_book": pl.LazyFrame(
            {
                "ts_event_ns": moments(quotes),
                "bid_px_1": pl.Series(bid).set(pl.Series(is_hole), None),
                "bid_sz_1": random.integers(1, 200, quotes).astype(float),
                "ask_sz_1": random.integers(1, 200, quotes).astype(float),
            }
        ),
    }


def market_of(inputs: Frames, every: int = 25) -> Market:
    """The frames, and an event at every trade whose sequence says so."""
    trades, book = pl.collect_all([inputs["bronze_trades"], inputs["bronze_book"]])
    sequence = pl.col("stream_seq")
    events = trades.filter(sequence % every == 0).select(
        pl.format("e{}", sequence).alias("event_id"),
        "ts_event_ns",
        "price",
        pl.lit(KINDS).gather(sequence // every % 3).alias("kind"),
        "stream_seq",
    )
    return Market(trades, book, events)


def latest(market: Market, rows: pl.DataFrame, value: pl.Expr, time: str = "ts_event_ns") -> pl.Series:
    """For each event the value of the last row at or before it: the honest way."""
    return as_of(market, rows, value, "backward", time)


def as_of(market: Market, rows: pl.DataFrame, value: pl.Expr, strategy: str, time: str = "ts_event_ns") -> pl.Series:
    """For each event the value of a row near it; rows of one instant count together, the last of them rules."""
    right = rows.select(pl.col(time).alias("ts_event_ns"), value.alias("value")).unique(
        "ts_event_ns", keep="last", maintain_order=True
    )
    return market.events.select("ts_event_ns").join_asof(right, on="ts_event_ns", strategy=strategy)["value"]


def bars(market: Market) -> pl.DataFrame:
    """One-minute bars with their start and end."""
    start = pl.col("ts_event_ns") // MINUTE_NS * MINUTE_NS
    return (
        market.trades.group_by(start.alias("start_ns"), maintain_order=True)
        .agg(close=pl.col("price").last(), high=pl.col("price").max(), volume=pl.col("size").sum())
        .with_columns(end_ns=pl.col("start_ns") + MINUTE_NS)
    )


def buckets(market: Market) -> pl.DataFrame:
    """The last quote of each 250 ms, with start and end of the bucket."""
    start = pl.col("ts_event_ns") // BUCKET_NS * BUCKET_NS
    return (
        market.book.group_by(start.alias("start_ns"), maintain_order=True)
        .agg(pl.col("bid_sz_1").last())
        .with_columns(end_ns=pl.col("start_ns") + BUCKET_NS)
    )
