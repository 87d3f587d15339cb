from __future__ import annotations

from datetime import date

import polars as pl

from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.stage import check_gives, check_needs
from ticklake.silver.stages.zones import STAGE, ZoneParameters

_S = 10**9


def _session() -> SessionWindow:
    session = session_window("us_index_futures", date(2025, 6, 3))
    assert session is not None
    return session


DAY = _session()
OPEN = DAY.open_ns
FRONT_MONTH = {"share": 0.9, "runner_up": "ESU5", "is_roll": False}


def _trades(*rows: tuple[float, float]) -> pl.DataFrame:
    """Rows (seconds after the open, price), in event order."""
    schema = {"seconds": pl.Float64, "price": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").select(
        (OPEN + (pl.col("seconds") * _S).round().cast(pl.Int64)).alias("ts_event_ns"),
        "price",
        contract=pl.lit("ESM5"),
        stream_seq=pl.int_range(pl.len(), dtype=pl.Int64),
        message_row=pl.lit(0, pl.Int32),
        is_lookback=pl.col("seconds") < 0,
    )


def _levels(*rows: tuple[float, str, float | None]) -> pl.LazyFrame:
    """Rows (valid from, in seconds after the open; kind; price)."""
    schema = {"seconds": pl.Float64, "kind": pl.String, "level_price": pl.Float64}
    return pl.LazyFrame(rows, schema=schema, orient="row").select(
        "kind", "level_price", (OPEN + (pl.col("seconds") * _S).cast(pl.Int64)).alias("valid_from_ns")
    )


def _events(
    trades: pl.DataFrame,
    levels: pl.LazyFrame,
    *,
    bars: tuple[tuple[float, float | None], ...] = (),
    known_from_s: float = -3600,
    **parameters: float,
) -> pl.DataFrame:
    """Events; `bars` are (available, in seconds after the open; atr)."""
    frames = {
        "front_month": pl.LazyFrame([FRONT_MONTH | {"known_from_ns": OPEN + int(known_from_s * _S)}]),
        "trades": trades.lazy(),
        "bars_1min": pl.LazyFrame(
            [(OPEN + int(seconds * _S), atr) for seconds, atr in bars],
            schema={"available_ns": pl.Int64, "atr": pl.Float64},
            orient="row",
        ),
        "levels": levels,
    }
    settings = ZoneParameters(**parameters)
    check_needs(frames, STAGE, settings)
    made = STAGE.run(frames, settings, DAY)
    check_gives(made, STAGE, settings)
    return made["events"].collect()


LEVEL = _levels((0, "VWAP", 100.0))


def test_the_first_trade_inside_is_the_event_and_its_side_the_direction() -> None:
    up = _events(_trades((1, 90.0), (2, 94.75), (3, 95.0), (4, 99.0), (5, 100.0)), LEVEL)
    assert up.select("direction", "entry_price", "level_price", "stream_seq").rows() == [(1, 95.0, 100.0, 2)]
    assert up["ts_event_ns"].to_list() == [OPEN + 3 * _S]
    down = _events(_trades((1, 106.0), (2, 104.5), (3, 101.0)), LEVEL)
    assert down.select("direction", "entry_price").rows() == [(-1, 104.5)]


def test_an_event_is_named_after_date_kind_level_time_and_direction() -> None:
    made = _events(_trades((1, 90.0), (2, 96.0)), _levels((0, "VWAP", 100.1)))
    assert made["event_id"].to_list() == [f"2025-06-03_VWAP_400_{OPEN + 2 * _S}_UP"]
    assert made["date"].to_list() == [date(2025, 6, 3)]
    assert made["contract"].to_list() == ["ESM5"]


def test_a_price_that_starts_inside_or_leaves_makes_no_event() -> None:
    assert _events(_trades((1, 99.0), (2, 100.0), (3, 110.0)), LEVEL).is_empty()


def test_a_price_that_jumps_over_the_zone_makes_no_event() -> None:
    assert _events(_trades((1, 90.0), (2, 110.0), (3, 90.0)), LEVEL).is_empty()


def test_the_zone_is_closed_at_both_edges() -> None:
    assert _events(_trades((1, 90.0), (2, 95.0)), LEVEL).height == 1
    assert _events(_trades((1, 110.0), (2, 105.0)), LEVEL).height == 1
    assert _events(_trades((1, 90.0), (2, 94.99)), LEVEL).is_empty()


def test_the_zone_is_as_wide_as_points_or_atr_whichever_is_more() -> None:
    trades = _trades((1, 80.0), (70, 92.0), (130, 80.0), (200, 93.5))
    wide = _events(trades, LEVEL, bars=((60, 80.0), (120, 65.0)))
    assert wide.select("zone_points", "atr", "entry_price").rows() == [(8.0, 80.0, 92.0), (6.5, 65.0, 93.5)]
    narrow = _events(trades, LEVEL, bars=((60, 4.0),), zone_points=8.0)
    assert narrow.select("zone_points", "atr").rows() == [(8.0, 4.0), (8.0, 4.0)]


