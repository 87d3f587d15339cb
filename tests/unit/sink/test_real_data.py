"""Recorded markets through the encoder: what was published is what is stored, to the last bit."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import polars as pl
import pytest

from ticklake.schema.lookup import TableCatalog
from ticklake.sink.encode import SegmentEncoder
from ticklake.testing.messages import group_messages

DATA = Path(__file__).parents[4] / "shared" / "data" / "binance_hft_tidy"
ROWS = 4_000
CATALOG = TableCatalog()


def recorded(kind):
    """Rows of every recording of a kind, under the names of the wire."""
    files = sorted(DATA.glob(f"*_{kind}.parquet"))
    if not files:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{DATA} is missing: CI must have the recorded data")
        pytest.skip(f"recorded data is not there: {DATA}")
    frame = pl.concat([pl.read_parquet(file).head(ROWS) for file in files], how="vertical_relaxed")
    times = [pl.col(f"ts_{what}").dt.timestamp("ns").alias(f"ts_{what}_ns") for what in ("event", "recv")]
    return frame.with_columns(times).drop("ts_event", "ts_recv")


def stored(table, messages):
    subject = f"market.{table}".encode()
    sequences = list(range(1, len(messages) + 1))
    group = group_messages(
        [(subject, None, message) for message in messages], ingest_ns=2 * 10**18, sequences=sequences
    )
    result = SegmentEncoder(CATALOG)([group], writer="0-m", segment=1, stream="MARKET_DATA", incarnation=1)
    assert not result.reasons
    assert result.stored == len(messages)
    return pl.concat([pl.read_parquet(file.content) for file in result.files]).sort("stream_seq")


def check(frame, back, names):
    for column, wire in names.items():
        assert back[column].equals(frame[wire].cast(back[column].dtype).alias(column), null_equal=True), column


@pytest.mark.parametrize("as_text", [False, True], ids=["numbers", "decimal text"])
def test_recorded_trades(as_text):
    frame = recorded("trades")
    wire = frame.with_columns(pl.col("price", "size").cast(pl.String)) if as_text else frame
    back = stored("crypto.trades", [msgspec.json.encode(row) for row in wire.to_dicts()])
    same = dict.fromkeys(("ts_event_ns", "ts_recv_ns", "price", "size", "trade_id", "venue"))
    check(frame, back, {name: name for name in same} | {"contract": "symbol"})
    assert back["aggressor"].to_list() == [{"B": 1, "S": -1}[side] for side in frame["aggressor"]]


def test_recorded_quotes():
    frame = recorded("quotes")
    back = stored("crypto.quotes", [msgspec.json.encode(row) for row in frame.to_dicts()])
    assert frame["ts_event_ns"].null_count()
    names = ("ts_event_ns", "ts_recv_ns", "bid_px", "bid_sz", "ask_px", "ask_sz", "update_id", "venue")
    check(frame, back, {name: name for name in names} | {"contract": "symbol"})


def test_recorded_books_nested_and_flat():
    frame = recorded("mbp10")
    keys = ("bid_px", "bid_sz", "ask_px", "ask_sz")
    nested, flat = [], []
    for row in frame.to_dicts():
        levels = [{key: row.pop(f"{key}_{level:02d}") for key in keys} for level in range(10)]
        nested.append(msgspec.json.encode(row | {"levels": levels}))
        columns = {f"{key}_{number}": level[key] for number, level in enumerate(levels, 1) for key in keys}
        flat.append(msgspec.json.encode(row | columns))
    back = stored("crypto.mbp10", nested)
    check(frame, back, {f"{key}_{level + 1}": f"{key}_{level:02d}" for key in keys for level in range(10)})
    assert stored("crypto.mbp10", flat).equals(back)
