"""Kinematics at round prices of every real instrument, against a slow fit that shares no code with the stage."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from tests.e2e.real_data import tidy_files

from ticklake.silver.stages.kinematics import STAGE, KinematicsParameters, kinematics_columns

NS_PER_S, NS_PER_MIN = 10**9, 60 * 10**9
UNITS = {"velocity": "points/min", "acceleration": "points/min^2", "jerk": "points/min^3"}
DEFAULT = KinematicsParameters().windows_min
SHORT = (1, 2, 3, 4, 5)
"""For recordings of less than six minutes; the others take eleven, so that only late events tell 10 from 20."""

RECORDINGS = {
    "cm_btcusd_perp_20240808_09": (20.0, DEFAULT),
    "spot_btcusdt_20240808_09": (20.0, DEFAULT),
    "usdm_btcusdt_20240808": (20.0, SHORT),
    "usdm_ethusdt_20240808": (0.5, SHORT),
}
"""Of each recording: between which prices a level lies at every multiple, and the windows."""


def recorded(name: str) -> pl.DataFrame:
    (file,) = (path for path in tidy_files("trades") if path.name.startswith(name))
    time = pl.col("ts_event").dt.epoch("ns").alias("ts_event_ns")
    return pl.read_parquet(file).select(time, "price").sort("ts_event_ns", maintain_order=True)


def crossings(trades: pl.DataFrame, step: float) -> pl.DataFrame:
    """The first trade beyond a round price since the price was beyond another one."""
    price = pl.col("price")
    floor = (price / step).floor()
    rows = trades.with_columns(floor=floor, moved=floor - floor.shift(1)).filter(pl.col("moved") != 0)
    level = pl.col("floor") + (pl.col("moved") < 0)
    rows = rows.select("ts_event_ns", level_price=level * step, direction=pl.col("moved").sign().cast(pl.Int8))
    return rows.filter(pl.col("level_price") != pl.col("level_price").shift(1))


def slow_fit(trades: pl.DataFrame, event: dict[str, float], window_min: int) -> list[float | None]:
    """Derivatives at t by `numpy.polyfit` of the last trade of each second of (t - window, t]; time in minutes."""
    t = event["ts_event_ns"]
    last = {}
    for time, price in trades.iter_rows():
        if t - window_min * NS_PER_MIN < time <= t:
            last[(t - time) // NS_PER_S] = ((time - t) / NS_PER_MIN, price)
    if len(last) < 5:
        return [None] * 3
    minutes, price = np.array(list(last.values())).T
    cubic, square, slope, _ = np.polyfit(minutes, event["direction"] * (price - event["level_price"]), 3)
    return [slope, 2 * square, 6 * cubic]


def test_units_are_declared() -> None:
    declared = {spec.name: spec.unit for spec in STAGE.gives_with(STAGE.parameters())["events"]}
    assert declared == {f"{name}_{window}min": unit for window in DEFAULT for name, unit in UNITS.items()}


@pytest.mark.parametrize("name", RECORDINGS)
def test_columns_differ_vary_and_are_those_of_a_slow_fit(name: str) -> None:
    step, windows = RECORDINGS[name]
    trades = recorded(name)
    events = crossings(trades, step)
    columns = kinematics_columns(events, trades, windows_min=windows, sample_ns=NS_PER_S)
    found = pl.DataFrame(columns)

    assert events.height > 20
    assert [column.name for column in columns if column.drop_nulls().n_unique() < events.height / 2] == []
    assert [pair for pair in combinations(found.columns, 2) if found[pair[0]].equals(found[pair[1]])] == []
    some = range(0, events.height, 5)
    for window in windows:
        expected = np.array([slow_fit(trades, events.row(row, named=True), window) for row in some], dtype=float)
        for place, quantity in enumerate(UNITS):
            values = found[f"{quantity}_{window}min"].to_numpy()[list(some)]
            assert values == pytest.approx(expected[:, place], rel=1e-6, nan_ok=True), (quantity, window)
