"""Features that know only the past, near relatives of the leaks; one value per event."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from tests.unit.silver.leaks import event_column, rows_of_first_minutes, within
from tests.unit.silver.small_market import MINUTE_NS, SECOND_NS, Market, as_of, bars, buckets, latest, session

PRICE, SIZE, TIME = pl.col("price"), pl.col("size"), pl.col("ts_event_ns")
BID, KIND = pl.col("bid_px_1"), pl.col("kind")
SIGNED = pl.col("aggressor").cast(pl.Int64) * SIZE
COUNT = pl.int_range(1, pl.len() + 1)


def opening_range_when_final(market: Market) -> pl.Series:
    """The high of the opening range, known from its end on."""
    end_ns = session().open_ns + 15 * MINUTE_NS
    high = rows_of_first_minutes(market, 15)["price"].max()
    return event_column(market, pl.when(end_ns <= TIME).then(pl.lit(high, pl.Float64)))


def front_month_before_open(market: Market) -> pl.Series:
    """Price of the contract that led before the open, after the open."""
    open_ns = session().open_ns
    early = market.trades.filter(open_ns > TIME).group_by("contract", maintain_order=True).agg(SIZE.sum())
    leader = early.sort("size", "contract")["contract"].last()
    price = latest(market, market.trades.filter(pl.col("contract") == leader), PRICE)
    return event_column(market, pl.when(open_ns <= TIME).then(pl.lit(price)))


CLEAN: dict[str, Callable[[Market], pl.Series]] = {
    "trailing_window": lambda m: latest(m, m.trades, PRICE.rolling_mean(21)),
    "trailing_deviation": lambda m: latest(m, m.trades, PRICE.rolling_std(50)),
    "trailing_median": lambda m: latest(m, m.trades, PRICE.rolling_median(15)),
    "trailing_seconds": lambda m: within(m, PRICE.mean(), 10 * SECOND_NS, 0),
    "trailing_volume": lambda m: within(m, SIZE.sum(), 60 * SECOND_NS, 0),
    "trailing_move": lambda m: within(m, PRICE.last() - PRICE.first(), 60 * SECOND_NS, 0),
    "trailing_count": lambda m: within(m, pl.len(), 30 * SECOND_NS, 0),
    "trailing_imbalance": lambda m: within(m, SIGNED.sum() / SIZE.sum(), 30 * SECOND_NS, 0),
    "trailing_slope": lambda m: within(m, pl.cov(TIME - TIME.first(), PRICE), 60 * SECOND_NS, 0),
    "rolling_by_time": lambda m: latest(m, m.trades, SIZE.rolling_sum_by("ts_event_ns", "20000000000i")),
    "forward_filled_quote": lambda m: latest(m, m.book, BID.fill_null(strategy="forward")),
    "last_known_quote": lambda m: latest(m, m.book.filter(BID.is_not_null()), BID),
    "quote_or_null": lambda m: latest(m, m.book, BID),
    "price_now": lambda m: latest(m, m.trades, PRICE),
    "price_before": lambda m: latest(m, m.trades, PRICE.shift(1)),
    "change": lambda m: latest(m, m.trades, PRICE.diff()),
    "relative_change": lambda m: latest(m, m.trades, PRICE.pct_change()),
    "mean_so_far": lambda m: latest(m, m.trades, PRICE.cum_sum() / COUNT),
    "highest_so_far": lambda m: latest(m, m.trades, PRICE.cum_max()),
    "lowest_so_far": lambda m: latest(m, m.trades, PRICE.cum_min()),
    "place_in_range_so_far": lambda m: latest(
        m, m.trades, (PRICE - PRICE.cum_min()) / (PRICE.cum_max() - PRICE.cum_min())
    ),
    "volume_so_far": lambda m: latest(m, m.trades, SIZE.cum_sum()),
    "signed_volume_so_far": lambda m: latest(m, m.trades, SIGNED.cum_sum()),
    "trades_so_far": lambda m: latest(m, m.trades, COUNT),
    "vwap_so_far": lambda m: latest(m, m.trades, (PRICE * SIZE).cum_sum() / SIZE.cum_sum()),
    "distance_to_vwap": lambda m: latest(m, m.trades, PRICE - (PRICE * SIZE).cum_sum() / SIZE.cum_sum()),
    "z_score_so_far": lambda m: latest(
        m,
        m.trades,
        (PRICE - PRICE.cum_sum() / COUNT) / (PRICE.pow(2).cum_sum() / COUNT - (PRICE.cum_sum() / COUNT).pow(2)).sqrt(),
    ),
    "smoothed": lambda m: latest(m, m.trades, PRICE.ewm_mean(alpha=0.1)),
    "smoothed_size": lambda m: latest(m, m.trades, SIZE.cast(pl.Float64).ewm_mean(span=20, adjust=False)),
    "closed_bar": lambda m: latest(m, bars(m), pl.col("close"), "end_ns"),
    "closed_bar_high": lambda m: latest(m, bars(m), pl.col("high").rolling_max(3), "end_ns"),
    "closed_bar_average": lambda m: latest(m, bars(m), pl.col("close").rolling_mean(5), "end_ns"),
    "closed_bar_range": lambda m: latest(m, bars(m), pl.col("close").diff().abs().rolling_mean(5), "end_ns"),
    "closed_bucket": lambda m: latest(m, buckets(m), pl.col("bid_sz_1"), "end_ns"),
    "queue_imbalance": lambda m: latest(m, m.book, pl.col("bid_sz_1") / (pl.col("bid_sz_1") + pl.col("ask_sz_1"))),
    "balance_of_minute_so_far": lambda m: latest(m, m.trades, SIGNED.cum_sum().over(TIME // MINUTE_NS)),
    "front_month_before_open": front_month_before_open,
    "opening_range_when_final": opening_range_when_final,
    "price_a_minute_ago": lambda m: as_of(
        m, m.trades.with_columns(later_ns=TIME + MINUTE_NS), PRICE, "backward", "later_ns"
    ),
    "touches_so_far": lambda m: event_column(m, pl.int_range(pl.len()).over("kind")),
    "price_of_last_touch": lambda m: event_column(m, PRICE.shift(1).over("kind")),
    "time_since_last_event": lambda m: event_column(m, TIME.diff()),
    "kind_of_last_event": lambda m: event_column(m, KIND.shift(1)),
    "minutes_since_open": lambda m: event_column(m, (TIME - session().open_ns) / MINUTE_NS),
    "is_first_of_kind": lambda m: event_column(m, pl.struct("kind").is_first_distinct()),
    "mean_over_events_so_far": lambda m: event_column(m, PRICE.cum_sum() / COUNT),
    "always_null": lambda m: event_column(m, pl.lit(None, pl.Float64)),
    "not_a_number": lambda m: event_column(m, pl.lit(float("nan"))),
}
"""Name -> how it is made."""