def test_without_a_warm_atr_the_points_hold() -> None:
    made = _events(_trades((1, 90.0), (2, 95.0)), LEVEL, bars=((0, None),))
    assert made.select("zone_points", "atr").rows() == [(5.0, None)]


def test_a_bar_counts_from_its_end() -> None:
    trades = _trades((1, 80.0), (60, 92.0))
    assert _events(trades, LEVEL, bars=((60, 80.0),)).height == 1
    assert _events(trades, LEVEL, bars=((60.001, 80.0),)).is_empty()


def test_a_level_counts_from_when_it_is_valid() -> None:
    trades = _trades((1, 90.0), (2, 96.0), (3, 90.0), (14, 96.0))
    assert _events(trades, _levels((2.5, "OR_HIGH", 100.0)))["ts_event_ns"].to_list() == [OPEN + 14 * _S]
    assert _events(trades, _levels((2, "OR_HIGH", 100.0)))["ts_event_ns"].to_list() == [OPEN + 2 * _S, OPEN + 14 * _S]


def test_a_level_that_has_gone_makes_no_event() -> None:
    made = _events(_trades((1, 90.0), (2, 96.0)), _levels((0, "CALL_WALL", 100.0), (1.5, "CALL_WALL", None)))
    assert made.is_empty()


def test_a_level_that_comes_over_a_resting_price_makes_no_event() -> None:
    levels = _levels((0, "CALL_WALL", 100.0), (2, "CALL_WALL", 120.0))
    assert _events(_trades((1, 119.0), (3, 119.0), (4, 119.25)), levels).is_empty()


def test_bouncing_at_the_edge_is_one_event_until_the_price_was_away_for_long_enough() -> None:
    bounce = [(1.0, 94.75), *((2 + n, 95.0 if n % 2 == 0 else 94.75) for n in range(6))]  # inside at 2, 4, 6; out at 7
    trades = _trades(*bounce, (10.0, 90.0), (11.0, 91.0), (16.9, 95.0), (17.0, 94.75), (20.0, 90.0), (27.0, 95.0))
    made = _events(trades, LEVEL, outside_s=10.0)
    # Inside until 7 s, so 16.9 s is too early; inside until 17 s, and 27 s is 10 s later.
    assert ((made["ts_event_ns"] - OPEN) // _S).to_list() == [2, 27]
    assert _events(trades, LEVEL, outside_s=0).height == 5


def test_a_price_that_rests_inside_is_inside_all_the_time() -> None:
    trades = _trades((1, 90.0), (2, 96.0), (40, 96.0), (100, 90.0), (105, 96.0))
    assert _events(trades, LEVEL, outside_s=10.0).height == 1  # inside from 2 to 100, though it moved only then


def test_each_kind_has_its_own_events_in_order_of_time_then_kind() -> None:
    levels = _levels((0, "VWAP", 100.0), (0, "SMA_200", 100.0), (0, "PM_LOW", 80.0))
    made = _events(_trades((1, 90.0), (2, 96.0), (3, 84.0)), levels)
    assert made["kind"].to_list() == ["SMA_200", "VWAP", "PM_LOW"]
    assert made["event_id"].is_unique().all()


def test_two_entries_in_one_instant_are_one_event() -> None:
    made = _events(_trades((1, 90.0), (2, 96.0), (2, 90.0), (2, 96.0)), LEVEL, outside_s=0)
    assert made["stream_seq"].to_list() == [1]


def test_nothing_counts_before_the_contract_is_known() -> None:
    trades = _trades((1, 90.0), (2, 96.0), (3, 90.0), (30, 96.0))
    assert _events(trades, LEVEL, known_from_s=2).height == 2
    assert _events(trades, LEVEL, known_from_s=2.5)["ts_event_ns"].to_list() == [OPEN + 30 * _S]


def test_trades_of_the_day_before_are_no_neighbours() -> None:
    made = _events(_trades((-9, 90.0), (1, 96.0)), _levels((-10, "VWAP", 100.0)))
    assert made.is_empty()


def test_events_never_know_what_comes_later() -> None:
    trades = _trades(*((n, 100.0 + (n * 37 % 41) - 20) for n in range(300)))
    levels = _levels(*((n * 7, ("VWAP", "SMA_200")[n % 2], 95.0 + n % 11) for n in range(40)))
    for cut in (50, 123, 200):
        whole = _events(trades, levels, outside_s=0).filter(pl.col("ts_event_ns") <= OPEN + cut * _S)
        after = _events(trades.head(cut + 1), levels, outside_s=0)
        assert whole.equals(after)
        assert whole.height > 5


def test_every_event_says_how_clear_the_choice_of_its_contract_was() -> None:
    events = _events(_trades((0, 5980.0), (1, 5999.0)), _levels((-10, "VWAP", 6000.0)))
    assert events.select("contract", "contract_share", "runner_up", "is_roll").rows() == [("ESM5", 0.9, "ESU5", False)]
