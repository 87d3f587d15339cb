"""The printed snippets run as they are and give the rows that `scan` gives."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.integration.small_lake import TABLES, SmallLake, at, trade

from ticklake.cli.main import main
from ticklake.cli.recipes import Engine, write_recipe
from ticklake.readers.lake import Lake, open_lake

SYMBOLS = ["ES", "001", "1E5", "TRUE", "BTC/USD", "BTCUSD", "..", "a=b", "*", "x" * 300]
INSTALLED = [Engine.DUCKDB, Engine.POLARS, Engine.PYARROW, Engine.PANDAS]


def _run(snippet: str) -> pl.DataFrame:
    names: dict[str, Any] = {}
    exec(compile(snippet, "recipe", "exec"), names)  # the promise is that people can paste it
    rows = names["rows"]
    if isinstance(rows, pl.LazyFrame):
        return rows.collect()
    if hasattr(rows, "to_arrow_table"):
        return pl.DataFrame(rows.to_arrow_table())
    return pl.DataFrame(rows)


@pytest.fixture(params=["lake", 'la\'ke "x" [1]'])
def lake(tmp_path: Path, request: pytest.FixtureRequest) -> Lake:
    lake = open_lake(tmp_path / request.param, tables=TABLES)
    small = SmallLake(lake.data_root)
    for symbol in SYMBOLS:
        small.add("futures.trades", [trade(at(5), symbol), trade(at(14, day=1), symbol, seq=2**53 + 1)], value=symbol)
    return lake


@pytest.mark.parametrize("engine", INSTALLED)
def test_a_snippet_reads_what_scan_reads(lake: Lake, engine: Engine) -> None:
    if engine is Engine.PANDAS and find_spec("pandas") is None:
        pytest.skip("pandas is an extra")
    ours = lake.scan("futures.trades").collect().sort("stream_seq")
    theirs = _run(write_recipe(engine, lake.relation("futures.trades"), lake.data_root)).sort("stream_seq")
    assert ours.height == 2 * len(SYMBOLS)
    kinds = {"symbol": pl.String, "date": pl.Date, "hour": pl.Int8}
    columns = ["symbol", "date", "hour", "contract", "ts_event_ns", "price", "seq", "stream_seq"]
    assert (
        theirs.select(columns)
        .with_columns(pl.col(name).cast(kind) for name, kind in kinds.items())
        .equals(ours.select(columns))
    )


def test_a_spark_snippet_is_python_that_pins_types(lake: Lake) -> None:
    snippet = write_recipe(Engine.SPARK, lake.relation("futures.trades"), lake.data_root)
    compile(snippet, "recipe", "exec")
    assert "partitionColumnTypeInference" in snippet
    assert 'F.col("date").cast("date")' in snippet


def test_the_command_prints_the_snippet_alone(lake: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "polars", "futures.trades", "--data", str(lake.data_root)]) == 0
    assert _run(capsys.readouterr().out).height == 2 * len(SYMBOLS)
