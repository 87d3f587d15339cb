"""SQL over the lake: the same rows, the declared types, and nothing but the lake."""

from __future__ import annotations

import _thread
import json
import threading
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from tests.integration.small_lake import TABLES, SmallLake, at, trade

from ticklake.base.errors import CorruptError, UsageError
from ticklake.cli.main import main
from ticklake.readers.lake import Lake, open_lake
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.user_tables import parse_user_tables


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", tables=TABLES)


@pytest.fixture
def small(lake: Lake) -> SmallLake:
    return SmallLake(lake.data_root)


def test_tables_are_named_as_everywhere(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(14)), trade(at(15))])
    for name in ("futures.trades", '"futures"."trades"', "FUTURES.Trades"):
        assert lake.sql(f"SELECT count(*) FROM {name}").item() == 2
    joined = "SELECT count(*) FROM futures.trades AS t JOIN futures.trades AS u USING (stream_seq)"
    assert lake.sql(joined).item() == 2
    assert lake.sql("WITH t AS (FROM futures.trades) SELECT max(price) FROM t").item() == 6000.0


def test_types_are_those_of_the_scan_with_and_without_files(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(14), conditions=[1, 2])], value="001")
    for table in ("futures.trades", "levels.signals", "raw", "quarantine", "options.trades"):
        frame = lake.sql(f"SELECT * FROM {table}")
        assert frame.schema == lake.relation(table).polars_schema, table
    assert lake.sql("SELECT * FROM futures.trades").equals(lake.scan("futures.trades").collect())


def test_sums_stay_whole_numbers(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(14), size=3), trade(at(15), size=4)])
    frame = lake.sql("SELECT sum(size) AS small, sum(ts_event_ns) * 1000000000000 AS huge FROM futures.trades")
    assert frame.schema == {"small": pl.Int64(), "huge": pl.Decimal(38, 0)}
    assert frame.row(0) == (7, (at(14) + at(15)) * 10**12)
    assert lake.sql("SELECT sum(size) AS none FROM futures.trades WHERE false").rows() == [(None,)]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT 1 AS a, 2 AS a", "called 'a'"),
        ("SELECT * FROM futures.trades t JOIN futures.trades u ON t.seq = u.seq", "called 'ts_event_ns'"),
        ("SELECT INTERVAL 1 DAY AS gap", "column 'gap' is an INTERVAL"),
        ("SELECT [{'x': INTERVAL 1 DAY}] AS gaps", "column 'gaps' is an INTERVAL"),
        ("SELECT 170141183460469231731687303715884105727::HUGEINT AS huge", "'huge' holds a whole number of more"),
    ],
)
def test_an_answer_that_is_no_frame_is_told_with_a_way_out(lake: Lake, small: SmallLake, query: str, told: str) -> None:
    small.add("futures.trades", [trade(at(14))])
    with pytest.raises(UsageError, match=told):
        lake.sql(query)


def test_ctrl_c_ends_a_long_question(lake: Lake) -> None:
    endless = "SELECT count(*) FROM range(100_000_000) AS a, range(100_000_000) AS b"
    threading.Timer(0.2, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        lake.sql(endless)
    assert lake.sql("SELECT 1").item() == 1


def test_partition_columns_prune_files(lake: Lake, small: SmallLake) -> None:
    for symbol in ("ES", "NQ", "BTC/USD"):
        small.add("futures.trades", [trade(at(14)), trade(at(15, day=1))], value=symbol)
    query = "SELECT count(*) FROM futures.trades WHERE symbol = 'BTC/USD' AND date = DATE '2024-12-16' AND hour = 14"
    assert lake.sql(query).item() == 1
    damaged = small.add("futures.trades", [trade(at(16))], value="CL")
    content = damaged[0].read_bytes()
    damaged[0].write_bytes(b"PAR1" + bytes(len(content) - 4 - 8) + content[-8:])
    assert lake.sql(query).item() == 1  # the damaged file was not opened
    with pytest.raises(CorruptError, match=damaged[0].name):
        lake.sql("SELECT sum(price) FROM futures.trades")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT 1; SELECT 2",
        "DROP TABLE futures.trades",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO futures.trades VALUES (1)",
        "COPY (SELECT 1) TO '{root}/x.csv'",
        "COPY futures.trades TO '{file}' (FORMAT parquet)",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{root}/x.csv'",
        "EXPORT DATABASE '{root}/x'",
        "ATTACH '{root}/x.db'",
        "SET threads = 1",
        "PRAGMA database_list",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CALL pragma_version()",
        "SELECT * FROM '{file}.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('{root}/**/*.parquet')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM secret",
        "SELECT nonsense FROM futures.trades",
        "SELEKT 1",
    ],
)
def test_whatever_is_no_question_to_the_lake_is_refused(lake: Lake, small: SmallLake, query: str) -> None:
    [path] = small.add("futures.trades", [trade(at(14))])
    before = path.read_bytes()
    secret = pl.DataFrame({"key": [1]})  # a variable of ours that the engine must not find
    with pytest.raises(UsageError):
        lake.sql(query.format(root=lake.data_root, file=path))
    assert secret.height == 1
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in lake.data_root.iterdir()) == ["bronze", "catalog"]


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT * FROM nope", r"no table is named 'nope'; there are: .*futures\.trades"),
        ("SELECT * FROM futures.trade", r"no table is named 'futures\.trade'; did you mean futures\.trades"),
        ("SELECT nonsense FROM futures.trades", r"Referenced column .*; correct the query"),
    ],
)
def test_a_mistake_is_told_without_the_engine_s_own_tables(lake: Lake, query: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){told}") as refused:
        lake.sql(query)
    assert "pg_" not in str(refused.value)


