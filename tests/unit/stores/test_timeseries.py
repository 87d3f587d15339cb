"""TimeSeriesDataStore: lines by symbol, frames by range."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from tests.unit.stores.without_pandas import run_without_pandas

from ticklake.base.errors import UsageError
from ticklake.files.errors import UnreadableError
from ticklake.files.frames import FrameError
from ticklake.stores.timeseries import TimeSeriesDataStore
from ticklake.stores.timeseries_ranges import TimeSpan, covers, series_prefix, step_ns
from ticklake.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> TimeSeriesDataStore:
    return TimeSeriesDataStore(tmp_path / "series", clock=clock)


def day(number: int) -> datetime:
    return datetime(2024, 1, number, tzinfo=UTC)


def frame(first: datetime, *, hours: int, close: float = 1.0) -> pl.DataFrame:
    times = [first + timedelta(hours=hour) for hour in range(hours)]
    return pl.DataFrame({"timestamp": times, "close": [close] * hours})


def test_entries_come_back_in_order_and_series_stay_apart(store: TimeSeriesDataStore) -> None:
    for price in (1.5, 2.5, 0.5):
        store.save_data("BTCUSD", {"timestamp": "2024-12-29T10:00:00", "price": price})
    store.save_data("IBM", {"price": 9})
    assert [entry["price"] for entry in store.load_data("BTCUSD")] == [1.5, 2.5, 0.5]
    assert store.load_data("ibm") == [{"price": 9}]
    assert (store.storage_path / "btcusd_timeseries.jsonl").is_file()


def test_a_symbol_without_entries_gives_an_empty_list(store: TimeSeriesDataStore) -> None:
    assert store.load_data("NOBODY") == []


def test_types_come_back_and_the_caller_s_entry_is_not_touched(store: TimeSeriesDataStore) -> None:
    entry = {"timestamp": datetime(2024, 12, 29, 10), "price": Decimal("1.10"), "days": {date(2024, 1, 1)}}
    before = dict(entry)
    store.save_data("BTCUSD", entry)
    assert entry == before
    assert store.load_data("BTCUSD") == [entry]


def test_a_damaged_line_is_left_out_or_raises_as_asked(store: TimeSeriesDataStore) -> None:
    store.save_data("A", {"n": 1})
    with (store.storage_path / "a_timeseries.jsonl").open("ab") as file:
        file.write(b"\n{broken\n[1]\n")
    store.save_data("A", {"n": 2})
    assert store.load_data("A") == [{"n": 1}, {"n": 2}]
    with pytest.raises(UnreadableError, match=r"a_timeseries\.jsonl:3"):
        store.load_data("A", damaged="raise")


def test_a_torn_last_line_is_no_entry_and_does_not_spoil_the_next(store: TimeSeriesDataStore) -> None:
    store.save_data("A", {"n": 1})
    with (store.storage_path / "a_timeseries.jsonl").open("ab") as file:
        file.write(b'{"n": 1')
    assert store.load_data("A", damaged="raise") == [{"n": 1}]
    store.save_data("A", {"n": 2})
    assert store.load_data("A", damaged="raise") == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    "symbols",
    [["BTC/USD", "BTCUSD", "BTC_USD", "BTC%2FUSD", "../x", "*", "a\0b", "_" * 115, "y" * 300, "é", "e\u0301"]],
)
def test_hostile_symbols_do_not_collide_and_do_not_escape(
    store: TimeSeriesDataStore, tmp_path: Path, symbols: list[str]
) -> None:
    for number, symbol in enumerate(symbols):
        store.save_data(symbol, {"n": number})
        store.save_dataframe(symbol, frame(day(1), hours=1, close=number), day(1), day(2), "1h")
    for number, symbol in enumerate(symbols):
        assert store.load_data(symbol) == [{"n": number}]
        assert store.load_dataframe(symbol, day(1), day(2), "1h")["close"].to_list() == [number]
    assert [path.name for path in tmp_path.iterdir()] == ["series"]


def test_parts_of_a_name_cannot_be_shifted(store: TimeSeriesDataStore) -> None:
    assert len({series_prefix("a_b", "1h"), series_prefix("a", "b_1h"), series_prefix("a", "1h")}) == 3
    store.save_dataframe("btc_1h", frame(day(1), hours=1), day(1), day(2), "1d")
    assert store.load_dataframe("btc", day(1), day(2), "1h") is None


def test_a_frame_comes_back_in_utc_sorted_with_its_columns(store: TimeSeriesDataStore) -> None:
    given = frame(day(1), hours=3).reverse().with_columns(volume=pl.Series([1, 2, 3]))
    store.save_dataframe("BTCUSD", given, day(1), day(2), "1h")
    found = store.load_dataframe("BTCUSD", day(1), day(2), "1h")
    assert found.equals(given.sort("timestamp"))
    assert found.schema["timestamp"].time_zone == "UTC"


@pytest.mark.parametrize(
    "times",
    [
        {"date": [date(2024, 1, 1), date(2024, 1, 2)]},
        {"timestamp": [datetime(2024, 1, 1), datetime(2024, 1, 2)]},
        {"timestamp": ["2024-01-01T00:00:00", "2024-01-02T00:00:00"]},
        {"time": [datetime(2024, 1, 1), datetime(2024, 1, 2)]},
    ],
    ids=str,
)
def test_times_in_any_column_become_the_timestamp(store: TimeSeriesDataStore, times: dict[str, Any]) -> None:
    given = pl.DataFrame({"close": [1.0, 2.0], **times})
    store.save_dataframe("X", given.to_arrow(), "2024-01-01", "2024-01-02", "1d")
    found = store.load_dataframe("X", "2024-01-01", "2024-01-02", "1d")
    assert found["timestamp"].to_list() == [day(1), day(2)]
    assert found["close"].to_list() == [1.0, 2.0]


def test_frames_without_clear_times_are_refused(store: TimeSeriesDataStore) -> None:
    for wrong in (pl.DataFrame({"close": [1.0]}), pl.DataFrame({"timestamp": [datetime(2024, 1, 1), None]})):
        with pytest.raises(FrameError):
            store.save_dataframe("X", wrong, day(1), day(2), "1d")
    assert not list(store.storage_path.glob("*.parquet"))


def test_an_empty_frame_is_not_stored(store: TimeSeriesDataStore) -> None:
    store.save_dataframe("X", frame(day(1), hours=1).clear(), day(1), day(2), "1h")
    assert store.load_dataframe("X", day(1), day(2), "1h") is None


def test_saving_a_range_again_replaces_it(store: TimeSeriesDataStore) -> None:
    for close in (1.0, 2.0):
        store.save_dataframe("X", frame(day(1), hours=2, close=close), day(1), day(2), "1h")
    assert store.load_dataframe("X", day(1), day(2), "1h")["close"].to_list() == [2.0, 2.0]


def test_history_does_not_expire(store: TimeSeriesDataStore, clock: ManualClock) -> None:
    store.save_dataframe("X", frame(day(1), hours=1), day(1), day(2), "1h")
    clock.advance(10 * 365 * 86_400)
    assert store.load_dataframe("X", day(1), day(2), "1h").height == 1


def test_a_range_within_a_stored_one_is_read_from_it(store: TimeSeriesDataStore) -> None:
    store.save_dataframe("X", frame(day(1), hours=240), day(1), day(10), "1h")
    found = store.load_dataframe("X", day(3), day(4), "1h")
    assert (found["timestamp"].min(), found["timestamp"].max(), found.height) == (day(3), day(4), 25)


def test_ranges_that_touch_answer_together_and_a_gap_does_not(store: TimeSeriesDataStore) -> None:
    store.save_dataframe("X", frame(day(1), hours=24), day(1), day(1) + timedelta(hours=23), "1h")
    store.save_dataframe("X", frame(day(2), hours=24), day(2), day(2) + timedelta(hours=23), "1h")
    store.save_dataframe("X", frame(day(4), hours=24), day(4), day(4) + timedelta(hours=23), "1h")
    assert store.load_dataframe("X", day(1), day(2) + timedelta(hours=5), "1h").height == 30
    assert store.load_dataframe("X", day(1), date(2024, 1, 2), "1h").height == 48
    assert store.load_dataframe("X", day(1), day(4), "1h") is None
    assert store.load_dataframe("X", day(4), day(6), "1h") is None
    assert store.load_dataframe("X", day(1), day(2), "5m") is None


def test_where_ranges_overlap_the_later_saved_counts(store: TimeSeriesDataStore, clock: ManualClock) -> None:
    store.save_dataframe("X", frame(day(1), hours=48, close=1.0), day(1), date(2024, 1, 2), "1h")
    clock.advance(1)
    store.save_dataframe("X", frame(day(2), hours=20, close=2.0), day(2), date(2024, 1, 3), "1h")
    found = store.load_dataframe("X", day(1), date(2024, 1, 2), "1h")
    assert found["close"].to_list() == [1.0] * 24 + [2.0] * 20


def test_several_rows_of_one_time_all_stay(store: TimeSeriesDataStore) -> None:
    ticks = pl.DataFrame({"timestamp": [day(1), day(1), day(1)], "price": [3.0, 1.0, 2.0]})
    store.save_dataframe("X", ticks, day(1), day(3), "tick")
    assert store.load_dataframe("X", day(1), day(2), "tick")["price"].to_list() == [3.0, 1.0, 2.0]


def test_a_damaged_file_is_no_missing_file(store: TimeSeriesDataStore) -> None:
    store.save_dataframe("X", frame(day(1), hours=9), day(1), day(2), "1h")
    (path,) = store.storage_path.glob("*.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableError, match=path.name):
        store.load_dataframe("X", day(1), day(2), "1h")


def test_file_names_say_what_is_inside(store: TimeSeriesDataStore) -> None:
    store.save_dataframe("BTCUSD", frame(day(1), hours=1), "2024-01-01", "2024-01-31", "1h")
    assert [path.name for path in store.storage_path.glob("*.parquet")] == ["btcusd_1h_2024-01-01_2024-01-31.parquet"]


@pytest.mark.parametrize("wrong", [("", "1h"), ("X", ""), ("X", "1" * 33), (None, "1h")])
def test_names_that_are_none_are_refused(store: TimeSeriesDataStore, wrong: tuple[Any, str]) -> None:
    with pytest.raises(UsageError):
        store.load_dataframe(wrong[0], day(1), day(2), wrong[1])


def test_a_range_back_to_front_is_refused(store: TimeSeriesDataStore) -> None:
    with pytest.raises(UsageError, match="before"):
        store.load_dataframe("X", day(2), day(1), "1h")


@pytest.mark.parametrize("span", [TimeSpan(0, 86_400_000_000_000 - 1), TimeSpan(0, 0), TimeSpan(1, 1_733_054_400_123)])
def test_a_span_comes_back_from_its_file_name(span: TimeSpan) -> None:
    assert TimeSpan.parse(span.text) == span
    assert ":" not in span.text


def test_covering_counts_bars_not_nanoseconds() -> None:
    assert covers([TimeSpan(0, 10), TimeSpan(20, 30)], TimeSpan(0, 30), step_ns=10)
    assert covers([TimeSpan(0, 10), TimeSpan(20, 30)], TimeSpan(0, 39), step_ns=10)
    assert not covers([TimeSpan(0, 10), TimeSpan(20, 30)], TimeSpan(0, 40), step_ns=10)
    assert not covers([TimeSpan(0, 10), TimeSpan(21, 30)], TimeSpan(0, 30), step_ns=10)
    assert not covers([TimeSpan(0, 10), TimeSpan(12, 30)], TimeSpan(0, 30), step_ns=1)
    assert covers([TimeSpan(20, 30)], TimeSpan(11, 30), step_ns=10)
    assert not covers([TimeSpan(20, 30)], TimeSpan(10, 30), step_ns=10)
    assert not covers([], TimeSpan(0, 1), step_ns=10)


def test_timeframes() -> None:
    assert [step_ns(text) // 10**9 for text in ("1s", "5m", "1h", "1d", "15min")] == [1, 300, 3600, 86_400, 900]
    assert [step_ns(text) for text in ("1M", "1w", "tick", "")] == [1, 1, 1, 1]


def test_pandas_goes_in_and_out_with_its_time_index(store: TimeSeriesDataStore) -> None:
    import pandas as pd

    given = pd.DataFrame({"close": [1.0, 2.0]}, index=pd.to_datetime(["2024-01-02", "2024-01-01"]))
    store.save_dataframe("X", given, datetime(2024, 1, 1), datetime(2024, 1, 2), "1d")
    found = store.load_dataframe("X", datetime(2024, 1, 1), datetime(2024, 1, 2), "1d", as_pandas=True)
    assert found.index.name == "timestamp"
    assert str(found.index.tz) == "UTC"
    assert found["close"].tolist() == [2.0, 1.0]
    assert isinstance(pa.Table.from_pandas(found), pa.Table)


def test_without_pandas_asking_for_it_says_what_to_install(store: TimeSeriesDataStore, tmp_path: Path) -> None:
    store.save_dataframe("X", frame(day(1), hours=1), day(1), day(2), "1h")
    code = """
        import sys
        from datetime import UTC, datetime

        import pytest
        from ticklake.base.errors import UsageError
        from ticklake.stores.timeseries import TimeSeriesDataStore

        store, begin, end = TimeSeriesDataStore(sys.argv[1]), *(datetime.fromisoformat(word) for word in sys.argv[2:])
        assert store.load_dataframe("X", begin, end, "1h").height == 1
        with pytest.raises(UsageError, match="pip install"):
            store.load_dataframe("X", begin, end, "1h", as_pandas=True)
        assert "pandas" not in sys.modules
    """
    run_without_pandas(code, str(tmp_path / "series"), day(1).isoformat(), day(2).isoformat())
