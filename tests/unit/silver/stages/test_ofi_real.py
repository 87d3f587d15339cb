"""The imbalance of recorded books, against its definition written out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from ticklake.silver.orderflow import ofi_terms

DATA = Path(__file__).parents[5] / "shared" / "data" / "binance_hft_tidy"
UPDATES = 10_000
LEVELS = 5
FIELDS = ("bid_px", "bid_sz", "ask_px", "ask_sz")


def recorded(name):
    file = DATA / f"{name}_mbp10.parquet"
    if not file.is_file():
        pytest.fail(f"{file} is missing; see the README of the shared data")
    names = {f"{field}_{level:02d}": f"{field}_{level + 1}" for field in FIELDS for level in range(LEVELS)}
    return pl.read_parquet(file).head(UPDATES).select(pl.col(old).alias(new) for old, new in names.items())


def contribution(before, after, level):
    """e_n of Cont, Kukanov and Stoikov (2014), term by term."""
    e = 0.0
    if after[f"bid_px_{level}"] >= before[f"bid_px_{level}"]:
        e += after[f"bid_sz_{level}"]
    if after[f"bid_px_{level}"] <= before[f"bid_px_{level}"]:
        e -= before[f"bid_sz_{level}"]
    if after[f"ask_px_{level}"] <= before[f"ask_px_{level}"]:
        e -= after[f"ask_sz_{level}"]
    if after[f"ask_px_{level}"] >= before[f"ask_px_{level}"]:
        e += before[f"ask_sz_{level}"]
    return e


@pytest.mark.parametrize("name", ["cm_btcusd_perp_20240808_09", "usdm_btcusdt_20240808"])
def test_ofi_equals_its_definition_on_recorded_updates(name):
    book = recorded(name)
    updates = book.rows(named=True)

    found = book.select(ofi_terms(LEVELS))

    assert book.null_count().sum_horizontal().item() == 0
    for level in range(1, LEVELS + 1):
        expected = [contribution(*pair, level) for pair in pairwise(updates)]
        terms = found[f"ofi_level_{level}"].to_list()
        assert terms[0] is None
        assert terms[1:] == pytest.approx(expected, rel=1e-12, abs=1e-9)
        assert len({round(term, 6) for term in expected}) > 100


def test_enough_updates_are_recorded():
    assert recorded("cm_btcusd_perp_20240808_09").height == UPDATES
