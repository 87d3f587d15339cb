"""The gold tables that are written live: level signals, one row per level and moment."""

from __future__ import annotations

from ticklake.schema.kinds import Kind
from ticklake.schema.table import TIME_MAX_NS, TIME_MIN_NS, Column, Shape, TableSpec

MS_NS = 1_000_000
"""Nanoseconds in a millisecond: signals carry milliseconds."""


def _top(name: str, kind: Kind, wire: str, doc: str, *, unit: str = "") -> Column:
    return Column(name=name, kind=kind, wire=wire, unit=unit, null=True, doc=doc)


def _word(name: str, wire: str, doc: str) -> Column:
    return Column(name=name, kind=Kind.STRING, wire=f"levels[].{wire}", null=True, doc=doc)


def _number(
    name: str,
    wire: str,
    doc: str,
    *,
    unit: str = "",
    kind: Kind = Kind.FLOAT64,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Column:
    path = f"levels[].{wire}"
    return Column(name=name, kind=kind, wire=path, unit=unit, null=True, minimum=minimum, maximum=maximum, doc=doc)


_TOP = (
    Column(
        name="ts_event_ns",
        kind=Kind.INT64,
        wire="ts",
        unit="ns",
        scale=MS_NS,
        minimum=TIME_MIN_NS,
        maximum=TIME_MAX_NS - 1,
        doc="When the signal was computed; the wire says Unix milliseconds (`ts`).",
    ),
    Column(name="underlying", kind=Kind.STRING, default="ES", doc="What the signal is on; lives in the folder name."),
    _top("spot", Kind.FLOAT64, "es.spot", "Price now; `spy.spot` is understood too.", unit="index points"),
    _top("bid", Kind.FLOAT64, "es.bid", "Best bid now.", unit="index points"),
    _top("ask", Kind.FLOAT64, "es.ask", "Best ask now.", unit="index points"),
)

_LEVEL = (
    _word("level_id", "id", "Name of the level."),
    _word("level_kind", "kind", "Kind of level: STRIKE, VWAP, ROUND, ..."),
    _number("level_price", "price", "Where it is.", unit="index points"),
    _word("direction", "direction", "SUPPORT or RESISTANCE."),
    _number("distance", "distance", "From the price now, absolute.", unit="points"),
    _number("break_score_raw", "break_score_raw", "Chance to break, this moment.", minimum=0, maximum=100),
    _number("break_score_smooth", "break_score_smooth", "Chance to break, smoothed.", minimum=0, maximum=100),
    _word("signal", "signal", "BREAK, REJECT, CONTESTED or NEUTRAL."),
    _word("confidence", "confidence", "HIGH, MEDIUM or LOW."),
    _number("approach_velocity", "approach_velocity", "Speed towards the level.", unit="points/min"),
    _number("approach_bars", "approach_bars", "Bars of approach.", kind=Kind.INT32, unit="bars", minimum=0),
    _number("approach_distance", "approach_distance", "Way covered while approaching.", unit="points"),
    _number("prior_touches", "prior_touches", "Earlier touches.", kind=Kind.INT32, unit="count", minimum=0),
)

_BARRIER = (
    _word("barrier_state", "barrier.state", "State of resting liquidity: WALL, VACUUM, ..."),
    _number("barrier_delta_liq", "barrier.delta_liq", "Liquidity added less taken.", unit="contracts"),
    _number("barrier_delta_liq_smooth", "barrier.delta_liq_smooth", "The same, smoothed.", unit="contracts"),
    _number("barrier_replenishment_ratio", "barrier.replenishment_ratio", "Added over canceled and filled."),
    _number("barrier_replenishment_ratio_smooth", "barrier.replenishment_ratio_smooth", "The same, smoothed."),
    _number("barrier_added", "barrier.added", "Added.", unit="contracts"),
    _number("barrier_canceled", "barrier.canceled", "Canceled.", unit="contracts"),
    _number("barrier_filled", "barrier.filled", "Filled.", unit="contracts"),
    _number("barrier_defending_quote_price", "barrier.defending_quote.price", "Defending quote.", unit="index points"),
    _number("barrier_defending_quote_size", "barrier.defending_quote.size", "Its size.", unit="contracts"),
    _number("barrier_churn", "barrier.churn", "Added plus canceled.", unit="contracts"),
    _number("barrier_depth_in_zone", "barrier.depth_in_zone", "Resting near the level.", unit="contracts"),
)

_TAPE = (
    _number("tape_imbalance", "tape.imbalance", "Buys less sells over both.", minimum=-1, maximum=1),
    _number("tape_buy_vol", "tape.buy_vol", "Bought.", unit="contracts", minimum=0),
    _number("tape_sell_vol", "tape.sell_vol", "Sold.", unit="contracts", minimum=0),
    _number("tape_velocity", "tape.velocity", "Speed of the price.", unit="points/s"),
    _number("tape_velocity_smooth", "tape.velocity_smooth", "The same, smoothed.", unit="points/s"),
    _number("tape_sweep_detected", "tape.sweep.detected", "Whether a sweep was seen.", kind=Kind.BOOL),
    _word("tape_sweep_direction", "tape.sweep.direction", "UP or DOWN."),
    _number("tape_sweep_notional", "tape.sweep.notional", "Value of the sweep.", unit="USD"),
    _number("tape_sweep_num_prints", "tape.sweep.num_prints", "Its trades.", kind=Kind.INT32, unit="count", minimum=0),
    _number("tape_sweep_window_ms", "tape.sweep.window_ms", "Its length.", unit="ms", minimum=0),
)

_FUEL = (
    _word("fuel_effect", "fuel.effect", "What dealer hedging does: AMPLIFY, NEUTRAL, DAMPEN."),
    _number("fuel_net_dealer_gamma", "fuel.net_dealer_gamma", "Net dealer gamma.", unit="USD/point"),
    _number("fuel_net_dealer_gamma_smooth", "fuel.net_dealer_gamma_smooth", "The same, smoothed.", unit="USD/point"),
    _number("fuel_call_wall", "fuel.call_wall", "Strike with most call gamma.", unit="index points"),
    _number("fuel_put_wall", "fuel.put_wall", "Strike with most put gamma.", unit="index points"),
    _number("fuel_hvl", "fuel.hvl", "High-volatility level.", unit="index points"),
)

_RUNWAY = (
    _word("runway_direction", "runway.direction", "Where the price would run."),
    _number("runway_distance", "runway.distance", "How far to the next obstacle.", unit="points"),
    _word("runway_next_level_id", "runway.next_obstacle.id", "Next obstacle."),
    _number("runway_next_level_price", "runway.next_obstacle.price", "Where it is.", unit="index points"),
    _word("runway_quality", "runway.quality", "CLEAR or OBSTRUCTED."),
)

_CONFLUENCE = (
    _number("confluence_count", "confluence_count", "Levels nearby.", kind=Kind.INT32, unit="count", minimum=0),
    _number("confluence_pressure", "confluence_pressure", "Their pull."),
    _number("confluence_alignment", "confluence_alignment", "-1, 0, 1.", kind=Kind.INT8, minimum=-1, maximum=1),
    _number("confluence_level", "confluence_level", "Rank of the set-up.", kind=Kind.INT8, minimum=0, maximum=10),
    _word("confluence_level_name", "confluence_level_name", "Its name."),
    Column(name="note", kind=Kind.STRING, wire="levels[].note", null=True, varied=True, doc="Free text."),
    Column(
        name="viewport",
        kind=Kind.JSON,
        wire="viewport",
        null=True,
        varied=True,
        doc="Targets of the moment as JSON, repeated on each of its rows.",
    ),
)

LEVELS_SIGNALS = TableSpec(
    name="levels.signals",
    version=1,
    tier="gold",
    subject="levels.signals",
    stream="LEVEL_SIGNALS",
    columns=(*_TOP, *_LEVEL, *_BARRIER, *_TAPE, *_FUEL, *_RUNWAY, *_CONFLUENCE),
    partition_by=("underlying", "date", "hour"),
    event_time="ts_event_ns",
    shape=Shape.SIGNALS,
    doc="Live signals at price levels. A message without levels is one row with null level columns.",
)

GOLD_TABLES = (LEVELS_SIGNALS,)
"""Every built-in gold table."""