def test_a_table_of_three_words_is_told_how_to_be_named(tmp_path: Path) -> None:
    column = {"type": "int64", "unit": "ns"}
    fx = {"subject": "fx.spot.eur", "stream": "FX", "event_time": "at", "columns": {"at": column}}
    lake = open_lake(tmp_path, tables=TableCatalog([*TABLES, *parse_user_tables({"fx.spot.eur": fx})]))
    with pytest.raises(UsageError, match=r'has quotes in SQL: "fx\.spot"\.eur'):
        lake.sql("SELECT * FROM fx.spot.eur")
    assert lake.sql('SELECT * FROM "fx.spot".eur').height == 0


def test_hostile_symbols_are_values_like_others(lake: Lake, small: SmallLake) -> None:
    symbols = ["BTC/USD", "BTCUSD", "..", "*", "a=b", "001", "'; DROP TABLE x; --", "nul\0", "%41"]
    for symbol in symbols:
        small.add("futures.trades", [trade(at(14), symbol)], value=symbol)
    frame = lake.sql("SELECT symbol, contract FROM futures.trades")
    assert sorted(frame["symbol"]) == sorted(symbols)
    assert (frame["symbol"] == frame["contract"]).all()


def test_the_command_prints_every_form(lake: Lake, small: SmallLake, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    small.add("futures.trades", [trade(at(14)), trade(at(15))])
    query = "SELECT symbol, count(*) AS trades FROM futures.trades GROUP BY symbol"

    def run(form: str) -> bytes:
        assert main(["sql", query, "--output", form, "--data", str(lake.data_root)]) == 0
        return capfdbinary.readouterr().out

    assert b"ES" in run("table")
    assert run("csv") == b"symbol,trades\nES,2\n"
    assert json.loads(run("json")) == [{"symbol": "ES", "trades": 2}]
    assert run("ndjson") == b'{"symbol":"ES","trades":2}\n'
    with pa.ipc.open_stream(run("arrow")) as stream:
        assert stream.read_all().to_pylist() == [{"symbol": "ES", "trades": 2}]
    assert main(["sql", "DROP TABLE x", "--data", str(lake.data_root)]) == 2
    assert capfdbinary.readouterr().out == b""


def test_ls_counts_what_is_there(lake: Lake, small: SmallLake, capsys: pytest.CaptureFixture[str]) -> None:
    paths = small.add("futures.trades", [trade(at(14)), trade(at(14) + 5), trade(at(15))])
    assert main(["ls", "--output", "json", "--data", str(lake.data_root)]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row == {
        "table": "futures.trades",
        "partitions": 2,
        "files": 2,
        "rows": 3,
        "bytes": sum(path.stat().st_size for path in paths),
        "first_event": "2024-12-16T14:00:00.000000000Z",
        "last_event": "2024-12-16T15:00:00.000000000Z",
    }
    folder = "bronze/futures/trades/symbol=ES/date=2024-12-16/hour=14"
    assert main(["ls", folder, "--output", "json", "--data", str(lake.data_root)]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["partition"], row["rows"]) == ("symbol=ES/date=2024-12-16/hour=14", 2)
    assert row["last_event"] == "2024-12-16T14:00:00.000000005Z"
    assert main(["ls", "futures.trade", "--data", str(lake.data_root)]) == 2
