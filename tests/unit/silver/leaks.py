"""Features that know the future, each in its own way; one value per event."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
from tests.unit.silver.small_market import (
    MINUTE_NS,
    SECOND_NS,
    Market,
    as_of,
    bars,
    buckets,
    latest,
    session,
)

PRICE, SIZE, TIME = pl.col("price"), pl.col("size"), pl.col("ts_event_ns")
BID = pl.col("bid_px_1")


def event_column(market: Market, value: pl.Expr) -> pl.Series:
    """A column made from the events alone."""
    return market.events.select("event_id", value.alias("value"))["value"]


def whole(market: Market, value: pl.Expr) -> pl.Series:
    """The same statistic of all trades for every event."""
    return pl.select(pl.repeat(market.trades.select(value).item(), market.events.height)).to_series()


def within(market: Market, value: pl.Expr, before_ns: int, after_ns: int) -> pl.Series:
    """A statistic of the trades from `before_ns` before to `after_ns` after each event, both included."""
    events = market.events.select("event_id", TIME.alias("t"))
    near = market.trades.join_where(events, pl.col("t") - before_ns <= TIME, pl.col("t") + after_ns >= TIME)
    found = near.sort("event_id", "stream_seq").group_by("event_id", maintain_order=True).agg(value.alias("value"))
    return events.join(found, on="event_id", how="left", maintain_order="left")["value"]


def rows_of_first_minutes(market: Market, minutes: int) -> pl.DataFrame:
    """Trades from the open on."""
    open_ns = session().open_ns
    return market.trades.filter(TIME.is_between(open_ns, open_ns + minutes * MINUTE_NS, closed="left"))


def main_contract(market: Market) -> pl.DataFrame:
    """Trades of the contract with the largest volume of the whole day."""
    volume = market.trades.group_by("contract", maintain_order=True).agg(SIZE.sum()).sort("size", "contract")
    return market.trades.filter(pl.col("contract") == volume["contract"][-1])


def price_of_busiest(market: Market) -> pl.Series:
    """The price at which most was traded, of the whole day."""
    profile = market.trades.group_by("price", maintain_order=True).agg(SIZE.sum()).sort("size", "price")
    return pl.select(pl.repeat(profile["price"][-1], market.events.height)).to_series()


def opening_range_for_all(market: Market) -> pl.Series:
    """The final high of the opening range, also for events before its end."""
    high = rows_of_first_minutes(market, 15)["price"].max()
    return pl.select(pl.repeat(high, market.events.height, dtype=pl.Float64)).to_series()


def premarket_high_too_early(market: Market) -> pl.Series:
    """The final premarket high, also for events of the premarket."""
    high = market.trades.filter(session().open_ns > TIME)["price"].max()
    return pl.select(pl.repeat(high, market.events.height, dtype=pl.Float64)).to_series()


LEAKS: dict[str, Callable[[Market], pl.Series]] = {
    "centred_window": lambda m: latest(m, m.trades, PRICE.rolling_mean(21, center=True)),
    "centred_seconds": lambda m: within(m, PRICE.mean(), 5 * SECOND_NS, 5 * SECOND_NS),
    "back_filled_quote": lambda m: latest(m, m.book, BID.fill_null(strategy="backward")),
    "interpolated_quote": lambda m: latest(m, m.book, BID.interpolate()),
    "spot_at_day_end": lambda m: whole(m, PRICE.last()),
    "mean_of_day": lambda m: whole(m, PRICE.mean()),
    "median_of_day": lambda m: whole(m, PRICE.median()),
    "highest_of_day": lambda m: whole(m, PRICE.max()),
    "lowest_of_day": lambda m: whole(m, PRICE.min()),
    "deviation_of_day": lambda m: whole(m, PRICE.std()),
    "quantile_of_day": lambda m: whole(m, SIZE.quantile(0.9, "linear")),
    "volume_of_day": lambda m: whole(m, SIZE.sum()),
    "trades_of_day": lambda m: whole(m, pl.len()),
    "vwap_of_day": lambda m: whole(m, (PRICE * SIZE).sum() / SIZE.sum()),
    "slope_of_day": lambda m: whole(m, pl.cov(TIME - TIME.first(), PRICE)),
    "z_score_of_day": lambda m: latest(m, m.trades, (PRICE - PRICE.mean()) / PRICE.std()),
    "min_max_of_day": lambda m: latest(m, m.trades, (PRICE - PRICE.min()) / (PRICE.max() - PRICE.min())),
    "rank_of_day": lambda m: latest(m, m.trades, PRICE.rank()),
    "decile_of_day": lambda m: latest(m, m.trades, (PRICE.rank() * 10 / pl.len()).floor()),
    "share_of_final_volume": lambda m: latest(m, m.trades, SIZE.cum_sum() / SIZE.sum()),
    "remaining_volume": lambda m: latest(m, m.trades, SIZE.cum_sum(reverse=True)),
    "highest_from_now": lambda m: latest(m, m.trades, PRICE.cum_max(reverse=True)),
    "smoothed_backwards": lambda m: latest(m, m.trades, PRICE.reverse().ewm_mean(alpha=0.1).reverse()),
    "rolled_backwards": lambda m: latest(m, m.trades, PRICE.reverse().rolling_mean(20).reverse()),
    "next_price": lambda m: latest(m, m.trades, PRICE.shift(-1)),
    "next_change": lambda m: latest(m, m.trades, PRICE.diff(-1)),
    "forward_as_of": lambda m: as_of(m, m.book.filter(BID.is_not_null()), BID, "forward"),
    "nearest_as_of": lambda m: as_of(m, m.book, pl.col("ask_sz_1"), "nearest"),
    "one_row_too_far": lambda m: latest(m, m.book, pl.col("bid_sz_1").shift(-1)),
    "bar_stamped_at_start": lambda m: latest(m, bars(m), pl.col("close"), "start_ns"),
    "bar_high_at_start": lambda m: latest(m, bars(m), pl.col("high"), "start_ns"),
    "bucket_stamped_at_start": lambda m: latest(m, buckets(m), pl.col("bid_sz_1"), "start_ns"),
    "moving_average_at_day_end": lambda m: whole(m, PRICE.rolling_mean(200).last()),
    "label_as_feature": lambda m: within(m, PRICE.last() - PRICE.first(), 0, 60 * SECOND_NS),
    "volume_of_next_seconds": lambda m: within(m, SIZE.sum(), 0, 5 * SECOND_NS),
    "one_second_too_far": lambda m: within(m, SIZE.sum(), 60 * SECOND_NS, SECOND_NS),
    "balance_of_running_minute": lambda m: latest(
        m, m.trades, (pl.col("aggressor") * SIZE).sum().over(TIME // MINUTE_NS)
    ),
    "hourly_mean_removed": lambda m: latest(m, m.trades, PRICE - PRICE.mean().over(TIME // (60 * MINUTE_NS))),
    "front_month_of_whole_day": lambda m: latest(m, main_contract(m), PRICE),
    "opening_range_too_early": opening_range_for_all,
    "premarket_high_too_early": premarket_high_too_early,
    "busiest_price_of_day": price_of_busiest,
    "mean_per_kind": lambda m: event_column(m, PRICE.mean().over("kind")),
    "touches_per_kind": lambda m: event_column(m, pl.len().over("kind")),
    "z_score_over_events": lambda m: event_column(m, (PRICE - PRICE.mean()) / PRICE.std()),
    "rank_over_events": lambda m: event_column(m, PRICE.rank("dense")),
    "time_to_next_event": lambda m: event_column(m, TIME.shift(-1) - TIME),
    "kind_of_next_event": lambda m: event_column(m, pl.col("kind").shift(-1)),
    "is_last_of_kind": lambda m: event_column(m, pl.struct("kind").is_last_distinct()),
    "events_to_come": lambda m: event_column(m, pl.len() - pl.int_range(pl.len())),
    "back_filled_feature": lambda m: event_column(
        m, pl.when(pl.col("stream_seq") % 3 == 0).then(PRICE).fill_null(strategy="backward")
    ),
}
"""Name -> how it is made."""
