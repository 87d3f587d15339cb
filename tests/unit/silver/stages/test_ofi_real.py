"""The imbalance of recorded books, against its definition written out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from tests.unit.silver.stages.feature_rows import NS, OPEN_NS, at, events, session

from ticklake.silver.orderflow import ofi_terms
from ticklake.silver.stages import load, ofi

DATA = Path(__file__).parents[5] / "shared" / "data" / "binance_hft_tidy"
UPDATES = 10_000
LEVELS = 5
FIELDS = ("bid_px", "bid_sz", "ask_px", "ask_sz")


def recorded(name):
    file = DATA / f"{name}_mbp10.parquet"
    if not file.is_file():
        pytest.fail(f"{file} is missing; see the README of the shared data")
    names = {f"{field}_{level:02d}": f"{field}_{level + 1}" for field in FIELDS for level in range(10)}
    rows = pl.read_parquet(file).head(UPDATES)
    return rows.select("ts_recv", *(pl.col(old).alias(new) for old, new in names.items()))


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

    assert book.drop("ts_recv").null_count().sum_horizontal().item() == 0
    for level in range(1, LEVELS + 1):
        expected = [contribution(*pair, level) for pair in pairwise(updates)]
        terms = found[f"ofi_level_{level}"].to_list()
        assert terms[0] is None
        assert terms[1:] == pytest.approx(expected, rel=1e-12, abs=1e-9)
        assert len({round(term, 6) for term in expected}) > 100


def bronze(book):
    """The recorded book, begun at the open of a session, as the bronze frames of es_levels; one trade, no option."""
    ns = pl.col("ts_recv").dt.epoch("ns")
    placed = {"contract": pl.lit("ESH5"), "stream_seq": pl.int_range(pl.len()), "message_row": pl.lit(0)}
    silent = {name: pl.lit(None, pl.String) for name in ("action", "side")}
    silent |= {name: pl.lit(None, pl.Float64) for name in ("action_price", "action_size")}
    trade = {"ts_event_ns": [OPEN_NS], "contract": ["ESH5"], "price": [1.0], "size": [1], "aggressor": [1]}
    needs = load.STAGE.needs_with(load.LoadParameters())
    return {
        "bronze_trades": pl.LazyFrame(trade | {"stream_seq": [0], "message_row": [0]}),
        "bronze_book": book.lazy().select(
            *book.drop("ts_recv").columns, (ns - ns.first() + OPEN_NS).alias("ts_event_ns"), **placed, **silent
        ),
        "bronze_options": pl.LazyFrame(
            {name: [] for name in needs["bronze_options"]}, schema_overrides={"ts_event_ns": pl.Int64}
        ),
    }


@pytest.mark.parametrize("name", ["cm_btcusd_perp_20240808_09", "usdm_btcusdt_20240808"])
def test_the_flow_of_an_event_is_the_sum_over_every_recorded_update(name):
    book = recorded(name)
    frames = bronze(book)
    loaded = load.STAGE.run(frames, load.LoadParameters(), session())
    second = 100.0
    parameters = ofi.OfiParameters(windows_s=(10, 60))
    event = ofi.STAGE.run(loaded | {"events": events({"second": second}).lazy()}, parameters, session())[
        "events"
    ].collect()

    updates = book.rows(named=True)
    times = frames["bronze_book"].select("ts_event_ns").collect()["ts_event_ns"].to_list()
    for window in parameters.windows_s:
        since, until = at(second - window), at(second)
        inside = [n for n in range(1, len(updates)) if since < times[n] // (NS // 4) * (NS // 4) + NS // 4 <= until]
        by_level = [[contribution(updates[n - 1], updates[n], level) for n in inside] for level in range(1, 6)]
        assert len(inside) > 5 * window
        assert event[f"ofi_{window}s"].item() == pytest.approx(sum(by_level[0]), rel=1e-9, abs=1e-6)
        assert event[f"ofi5_{window}s"].item() == pytest.approx(sum(map(sum, by_level)), rel=1e-9, abs=1e-6)


def test_enough_updates_are_recorded():
    assert recorded("cm_btcusd_perp_20240808_09").height == UPDATES
