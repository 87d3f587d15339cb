from __future__ import annotations

import statistics
from datetime import date

import polars as pl
import pytest

from ticklake.schema.session import US_INDEX_FUTURES, previous_sessions, session_window
from ticklake.silver.stage import LookBack
from ticklake.silver.stages.bars import STAGE_2MIN, WarmBarParameters, build_bars

_MIN_NS = 60 * 10**9
_SEC_NS = 10**9


def _trades(*rows: tuple[float, float, int]) -> pl.LazyFrame:
    """Rows (seconds, price, size)."""
    return pl.LazyFrame(
        {
            "ts_event_ns": [int(seconds * _SEC_NS) for seconds, _, _ in rows],
            "price": [price for _, price, _ in rows],
            "size": [size for _, _, size in rows],
        },
        schema={"ts_event_ns": pl.Int64, "price": pl.Float64, "size": pl.Int64},
    )


def _bars(trades: pl.LazyFrame, *, minutes: int = 1, atr: int = 2, volatility: int = 2) -> pl.DataFrame:
    return build_bars(trades, minutes=minutes, atr_bars=atr, volatility_bars=volatility).collect()


def test_a_bar_is_open_high_low_close_volume_and_known_at_its_end() -> None:
    bars = _bars(_trades((0, 10.0, 1), (20, 12.0, 2), (40, 9.0, 3), (59.999, 11.0, 4), (60, 50.0, 5)))
    first = bars.row(0, named=True)
    assert (first["bar_start_ns"], first["available_ns"]) == (0, _MIN_NS)
    assert (first["open"], first["high"], first["low"], first["close"], first["volume"]) == (10, 12, 9, 11, 10)
    assert bars.row(1, named=True)["bar_start_ns"] == _MIN_NS  # a trade on the minute opens the next bar


def test_a_minute_without_trades_has_no_bar() -> None:
    bars = _bars(_trades((0, 10.0, 1), (300, 12.0, 2)))
    assert bars["bar_start_ns"].to_list() == [0, 5 * _MIN_NS]


def test_two_minute_bars_hold_two_minutes() -> None:
    bars = _bars(_trades((0, 10.0, 1), (119, 12.0, 2), (120, 13.0, 1)), minutes=2)
    assert bars.select("bar_start_ns", "available_ns", "close", "volume").rows() == [
        (0, 2 * _MIN_NS, 12.0, 3),
        (2 * _MIN_NS, 4 * _MIN_NS, 13.0, 1),
    ]


def test_true_range_counts_the_gap_from_the_close_before() -> None:
    # Bars (high, low, close): (12, 9, 10), (21, 20, 20): 21-10 = 11, (8, 7, 7): 20-7 = 13, (9, 6, 8): 9-6 = 3.
    bars = _bars(
        _trades(
            *((0, 12.0, 1), (1, 9.0, 1), (2, 10.0, 1), (60, 21.0, 1), (61, 20.0, 1)),
            *((120, 8.0, 1), (121, 7.0, 1), (180, 9.0, 1), (181, 6.0, 1), (182, 8.0, 1)),
        )
    )
    assert bars["atr"].to_list() == [None, None, (11 + 13) / 2, (13 + 3) / 2]


def test_volatility_is_the_sample_deviation_of_the_changes_of_the_close() -> None:
    closes = [100.0, 101.0, 99.0, 102.0, 102.5]
    bars = _bars(_trades(*((60 * n, close, 1) for n, close in enumerate(closes))), volatility=3)
    changes = [1.0, -2.0, 3.0, 0.5]
    assert bars["volatility"].to_list()[:3] == [None, None, None]
    assert bars["volatility"].to_list()[3:] == pytest.approx(
        [statistics.stdev(changes[:3]), statistics.stdev(changes[1:])], abs=1e-12
    )


def test_nothing_is_known_until_warm() -> None:
    bars = _bars(_trades(*((60 * n, 100.0 + n % 3, 1) for n in range(30))), atr=14, volatility=20)
    assert bars["atr"].is_null().to_list() == [True] * 14 + [False] * 16
    assert bars["volatility"].is_null().to_list() == [True] * 20 + [False] * 10


def test_later_trades_never_change_a_closed_bar() -> None:
    trades = _trades(*((7 * n, 100.0 + (n * n) % 11, 1 + n % 4) for n in range(200)))
    cut_ns = 10 * _MIN_NS
    whole = _bars(trades).filter(pl.col("available_ns") <= cut_ns)
    cut = _bars(trades.filter(pl.col("ts_event_ns") <= cut_ns)).filter(pl.col("available_ns") <= cut_ns)
    assert whole.equals(cut)


def test_no_trades_make_no_bars() -> None:
    assert _bars(_trades()).shape == (0, 9)


def test_the_two_minute_bars_look_back_as_many_sessions_as_the_manifest_says() -> None:
    assert STAGE_2MIN.lookback(WarmBarParameters()) == LookBack(sessions=3)
    assert STAGE_2MIN.lookback(WarmBarParameters(sma_warmup_sessions=7)) == LookBack(sessions=7)


@pytest.mark.parametrize("sessions", [0, 1, 2])
def test_the_two_minute_bars_are_those_of_as_many_earlier_sessions(sessions: int) -> None:
    session = session_window(US_INDEX_FUTURES, date(2025, 6, 20))
    earlier = previous_sessions(US_INDEX_FUTURES, date(2025, 6, 20), 2)  # the 19th was a holiday
    assert session is not None
    opens = [one.open_ns for one in (*earlier, session)]
    trades = pl.DataFrame({"ts_event_ns": opens, "price": [1.0, 2.0, 3.0], "size": [1, 1, 1]})
    parameters = WarmBarParameters(sma_warmup_sessions=sessions)
    bars = STAGE_2MIN.run({"trades": trades.lazy()}, parameters, session)["bars_2min"].collect()
    assert bars["close"].to_list() == [1.0, 2.0, 3.0][2 - sessions :]
