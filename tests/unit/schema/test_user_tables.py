"""Tables from TOML: right ones work, wrong ones say what to fix."""

from __future__ import annotations

import tomllib

import pytest

from ticklake.base.errors import ConfigError
from ticklake.schema.kinds import Kind
from ticklake.schema.user_tables import parse_user_tables

GOOD = """
[tables."fx.quotes"]
subject = "fx.quotes"
stream = "FX"
partition = ["pair", "date", "hour"]
event_time = "ts_event_ns"
flush_rows = 500
flush_seconds = 2.5

[tables."fx.quotes".columns]
ts_event_ns = { type = "int64", unit = "ns" }
instrument = { type = "string", wire = "pair" }
bid = { type = "price", unit = "USD", null = true, min = 0, max = 100.5, doc = "Best bid." }
side = { type = "string", allowed = ["B", "S"] }
size = "int32"
firm = { type = "bool", default = true }
"""


def parse(text):
    return parse_user_tables(tomllib.loads(text)["tables"])


def test_a_table_from_toml():
    (table,) = parse(GOOD)
    assert (table.folder, table.partition_by, table.lane) == ("bronze/fx/quotes", ("pair", "date", "hour"), "fx")
    assert (table.flush_rows, table.flush_seconds, table.version) == (500, 2.5, 1)
    assert table.partition_source("pair").name == "instrument"
    bid = table.by_name["bid"]
    assert (bid.kind, bid.unit, bid.null, bid.minimum, bid.maximum) == (Kind.PRICE, "USD", True, 0, 100.5)
    assert table.by_name["side"].allowed == ("B", "S")
    assert table.by_name["ts_event_ns"].minimum == 946_684_800 * 10**9
    assert table.by_name["firm"].default is True


def test_the_stream_of_a_known_prefix_is_known():
    text = GOOD.replace('stream = "FX"\n', "").replace('subject = "fx.quotes"', 'subject = "market.fx"')
    (table,) = parse(text)
    assert table.stream == "MARKET_DATA"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('subject = "fx.quotes"', "", r'tables."fx.quotes".subject: is required'),
        ('subject = "fx.quotes"', 'subject = "fx.*"', r"subject: 'fx.\*' is no plain subject"),
        ('subject = "fx.quotes"', "subject = 5", r"subject: must be text, got 5"),
        ('stream = "FX"', "", r"stream: is required"),
        ('stream = "FX"', 'stream = "F X"', r"stream: 'F X' is no stream name"),
        ("flush_rows = 500", "flush_row = 500", r"flush_row: is no setting; did you mean 'flush_rows'"),
        ("flush_rows = 500", "flush_rows = 0", r"flush_rows: must be a whole number from 1"),
        ("flush_seconds = 2.5", "flush_seconds = -1", r"flush_seconds: must be seconds above 0"),
        ("flush_seconds = 2.5", 'tier = "silver"', r"tier: must be bronze or gold"),
        ('["pair", "date", "hour"]', '["date", "pair"]', r'partition: must end with "date"'),
        ('["pair", "date", "hour"]', '["hour", "date"]', r'partition: must end with "date"'),
        ('["pair", "date", "hour"]', '["pair"]', r'partition: must end with "date"'),
        ('["pair", "date", "hour"]', '["par", "date"]', r"partition: 'par' is no column"),
        ('["pair", "date", "hour"]', '["bid", "date"]', r"partition: 'bid' is price"),
        ('["pair", "date", "hour"]', '"pair"', r"partition: must be a list"),
        ('event_time = "ts_event_ns"', 'event_time = "ts"', r"event_time: 'ts' is no column"),
        ('event_time = "ts_event_ns"', 'event_time = "size"', r"event_time: 'size' must be"),
        ('unit = "ns" }', 'unit = "ns", null = true }', r"event_time: 'ts_event_ns' may be null"),
        ('type = "price"', 'type = "float"', r"columns.bid.type: must be one of .*did you mean 'float64'"),
        ('type = "price"', 'type = "bytes"', r"columns.bid.type: must be one of"),
        ("null = true", 'null = "yes"', r"columns.bid.null: must be true or false"),
        ("min = 0", 'min = "0"', r"columns.bid.min: must be a number"),
        ("max = 100.5", "maximum = 100.5", r"columns.bid.maximum: is no setting; did you mean 'max'"),
        ('allowed = ["B", "S"]', 'allowed = "BS"', r"columns.side.allowed: must be a list of strings"),
        ('size = "int32"', 'size = { type = "int32", allowed = ["1"] }', r"columns.size.allowed: only strings"),
        ('size = "int32"', 'size = { type = "int32", min = 0.5 }', r"columns.size.min: must be a number"),
        ('size = "int32"', 'pair = "int32"', r"columns.pair: 'pair' already means column 'instrument'"),
        ('size = "int32"', 'Size = "int32"', r"columns.Size: a column is named"),
        ('size = "int32"', 'ingest_ns = "int64"', r"columns.ingest_ns: the house adds"),
        ('size = "int32"', 'hour = "int64"', r"columns.hour: the house adds"),
        ('size = "int32"', 'size = { type = "int32", max = 2147483648 }', r"columns.size.max: 2147483648 does not fit"),
        (
            'size = "int32"',
            'size = { type = "int32", default = 2147483648 }',
            r"size.default: 2147483648 is no",
        ),
        ("max = 100.5", "max = nan", r"columns.bid.max: nan does not fit"),
        ('["B", "S"]', '["B", "S"], default = "X"', r"columns.side.default: 'X' is none of the allowed"),
        ("default = true", "default = 1", r"columns.firm.default: 1 is no bool"),
        ('size = "int32"', "size = 5", r"columns.size: must be a table of settings"),
        ('"fx.quotes"', '"futures.trades"', r"is a built-in table"),
        ('"fx.quotes"', '"quarantine"', r"calls rejected rows so"),
        ("max = 100.5", "max = -1", r"columns.bid.min: 0 is above max -1"),
        ('"fx.quotes"', '"../etc"', r"a table is named like fx.quotes"),
    ],
)
def test_mistakes_are_named(old, new, message):
    assert old in GOOD
    with pytest.raises(ConfigError, match=message):
        parse(GOOD.replace(old, new))


@pytest.mark.parametrize("name", ["training.fx", "history"])
def test_a_gold_table_keeps_out_of_the_training_sets(name):
    text = GOOD.replace('"fx.quotes"', f'"{name}"').replace("flush_seconds = 2.5", 'tier = "gold"')
    with pytest.raises(ConfigError, match="holds the training sets"):
        parse(text)
    assert parse(text.replace('"gold"', '"bronze"'))


def test_a_table_needs_columns():
    with pytest.raises(ConfigError, match=r"columns: needs at least one column"):
        parse_user_tables({"a": {"subject": "a", "stream": "A", "event_time": "x"}})
    with pytest.raises(ConfigError, match=r"must be a table of settings, got 5"):
        parse_user_tables({"a": 5})
