"""What book_flow says of an instant does not change with what comes after it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.unit.silver.stages.flow_rows import NS, START_NS, book_rows, run, trade_rows
from tests.unit.silver.stages.flow_rows import session as flow_session

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow
from ticklake.silver.causality import Certificate, certify
from ticklake.silver.feature_run import feature_pipeline
from ticklake.silver.frames import Frames
from ticklake.silver.pipeline import check_order, default_parameters, input_times, run_pipeline
from ticklake.silver.pipelines import book_flow
from ticklake.silver.stage import ColumnSpec, Role, Stage, StageParameters
from ticklake.silver.stages.book_flow import STAGES
from ticklake.silver.stages.book_flow_features import FlowParameters
from ticklake.silver.stages.book_flow_load import LoadFlowParameters

WINDOWS = {
    "order_and_trade_flow": FlowParameters(
        ofi_windows_s=(2, 5, 20), trade_window_s=5, vwap_window_s=20, volatility_window_s=10, kyle_window_s=30
    )
}
FEATURES = [
    spec.name
    for stage in STAGES
    if not stage.knows_later
    for spec in stage.gives_with(WINDOWS.get(stage.name, stage.parameters())).get("events", ())
]


def market(seconds: int = 400) -> Frames:
    """A few minutes before and after the session begins; with a silence longer than the book may be old."""
    dice = np.random.default_rng(11)
    times = np.sort(dice.uniform(-100, seconds - 100, 6 * seconds))
    times = times[(times < 120) | (times > 190)].round(3)  # ties in time happen, and times upon the grid
    bids = 1_000 + dice.integers(-1, 2, times.size).cumsum()
    sizes = dice.integers(1, 30, (2, times.size))
    books = zip(times, bids, sizes[0], bids + dice.integers(1, 5, times.size), sizes[1], strict=True)
    dealt = zip(times[::3] + 0.0005, bids[::3], sizes[0, ::3], dice.integers(-1, 2, times.size)[::3], strict=True)
    return {"bronze_trades": trade_rows(*dealt), "bronze_book": book_rows(*books)}


INPUTS = market()
WHOLE = run(INPUTS, parameters=WINDOWS)["events"]


def removed(rows: pl.LazyFrame, cut_ns: int) -> pl.LazyFrame:
    return rows.filter(pl.col("ts_event_ns") <= cut_ns)


def absurd(rows: pl.LazyFrame, cut_ns: int) -> pl.LazyFrame:
    later = pl.col("ts_event_ns") > cut_ns
    return rows.with_columns(
        pl.when(later).then(pl.selectors.float() * -7e9).otherwise(pl.selectors.float()).name.keep()
    )


@pytest.mark.parametrize("change", [removed, absurd])
@pytest.mark.parametrize("second", [0.4, 17, 60.001, 119.9, 121, 179.5, 181, 191.25, 299])
def test_features_up_to_a_cut_do_not_change_with_what_comes_after(change: object, second: float) -> None:
    cut_ns = START_NS + round(second * NS)
    cut = {name: change(rows, cut_ns) for name, rows in INPUTS.items()}  # type: ignore[operator]
    again = run(cut, parameters=WINDOWS)["events"]
    until = pl.col("ts_event_ns") <= cut_ns
    assert again.select(FEATURES).filter(until).equals(WHOLE.select(FEATURES).filter(until))


def test_the_warm_up_counts_for_windows_and_makes_no_events() -> None:
    assert WHOLE["ts_event_ns"].min() == START_NS
    assert WHOLE["ofi_20s"].null_count() == 0
    cold = {name: rows.filter(pl.col("ts_event_ns") > START_NS) for name, rows in INPUTS.items()}
    assert run(cold, parameters=WINDOWS)["events"]["ofi_20s"].null_count() == 20


def test_how_much_warm_up_there_is_changes_no_bit_once_windows_are_full() -> None:
    shorter = {name: rows.filter(pl.col("ts_event_ns") > START_NS - 40 * NS) for name, rows in INPUTS.items()}
    assert run(shorter, parameters=WINDOWS)["events"].equals(WHOLE)


def test_every_feature_varies_here() -> None:
    roles = {
        spec.name: spec.role for stage in STAGES for spec in stage.gives_with(stage.parameters()).get("events", ())
    }
    features = [name for name in FEATURES if roles.get(name, Role.FEATURE) is Role.FEATURE]
    assert len(features) == 17
    assert [name for name in features if WHOLE[name].n_unique() < 3] == []


RECEIVE = {"load_flow": LoadFlowParameters(clock="receive")}
APART_NS = 50_000_000  # the clocks of exchange and receiver
LEAK_NS = 40_000_000


def certified(ahead_ns: int, *more: Stage[Any]) -> Certificate:
    """book_flow on the receiver's clock, with the exchange's so far ahead of it; a trade 20 ms after every second."""
    pipeline = book_flow().with_stages([*STAGES, *more])
    parameters = default_parameters(pipeline) | RECEIVE | WINDOWS
    often = trade_rows(*((second + 0.019, 1_000.0 + second % 7, 1.0, 1) for second in range(300)))
    received = INPUTS | {"bronze_trades": pl.concat([INPUTS["bronze_trades"], often]).sort("ts_recv_ns")}
    inputs = {name: rows.with_columns(ts_event_ns=pl.col("ts_recv_ns") + ahead_ns) for name, rows in received.items()}
    features = [name for name in FEATURES if name != "event_id"] + [
        spec.name for stage in more for spec in stage.gives_with(stage.parameters())["events"]
    ]
    return certify(
        lambda frames: run_pipeline(feature_pipeline(pipeline, parameters), frames, parameters, flow_session()),
        inputs,
        flow_session(),
        features=features,
        cuts=6,
        times=input_times(pipeline, parameters),
    )


def peek(frames: Frames, parameters: StageParameters, session: SessionWindow) -> Frames:
    """The price of a trade that comes within the next 40 ms."""
    trades = frames["trades"].select(later_price="price", ts_event_ns=pl.col("ts_event_ns") - LEAK_NS)
    return {"events": frames["events"].join_asof(trades.sort("ts_event_ns"), on="ts_event_ns")}


PEEK = Stage(
    name="peek",
    run=peek,
    needs={"events": ("ts_event_ns",), "trades": ("ts_event_ns", "price")},
    gives={"events": (ColumnSpec("later_price", pl.Float64, "quote units", Role.FEATURE, "From 40 ms later."),)},
    parameters=StageParameters,
)


@pytest.mark.parametrize("ahead_ns", [APART_NS, -APART_NS])
def test_on_the_receivers_clock_the_certificate_cuts_by_the_time_of_receipt(ahead_ns: int) -> None:
    certificate = certified(ahead_ns)
    assert certificate.passed, {violation.column for violation in certificate.violations}
    assert certificate.events_compared > 100


@pytest.mark.parametrize("ahead_ns", [APART_NS, -APART_NS])
def test_on_the_receivers_clock_a_look_ahead_of_less_than_the_clocks_differ_is_caught(ahead_ns: int) -> None:
    certificate = certified(ahead_ns, PEEK)
    assert {violation.column for violation in certificate.violations} == {"later_price"}


def test_a_time_column_that_a_stage_does_not_read_is_refused() -> None:
    blind = replace(STAGES[0], times={"bronze_trades": "ingest_ns"})
    pipeline = book_flow().with_stages([blind, *STAGES[1:]])
    with pytest.raises(UsageError, match="tells the time of bronze_trades by ingest_ns, which it does"):
        check_order(pipeline, default_parameters(pipeline))
