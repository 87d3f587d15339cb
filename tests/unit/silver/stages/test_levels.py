from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from ticklake.base.errors import UsageError
from ticklake.schema.session import SessionWindow, session_window
from ticklake.silver.stage import check_gives, check_needs
from ticklake.silver.stages.levels import LEVEL_KINDS, STAGE, LevelParameters
from ticklake.silver.stages.walls import walls

_S = 10**9
_MIN = 60 * _S


def _session() -> SessionWindow:
    session = session_window("us_index_futures", date(2025, 6, 3))
    assert session is not None
    return session


DAY = _session()
OPEN = DAY.open_ns


def _trades(*rows: tuple[int, float, int], is_lookback: bool = False) -> pl.LazyFrame:
    """Rows (ts_event_ns, price, size)."""
    schema = {"ts_event_ns": pl.Int64, "price": pl.Float64, "size": pl.Int64}
    return pl.LazyFrame(rows, schema=schema, orient="row").with_columns(is_lookback=pl.lit(is_lookback))


def _options(*rows: tuple[int, float, str, float | None]) -> pl.LazyFrame:
    """Rows (ts_event_ns, strike, right, dealer_gamma_flow)."""
    schema = {"ts_event_ns": pl.Int64, "strike": pl.Float64, "right": pl.String, "dealer_gamma_flow": pl.Float64}
    return pl.LazyFrame(rows, schema=schema, orient="row")


def _bars(*rows: tuple[int, float]) -> pl.LazyFrame:
    return pl.LazyFrame(rows, schema={"available_ns": pl.Int64, "close": pl.Float64}, orient="row")


def _levels(
    trades: pl.LazyFrame, bars: pl.LazyFrame | None = None, options: pl.LazyFrame | None = None, **parameters: int
) -> pl.DataFrame:
    frames = {
        "trades": trades,
        "bars_2min": _bars() if bars is None else bars,
        "options": _options() if options is None else options,
    }
    settings = LevelParameters(**parameters)
    check_needs(frames, STAGE, settings)
    made = STAGE.run(frames, settings, DAY)
    check_gives(made, STAGE, settings)
    levels = made["levels"].collect()
    assert levels.equals(levels.sort("valid_from_ns", "kind"))
    assert levels.select("kind", "valid_from_ns").is_unique().all()
    assert set(levels["kind"]) <= set(LEVEL_KINDS)
    return levels


def _of(levels: pl.DataFrame, kind: str, since_ns: int = OPEN) -> list[tuple[int, float | None]]:
    """Rows (ns after `since_ns`, price) of one kind."""
    rows = levels.filter(pl.col("kind") == kind).select(pl.col("valid_from_ns") - since_ns, "level_price")
    return rows.rows()


def test_premarket_extremes_grow_until_the_open_and_stand_after_it() -> None:
    early = DAY.premarket_ns
    levels = _levels(
        _trades(
            *((early - 1, 1.0, 1), (early, 10.0, 1), (early + 1, 12.0, 1), (early + 2, 9.0, 1), (early + 3, 11.0, 1)),
            *((OPEN - 1, 13.0, 1), (OPEN, 99.0, 1), (OPEN + _MIN, 2.0, 1)),
        )
    )
    assert _of(levels, "PM_HIGH", early) == [(0, 10.0), (1, 12.0), (OPEN - 1 - early, 13.0)]
    assert _of(levels, "PM_LOW", early) == [(0, 10.0), (2, 9.0)]


def test_the_opening_range_is_absent_until_it_is_final() -> None:
    levels = _levels(
        _trades((OPEN - 1, 1.0, 1), (OPEN, 10.0, 1), (OPEN + 15 * _MIN - 1, 14.0, 1), (OPEN + 15 * _MIN, 50.0, 1))
    )
    assert _of(levels, "OR_HIGH") == [(15 * _MIN, 14.0)]
    assert _of(levels, "OR_LOW") == [(15 * _MIN, 10.0)]
    shorter = _levels(_trades((OPEN, 10.0, 1), (OPEN + 6 * _MIN, 14.0, 1)), opening_range_s=300)
    assert _of(shorter, "OR_HIGH") == [(5 * _MIN, 10.0)]


def test_without_trades_after_the_open_there_is_no_opening_range() -> None:
    levels = _levels(_trades((OPEN - 1, 10.0, 1)))
    assert set(levels["kind"]) == {"PM_HIGH", "PM_LOW"}


def test_session_extremes_count_from_the_open_and_are_valid_from_their_trade() -> None:
    levels = _levels(
        _trades(
            *((OPEN - 1, 90.0, 1), (OPEN, 10.0, 1), (OPEN + 5, 11.0, 1), (OPEN + 6, 10.5, 1), (OPEN + 7, 11.0, 1)),
            *((OPEN + 8, 12.0, 1), (OPEN + 8, 13.0, 1), (OPEN + 9, 8.0, 1)),
        )
    )
    assert _of(levels, "SESSION_HIGH") == [(0, 10.0), (5, 11.0), (8, 13.0)]
    assert _of(levels, "SESSION_LOW") == [(0, 10.0), (9, 8.0)]


