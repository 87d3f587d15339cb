"""Order-flow imbalance of consecutive book snapshots, as Polars expressions. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

import polars as pl

_INFINITY: Final = float("inf")


def ofi_term(bid_px: str, bid_sz: str, ask_px: str, ask_sz: str) -> pl.Expr:
    """What one snapshot adds to the order-flow imbalance, against the snapshot in the row before.

    Cont, Kukanov, Stoikov (2014), "The price impact of order book events", J. Financial Econometrics 12(1), 47-88,
    section 2, the contribution e_n of the n-th update (P price, q size, B bid, A ask):

        e_n = [P^B_n >= P^B_{n-1}] q^B_n - [P^B_n <= P^B_{n-1}] q^B_{n-1}
            - [P^A_n <= P^A_{n-1}] q^A_n + [P^A_n >= P^A_{n-1}] q^A_{n-1}

    The imbalance of an interval is the sum of its e_n. A quote that is absent (null price) is infinitely far away and
    holds nothing, so its coming and going count as the arrival and departure of its whole size.

    Args:
        bid_px: column of the bid price; likewise the others.
        bid_sz: in whatever unit sizes have.
        ask_px: column of the ask price.
        ask_sz: column of the ask size.

    Returns:
        Unit of the sizes; positive is buying. Null in the first row: nothing was there before it. The rows must be the
        snapshots of one instrument in event order.
    """
    bid = pl.col(bid_px).fill_null(-_INFINITY)
    ask = pl.col(ask_px).fill_null(_INFINITY)
    return _gain(bid, _held(bid_px, bid_sz), is_bid=True) - _gain(ask, _held(ask_px, ask_sz), is_bid=False)


@cache
def ofi_terms(
    levels: int,
    *,
    bid_px: str = "bid_px_{}",
    bid_sz: str = "bid_sz_{}",
    ask_px: str = "ask_px_{}",
    ask_sz: str = "ask_sz_{}",
) -> tuple[pl.Expr, ...]:
    """`ofi_term` of each of the first `levels` levels, level 1 = best; their sum is the imbalance over all of them.

    Levels below the best: Xu, Gould, Howison (2018), "Multi-level order-flow imbalance in a limit order book", Market
    Microstructure and Liquidity 4(3-4): the same contribution, with the price and size of that level.

    Args:
        levels: how many.
        bid_px: name of the columns, `{}` stands for the number of the level; likewise the others.
        bid_sz: see `bid_px`.
        ask_px: see `bid_px`.
        ask_sz: see `bid_px`.

    Returns:
        One expression per level, named `ofi_level_1`, `ofi_level_2`, ...
    """
    return tuple(
        ofi_term(bid_px.format(k), bid_sz.format(k), ask_px.format(k), ask_sz.format(k)).alias(f"ofi_level_{k}")
        for k in range(1, levels + 1)
    )


def added(terms: Iterable[pl.Expr]) -> pl.Expr:
    """Sum of float columns from left to right; null counts 0. `pl.sum_horizontal` adds in an order of the moment."""
    return sum((term.fill_null(0.0) for term in terms), start=pl.lit(0.0))


def _gain(price: pl.Expr, size: pl.Expr, *, is_bid: bool) -> pl.Expr:
    """Size that came to a side less size that left it."""
    before = price.shift(1)
    is_as_near, was_as_near = price >= before, price <= before
    if not is_bid:
        is_as_near, was_as_near = was_as_near, is_as_near
    came = pl.when(is_as_near).then(size).otherwise(0.0)
    left = pl.when(was_as_near).then(size.shift(1)).otherwise(0.0)
    return pl.when(before.is_not_null()).then(came - left)


def _held(price: str, size: str) -> pl.Expr:
    return pl.when(pl.col(price).is_not_null()).then(pl.col(size).cast(pl.Float64).fill_null(0.0)).otherwise(0.0)
