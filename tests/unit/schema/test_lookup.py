"""Which table takes which subject."""

from __future__ import annotations

import polars as pl
import pytest

from ticklake.base.errors import ConfigError, UsageError
from ticklake.schema.lookup import BUILTIN_TABLES, TableCatalog
from ticklake.schema.user_tables import parse_user_tables

CATALOG = TableCatalog()


def user(name, **changes):
    columns = {"at": {"type": "int64", "unit": "ns"}}
    return parse_user_tables(
        {name: {"subject": "fx.quotes", "stream": "FX", "event_time": "at", "columns": columns} | changes}
    )


@pytest.mark.parametrize(
    ("subject", "table"),
    [
        (b"market.futures.trades", "futures.trades"),
        (b"market.futures.trades.ESZ5", "futures.trades"),
        (b"market.futures.trades.\xff", "futures.trades"),
        (b"market.futures.trades.ES.Z5", "raw"),
        (b"market.futures", "raw"),
        (b"market.flow", "raw"),
        (b"market.futures.tradesX", "raw"),
        (b"levels.signals", "levels.signals"),
        (b"levels.signals.ES", "levels.signals"),
        (b"levels.other", None),
        (b"market", None),
        (b"markets.x", None),
        (b"", None),
    ],
)
def test_match(subject, table):
    found = CATALOG.match(subject)
    assert (found.name if found else None) == table


def test_user_tables_come_before_the_catch_all():
    catalog = TableCatalog([*BUILTIN_TABLES, *user("flow", subject="market.flow", stream="MARKET_DATA")])
    assert catalog.match(b"market.flow").name == "flow"
    assert catalog.match(b"market.flow.x").name == "flow"
    assert catalog.match(b"market.flows").name == "raw"


def test_streams_and_folders():
    streams = CATALOG.streams()
    assert list(streams) == ["MARKET_DATA", "LEVEL_SIGNALS"]
    assert [table.name for table in streams["LEVEL_SIGNALS"]] == ["levels.signals"]
    assert CATALOG.by_folder("bronze/futures/trades/").name == "futures.trades"
    assert CATALOG.get("levels.signals").folder == "gold/levels/signals"
    assert CATALOG.get("futures.mbp10").lane == "market_data"
    with pytest.raises(UsageError, match=r"futures\.trades"):
        CATALOG.get("future.trades")


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (lambda: [*user("a"), *user("a")], "defined twice"),
        (lambda: [*user("a"), *user("b")], "both take the subject"),
        (lambda: [*BUILTIN_TABLES, *user("futures.trades.eurex")], "bronze/futures/trades/eurex lies in"),
        (lambda: [*BUILTIN_TABLES, *user("futures")], "bronze/futures/trades lies in bronze/futures"),
        (lambda: [*BUILTIN_TABLES, *user("a", stream="MARKET_DATA", tier="gold")], "share a tier"),
    ],
)
def test_tables_that_collide_are_refused(tables, message):
    with pytest.raises(ConfigError, match=message):
        TableCatalog(tables())


@pytest.mark.parametrize("table", BUILTIN_TABLES, ids=lambda table: table.name)
def test_partition_columns_are_not_inside_the_files(table):
    stored = table.arrow_schema.names
    assert not set(stored) & set(table.partition_by)
    assert stored[-4:] == ["stream_seq", "message_row", "ingest_ns", "extra"]
    assert list(table.polars_schema) == [*stored, *table.partition_by]
    frame = pl.from_arrow(table.arrow_schema.empty_table())
    assert dict(frame.schema) == {name: table.polars_schema[name] for name in stored}


def test_the_built_in_tables_are_those_of_the_contract():
    found = {table.name: (table.folder, table.partition_by, len(table.arrow_schema)) for table in BUILTIN_TABLES}
    symbol, underlying = ("symbol", "date", "hour"), ("underlying", "date", "hour")
    assert found == {
        "futures.trades": ("bronze/futures/trades", symbol, 14),
        "futures.mbp10": ("bronze/futures/mbp10", symbol, 54),
        "options.trades": ("bronze/options/trades", underlying, 18),
        "options.nbbo": ("bronze/options/nbbo", underlying, 16),
        "crypto.trades": ("bronze/crypto/trades", symbol, 13),
        "crypto.quotes": ("bronze/crypto/quotes", symbol, 14),
        "crypto.mbp10": ("bronze/crypto/mbp10", symbol, 51),
        "raw": ("bronze/raw", ("date", "hour"), 8),
        "levels.signals": ("gold/levels/signals", underlying, 61),
    }