def test_vwap_weighs_by_contracts_and_is_known_at_the_end_of_its_second() -> None:
    levels = _levels(
        _trades((OPEN - 1, 900.0, 9), (OPEN, 10.0, 1), (OPEN + _S - 1, 13.0, 2), (OPEN + 5 * _S, 20.0, 3)),
    )
    # (10 + 26) / 3 = 12; (36 + 60) / 6 = 16
    assert _of(levels, "VWAP") == [(_S, 12.0), (6 * _S, 16.0)]


def test_the_day_before_is_no_part_of_today() -> None:
    assert _levels(_trades((OPEN, 10.0, 1), is_lookback=True)).is_empty()


def test_slow_averages_are_means_of_closed_bars_and_absent_until_warm() -> None:
    bars = _bars(*((DAY.start_ns + (n - 298) * 2 * _MIN, float(n)) for n in range(402)))
    levels = _levels(_trades(), bars)
    # Bar 298 ends as the day starts: mean of 99..298 is 198.5; later bars each move it by one.
    slow = _of(levels, "SMA_200", DAY.start_ns)
    assert slow[:2] == [(0, pytest.approx(198.5)), (2 * _MIN, pytest.approx(199.5))]
    assert len(slow) == 402 - 298
    # 400 bars are there with bar 399: mean of 0..399.
    assert _of(levels, "SMA_400", DAY.start_ns) == [
        ((399 - 298) * 2 * _MIN, pytest.approx(199.5)),
        ((400 - 298) * 2 * _MIN, pytest.approx(200.5)),
        ((401 - 298) * 2 * _MIN, pytest.approx(201.5)),
    ]


class TestWalls:
    def test_a_wall_is_the_strike_with_the_largest_flow_of_the_window(self) -> None:
        options = _options(
            *((OPEN, 6000.0, "C", -3.0), (OPEN + 1, 6010.0, "C", -2.0), (OPEN + 2, 6010.0, "C", -2.0)),
            *((OPEN + 3, 6020.0, "C", 3.5), (OPEN + 4, 5990.0, "P", 1.0), (OPEN + 5, 6000.0, "C", None)),
        )
        levels = _levels(_trades(), options=options)
        # At the open -3 of 6000 is all there is; 30 s later 6010 has -4. All is 5 minutes old 5 and 5.5 minutes on.
        assert _of(levels, "CALL_WALL") == [(0, 6000.0), (30 * _S, 6010.0), (330 * _S, None)]
        assert _of(levels, "PUT_WALL") == [(30 * _S, 5990.0), (330 * _S, None)]

    def test_flows_of_both_signs_cancel(self) -> None:
        options = _options((OPEN, 6000.0, "C", -3.0), (OPEN, 6000.0, "C", 3.0), (OPEN, 6010.0, "C", 0.5))
        assert _of(_levels(_trades(), options=options), "CALL_WALL")[0] == (0, 6010.0)
        still = _options((OPEN, 6000.0, "C", -3.0), (OPEN, 6000.0, "C", 3.0))
        assert _levels(_trades(), options=still).is_empty()

    def test_equal_flows_go_to_the_lowest_strike(self) -> None:
        options = _options((OPEN, 6010.0, "P", 1.0), (OPEN, 6000.0, "P", -1.0), (OPEN, 6020.0, "P", 1.0))
        assert _of(_levels(_trades(), options=options), "PUT_WALL")[0] == (0, 6000.0)

    def test_the_window_is_open_at_its_beginning_and_closed_at_its_end(self) -> None:
        options = _options((OPEN + 1, 6000.0, "C", 1.0))
        rows = _of(_levels(_trades(), options=options, wall_window_s=60, wall_step_s=20), "CALL_WALL")
        assert rows == [(20 * _S, 6000.0), (80 * _S, None)]
        rows = _of(_levels(_trades(), options=_options((OPEN, 1.0, "C", 1.0)), wall_window_s=60), "CALL_WALL")
        assert rows == [(0, 1.0), (60 * _S, None)]

    def test_a_window_must_hold_whole_steps(self) -> None:
        with pytest.raises(UsageError, match="no multiple of wall_step_s"):
            walls(_options(), start_ns=0, end_ns=_S, window_s=100, step_s=30)


def test_levels_never_know_what_comes_later() -> None:
    trades = _trades(*((OPEN - _MIN + n * 7 * _S + n % 3, 100.0 + (n * n) % 17, 1 + n % 5) for n in range(300)))
    options = _options(*((OPEN + n * 11 * _S, 100.0 + n % 4, "CP"[n % 2], (-1.0) ** n * (n % 7)) for n in range(200)))
    bars = _bars(*((OPEN + (n - 390) * 2 * _MIN, float(n * n % 23)) for n in range(420)))
    for cut_ns in (OPEN + 3 * _MIN, OPEN + 15 * _MIN, OPEN + 21 * _MIN + 3):
        whole = _levels(trades, bars, options).filter(pl.col("valid_from_ns") <= cut_ns)
        cut = _levels(
            trades.filter(pl.col("ts_event_ns") <= cut_ns),
            bars.filter(pl.col("available_ns") <= cut_ns),
            options.filter(pl.col("ts_event_ns") <= cut_ns),
        )
        assert whole.equals(cut.filter(pl.col("valid_from_ns") <= cut_ns))
        assert whole.height > 20
