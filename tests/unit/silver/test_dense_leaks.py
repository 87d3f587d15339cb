"""Thinned sessions as dense as a full-size one: what a leak needs of the stream is still there."""

from __future__ import annotations

import polars as pl
import pytest
from tests.unit.silver.leaks import within
from tests.unit.silver.small_market import (
    MINUTE_NS,
    SECOND_NS,
    Market,
    as_of,
    buckets,
    latest,
    market_of,
    session,
    simulate,
)

from ticklake.silver.causality import certify, density_for
from ticklake.silver.frames import Frames

PRICE, TIME = pl.col("price"), pl.col("ts_event_ns")
MINUTES = 400
ROWS = MINUTES * 60 * 25  # 25 trades and 25 quotes a second, as in a session of 600,000 trades
BURST = 150  # trades in 10 s; a thinned stretch holds a tenth of that


def in_a_burst(market: Market, value: pl.Expr, before_ns: int, after_ns: int) -> pl.Series:
    """A statistic of the trades around each event, null where the 10 s before it were calm."""
    count = within(market, pl.len(), 10 * SECOND_NS, 0)
    return pl.select(pl.when(count >= BURST).then(within(market, value, before_ns, after_ns))).to_series()


def minutes_away(market: Market, minutes: int) -> pl.Series:
    """Price as of so many minutes after each event."""
    return as_of(market, market.trades.with_columns(at=TIME - minutes * MINUTE_NS), PRICE, "backward", "at")


LEAKS = {
    "next_second_in_a_burst": lambda m: in_a_burst(m, PRICE.mean(), 0, SECOND_NS),
    "next_ten_seconds_in_a_burst": lambda m: in_a_burst(m, PRICE.mean(), 0, 10 * SECOND_NS),
    "one_minute_ahead": lambda m: minutes_away(m, 1),
    "twelve_minutes_ahead": lambda m: minutes_away(m, 12),
    "z_score_of_the_session": lambda m: latest(m, m.trades, (PRICE - PRICE.mean()) / PRICE.std()),
    "backward_join_on_the_start_of_a_bucket": lambda m: latest(m, buckets(m), pl.col("bid_sz_1"), "start_ns"),
}
CLEAN = {
    "last_second_in_a_burst": lambda m: in_a_burst(m, PRICE.mean(), SECOND_NS, 0),
    "last_ten_seconds_in_a_burst": lambda m: in_a_burst(m, PRICE.mean(), 10 * SECOND_NS, 0),
    "one_minute_ago": lambda m: minutes_away(m, -1),
    "twelve_minutes_ago": lambda m: minutes_away(m, -12),
    "distance_from_the_mean_so_far": lambda m: latest(m, m.trades, PRICE - PRICE.cum_sum() / PRICE.cum_count()),
    "backward_join_on_the_end_of_a_bucket": lambda m: latest(m, buckets(m), pl.col("bid_sz_1"), "end_ns"),
}


@pytest.fixture(scope="module")
def accused() -> set[str]:
    """Columns with a violation at the density of a build of three sessions."""
    features = LEAKS | CLEAN

    def run(inputs: Frames) -> Frames:
        market = market_of(inputs, 200)
        return {
            "events": market.events.with_columns(make(market).alias(name) for name, make in features.items()).lazy()
        }

    density = density_for(3)
    certificate = certify(
        run, simulate(ROWS, ROWS, MINUTES), session(), features=list(features), cuts=20, seed=3, density=density
    )
    assert {trial.density for trial in certificate.trials} == {density}
    return {violation.column for violation in certificate.violations}


@pytest.mark.parametrize("name", LEAKS)
def test_every_leak_of_a_dense_stream_is_caught(accused, name):
    assert name in accused


@pytest.mark.parametrize("name", CLEAN)
def test_no_clean_feature_of_a_dense_stream_is_accused(accused, name):
    assert name not in accused
