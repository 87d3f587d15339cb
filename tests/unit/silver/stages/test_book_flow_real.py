"""book_flow on every real instrument: no feature is constant, no two are the same, all are in their declared range."""

from __future__ import annotations

from datetime import date
from itertools import combinations

import polars as pl
import pytest
from tests.e2e.real_data import source_rows
from tests.unit.silver.stages.flow_rows import run

from ticklake.silver.frames import Frames
from ticklake.silver.stage import AnyStage, ColumnSpec, Role
from ticklake.silver.stages.book_flow import QUOTES_STAGES, STAGES
from ticklake.silver.stages.book_flow_load import LoadFlowParameters

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BTCUSD_PERP")
DAY = date(2024, 8, 8)


@pytest.fixture(scope="module")
def bronze() -> Frames:
    """The rows as the lake holds them after publishing."""
    tables = {"bronze_trades": "trades", "bronze_book": "mbp10", "bronze_quotes": "quotes"}
    return {
        name: pl.DataFrame(source_rows(table))
        .lazy()
        .with_columns(symbol="contract", stream_seq=pl.int_range(pl.len()), message_row=pl.lit(0, pl.Int32))
        for name, table in tables.items()
    }


def of(bronze: Frames, symbol: str) -> Frames:
    return {name: rows.filter(pl.col("symbol") == symbol) for name, rows in bronze.items()}


def declared(stages: tuple[AnyStage, ...]) -> list[ColumnSpec]:
    return [spec for stage in stages for spec in stage.gives_with(stage.parameters()).get("events", ())]


def check(rows: pl.DataFrame, stages: tuple[AnyStage, ...]) -> None:
    specs = declared(stages)
    assert [(spec.name, spec.dtype) for spec in specs] == list(rows.schema.items())
    assert rows["event_id"].is_unique().all()
    assert rows["ts_event_ns"].is_sorted()
    features = [spec.name for spec in specs if spec.role is Role.FEATURE]
    assert [name for name in features if rows[name].drop_nulls().n_unique() < 2] == []
    assert [pair for pair in combinations(features, 2) if rows[pair[0]].equals(rows[pair[1]])] == []
    for spec in specs:
        known = rows[spec.name].drop_nulls()
        assert spec.null or known.len() == rows.height, spec.name
        assert spec.low is None or known.min() >= spec.low, spec.name
        assert spec.high is None or known.max() <= spec.high, spec.name
        assert spec.dtype != pl.Float64 or known.is_finite().all(), spec.name


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_features_of_a_real_book_vary_and_differ(bronze: Frames, symbol: str) -> None:
    rows = run(of(bronze, symbol), STAGES, day=DAY)["events"]
    check(rows, STAGES)
    assert rows.group_by("venue").len()["len"].min() > 340  # seconds from 23:54:17 to midnight
    balance = dict(rows["outcome_5s"].value_counts().iter_rows())
    assert balance["UP"] > 50
    assert balance["DOWN"] > 50
    assert balance["NO_DATA"] == 5 * rows["venue"].n_unique()


@pytest.mark.parametrize("symbol", ["ETHUSDT", "BTCUSD_PERP"])
def test_features_of_real_quotes_vary_and_differ(bronze: Frames, symbol: str) -> None:
    check(run(of(bronze, symbol), QUOTES_STAGES, day=DAY)["events"], QUOTES_STAGES)


def test_spot_quotes_carry_no_event_time_and_go_by_the_receive_clock(bronze: Frames) -> None:
    spot = {name: rows.filter(pl.col("venue") == "BINANCE_SPOT") for name, rows in bronze.items()}
    received = {"load_flow": LoadFlowParameters(clock="receive")}
    check(run(spot, QUOTES_STAGES, received, day=DAY)["events"], QUOTES_STAGES)
