"""Readers give exactly the rows that were stored, whoever reads them."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from tests.integration.small_lake import DAY_NS, HOUR_NS, TABLES, SmallLake, at, trade

from ticklake.base.errors import CorruptError, NoDataError, UsageError
from ticklake.readers.lake import Lake, open_lake
from ticklake.readers.listing import ForeignEntryError, TornFileError

HOSTILE = (
    "ES",
    "BTC/USD",
    "BTCUSD",
    "..",
    ".",
    "a=b",
    "*",
    "[ab]?",
    "001",
    "1E5",
    "TRUE",
    "0x10",
    "%41",
    "A",
    "a b",
    "é",
    "e\u0301",
    "_hidden",
    ".hidden",
    "nul\0",
    "new\nline",
    "'; DROP TABLE x; --",
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake", tables=TABLES)


@pytest.fixture
def small(lake: Lake) -> SmallLake:
    return SmallLake(lake.data_root)


def test_a_range_is_exact_to_the_nanosecond(lake: Lake, small: SmallLake) -> None:
    times = [at(14) - 1, at(14), at(14) + 1, at(15) - 1, at(15), at(15) + 1]
    small.add("futures.trades", [trade(event_ns) for event_ns in times])
    scanned = lake.scan("futures.trades", start=at(14), end=at(15)).collect()["ts_event_ns"]
    assert sorted(scanned) == times[1:4]
    read = lake.bronze.read_futures_trades(start_ns=at(14), end_ns=at(15))["ts_event_ns"]
    assert read.to_list() == times[1:5]


def test_times_may_be_written_as_people_write_them(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(hour, day=day)) for day in (0, 1) for hour in (1, 14.5, 23)])
    assert lake.scan("futures.trades", date="2024-12-16").collect().height == 3
    assert lake.scan("futures.trades", date=[date(2024, 12, 16), "2024-12-17"]).collect().height == 6
    assert lake.scan("futures.trades", start="2024-12-16T14:30", end=date(2024, 12, 17)).collect().height == 2


def test_folders_that_cannot_hold_the_answer_are_not_opened(lake: Lake, small: SmallLake) -> None:
    [early, late] = small.add("futures.trades", [trade(at(14)), trade(at(16))])
    early.write_bytes(b"damaged")
    assert lake.scan("futures.trades", start=at(16)).collect().height == 1
    assert lake.scan("futures.trades", start=at(17)).collect().height == 0
    assert lake.scan("futures.trades", start=at(15), end=at(16.5)).collect().height == 1
    [soon] = small.add("futures.trades", [trade(at(16.75))])
    soon.write_bytes(b"damaged")  # in the same hour, but its name says that it begins after the range
    assert lake.scan("futures.trades", start=at(15), end=at(16.5)).collect().height == 1
    late.write_bytes(b"damaged")
    other = small.add("futures.trades", [trade(at(14))], value="NQ")
    assert lake.scan("futures.trades", symbol="NQ").collect().height == 1
    assert len(other) == 1


def test_rows_come_in_event_order_and_ties_in_stream_order(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(14.5), price=3.0), trade(at(14.25), price=1.0)])
    small.add("futures.trades", [trade(at(14.25), price=2.0), trade(at(14.5), price=4.0), trade(at(14.1), price=0.5)])
    small.add("futures.trades", [trade(at(14.25), price=2.5, message_row=1), trade(at(14.2), price=0.75)])
    assert lake.bronze.read_futures_trades()["price"].to_list() == [0.5, 0.75, 1.0, 2.0, 2.5, 3.0, 4.0]


def test_rows_of_one_message_come_in_its_order(lake: Lake, small: SmallLake) -> None:
    rows = [trade(at(14), price=float(row), message_row=row, stream_seq=1) for row in (0, 1, 2)]
    small.add("futures.trades", rows)
    small.add("futures.trades", [trade(at(14), price=-1.0, stream_seq=None), trade(at(13), price=-2.0)])
    assert lake.bronze.read_futures_trades()["price"].to_list() == [-2.0, -1.0, 0.0, 1.0, 2.0]


def test_rows_of_one_message_are_put_in_order_across_files(lake: Lake, small: SmallLake) -> None:
    for row in (2, 0, 1):
        small.add("futures.trades", [trade(at(14), price=float(row), message_row=row, stream_seq=1)])
    assert lake.bronze.read_futures_trades()["price"].to_list() == [0.0, 1.0, 2.0]


def test_event_time_falls_back_where_the_exchange_gives_none(lake: Lake, small: SmallLake) -> None:
    row = {"contract": "BTC/USD", "price": 1.0, "size": 1.0, "aggressor": 0}
    rows = [
        {"ts_event_ns": None, "ts_recv_ns": at(3), **row},
        {"ts_event_ns": at(2), "ts_recv_ns": at(4), **row},
        {"ts_event_ns": at(4), "ts_recv_ns": None, **row},
    ]
    small.add("crypto.trades", rows, value="BTC/USD")
    frame = lake.bronze.read("crypto.trades", "BTC/USD", start_ns=at(2), end_ns=at(3))
    assert frame.select("ts_event_ns", "ts_recv_ns").rows() == [(at(2), at(4)), (None, at(3))]


def test_columns_and_timestamps_on_request(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(14) + 123)])
    frame = lake.scan("futures.trades", columns=["price", "ts_event_ns"], as_datetime=True).collect()
    assert frame.columns == ["price", "ts_event_ns", "ts_event_utc"]
    assert frame.schema["ts_event_utc"] == pl.Datetime("ns", "UTC")
    assert frame["ts_event_utc"].to_physical().item() == at(14) + 123
    assert lake.bronze.read_futures_trades(columns=["price"]).columns == ["price"]
    with pytest.raises(UsageError, match="no column 'prize'"):
        lake.scan("futures.trades", columns=["prize"])
    with pytest.raises(UsageError, match=r"give a list: \['price'\]"):
        lake.scan("futures.trades", columns="price")
    with pytest.raises(UsageError, match="'price' is asked for twice"):
        lake.scan("futures.trades", columns=["price", "size", "price"])
    with pytest.raises(UsageError, match="is no symbol"):
        lake.bronze.read_futures_trades(["ES"])  # type: ignore[arg-type]


def test_no_data_empty_and_unreadable_are_three_outcomes(lake: Lake, small: SmallLake) -> None:
    with pytest.raises(NoDataError, match=r"futures\.trades has no data"):
        lake.scan("futures.trades")
    [path] = small.add("futures.trades", [trade(at(14))])
    empty = lake.scan("futures.trades", start=at(20)).collect()
    assert (empty.height, empty.schema) == (0, lake.scan("futures.trades").collect_schema())
    assert lake.bronze.read_futures_trades(start_ns=at(20)).schema == empty.schema
    with pytest.raises(NoDataError, match="no data for NQ"):
        lake.scan("futures.trades", symbol="NQ")
    with pytest.raises(UsageError, match="did you mean"):
        lake.scan("futures.trade")
    with pytest.raises(UsageError, match="not partitioned by symbol"):
        lake.scan("raw", symbol="ES")
    path.write_bytes(b"")
    with pytest.raises(TornFileError, match=rf"{path.name}: the file is empty \(0 bytes\)"):
        lake.scan("futures.trades")


def _flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("kept", [0, 1, 11, -1, -8, -100])
def test_a_cut_file_is_named(lake: Lake, small: SmallLake, kept: int) -> None:
    small.add("futures.trades", [trade(at(14)), trade(at(15))])
    [path] = small.add("futures.trades", [trade(at(14.5))])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CorruptError, match=path.name):
        lake.bronze.read_futures_trades(front_month_only=False)
    with pytest.raises(CorruptError, match=path.name):
        lake.sql("SELECT sum(price) FROM futures.trades")


def test_a_damaged_footer_is_named(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(14))])
    [path] = small.add("futures.trades", [trade(at(14.5))])
    footer_bytes = int.from_bytes(path.read_bytes()[-8:-4], "little")
    _flip(path, -8 - footer_bytes)
    with pytest.raises(CorruptError, match=path.name):
        lake.bronze.read_futures_trades(front_month_only=False)


def test_a_foreign_file_is_named(lake: Lake, small: SmallLake) -> None:
    [path] = small.add("futures.trades", [trade(at(14))])
    foreign = path.with_name("part-140000-someone-00000001.parquet")
    pl.DataFrame({"price": [1.0]}).write_parquet(foreign)
    with pytest.raises(ForeignEntryError, match=foreign.name):
        lake.bronze.read_futures_trades(front_month_only=False)
    foreign.unlink()
    stray = path.parents[2] / "stray.parquet"
    shutil.copy(path, stray)
    with pytest.raises(ForeignEntryError, match=r"stray\.parquet"):
        lake.scan("futures.trades")
    stray.unlink()
    (path.parents[3] / "tmp").mkdir()
    with pytest.raises(ForeignEntryError, match="tmp"):
        lake.scan("futures.trades")


def test_a_file_of_another_table_is_named(lake: Lake, small: SmallLake) -> None:
    [path] = small.add("futures.trades", [trade(at(14))])
    quote = {"ts_event_ns": at(14), "ts_recv_ns": at(14), "contract": "ES"}
    [other] = small.add("crypto.quotes", [quote])
    wrong = path.with_name(other.name)
    shutil.copy(other, wrong)
    with pytest.raises(ForeignEntryError, match=r"crypto\.quotes/1"):
        lake.bronze.read_futures_trades(front_month_only=False)


@pytest.mark.parametrize("root", ["plain", "la'ke [1] {2}", "env=prod", "%41", "ünï"])
def test_the_root_may_have_any_name(tmp_path: Path, root: str) -> None:
    lake = open_lake(tmp_path / root / "lake", tables=TABLES)
    small = SmallLake(lake.data_root)
    small.add("futures.trades", [trade(at(14))])
    small.add("futures.trades", [trade(at(14))], value="001")
    assert sorted(lake.scan("futures.trades").collect()["symbol"]) == ["001", "ES"]
    assert lake.sql("SELECT count(*) FROM futures.trades WHERE symbol = '001'").item() == 1


def test_a_root_that_looks_like_a_partition_is_refused(tmp_path: Path) -> None:
    lake = open_lake(tmp_path / "date=today", tables=TABLES)
    SmallLake(lake.data_root).add("futures.trades", [trade(at(14))])
    with pytest.raises(UsageError, match="move the lake"):
        lake.scan("futures.trades")


def test_hostile_symbols_stay_apart_and_come_back(lake: Lake, small: SmallLake) -> None:
    for symbol in HOSTILE:
        small.add("futures.trades", [trade(at(14), symbol)], value=symbol)
    assert sorted(lake.scan("futures.trades").collect()["symbol"]) == sorted(HOSTILE)
    for symbol in HOSTILE:
        frame = lake.bronze.read("futures.trades", symbol)
        assert frame.select("symbol", "contract").rows() == [(symbol, symbol)]
        assert lake.bronze.get_available_dates("futures.trades", symbol) == ["2024-12-16"]


def test_a_symbol_too_long_for_a_folder_is_found_by_its_name(lake: Lake, small: SmallLake) -> None:
    names = ["L" * 300, "L" * 299 + "M"]
    for name in names:
        small.add("futures.trades", [trade(at(14), name)], value=name)
    for name in names:
        assert lake.scan("futures.trades", symbol=name).collect()["contract"].to_list() == [name]


def _numbers(small: SmallLake) -> None:
    for symbol in ("ES", "001", "BTC/USD", "1E5"):
        for part in range(3):
            rows = [trade(at(13 + part + step / 7), f"{symbol}X", price=part + step / 8) for step in range(9)]
            small.add("futures.trades", rows, value=symbol)


def test_four_engines_see_the_same_rows(lake: Lake, small: SmallLake) -> None:
    _numbers(small)
    folder = lake.data_root / "bronze/futures/trades"
    columns = ["symbol", "date", "hour", "ts_event_ns", "contract", "price", "stream_seq"]
    ours = lake.scan("futures.trades", columns=columns).collect().sort("stream_seq")
    assert ours.height == 4 * 3 * 9

    hive = pl.Schema({"symbol": pl.String(), "date": pl.Date(), "hour": pl.Int8()})
    polars = pl.scan_parquet(folder / "**/*.parquet", hive_partitioning=True, hive_schema=hive)
    assert polars.select(columns).collect().sort("stream_seq").equals(ours)

    types = pa.schema([("symbol", pa.string()), ("date", pa.date32()), ("hour", pa.int8())])
    arrow = ds.dataset(folder, format="parquet", partitioning=ds.partitioning(types, flavor="hive"))
    assert pl.DataFrame(arrow.to_table(columns=columns)).sort("stream_seq").equals(ours)

    plain = duckdb.sql(
        f"SELECT {', '.join(columns)} FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true, "
        "hive_types = {'symbol': VARCHAR, 'date': DATE, 'hour': TINYINT}) ORDER BY stream_seq"
    )
    assert pl.DataFrame(plain.to_arrow_table()).equals(ours)
    assert lake.sql(f"SELECT {', '.join(columns)} FROM futures.trades ORDER BY stream_seq").equals(ours)


def test_the_front_month_is_chosen_date_by_date(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(14), "ESZ4", size=9), trade(at(15), "ESH5", size=1)])
    small.add("futures.trades", [trade(at(14, day=1), "ESZ4", size=1), trade(at(15, day=1), "ESH5", size=2)])
    reader = lake.bronze
    assert reader.read_futures_trades()["contract"].to_list() == ["ESZ4", "ESH5"]
    assert reader.read_futures_trades(front_month_only=False).height == 4
    assert reader.read_futures_trades(specific_contract="ESH5")["ts_event_ns"].to_list() == [at(15), at(15, day=1)]
    assert reader.read_futures_trades(specific_contract="ESM5").height == 0
    chosen = reader.select_front_month("2024-12-17")
    assert (chosen.contract, chosen.runner_up, chosen.roll_contaminated) == ("ESH5", "ESZ4", False)
    # a narrow range does not change the choice: the whole date decides
    assert reader.read_futures_trades(start_ns=at(15), end_ns=at(16)).height == 0


def test_a_new_file_can_change_the_front_month(lake: Lake, small: SmallLake) -> None:
    small.add("futures.trades", [trade(at(14), "ESZ4", size=2)])
    assert lake.bronze.select_front_month("2024-12-16").contract == "ESZ4"
    small.add("futures.trades", [trade(at(15), "ESH5", size=3)])
    assert lake.bronze.select_front_month("2024-12-16").contract == "ESH5"


def test_books_without_trades_never_mix_contracts_silently(lake: Lake, small: SmallLake) -> None:
    book = {"ts_event_ns": at(14), "ts_recv_ns": at(14), "source": "t", "contract": "ESZ4", "is_snapshot": False}
    small.add("futures.mbp10", [book])
    with pytest.raises(NoDataError, match="specific_contract"):
        lake.bronze.read_futures_mbp10()
    assert lake.bronze.read_futures_mbp10(front_month_only=False).height == 1
    small.add("futures.trades", [trade(at(14, day=1), "ESZ4")])
    with pytest.raises(NoDataError, match="2024-12-16 is unknown"):
        lake.bronze.read_futures_mbp10()


def test_downsampling_takes_the_last_snapshot_and_stamps_the_end(lake: Lake, small: SmallLake) -> None:
    base = {"ts_recv_ns": at(14), "source": "t", "contract": "ESZ4", "is_snapshot": False}
    ms = 10**6
    offsets = [0, 100 * ms, 249 * ms, 250 * ms, 600 * ms, 600 * ms]
    rows = [{**base, "ts_event_ns": at(14) + offset, "bid_px_1": float(i)} for i, offset in enumerate(offsets)]
    rows.append({**base, "ts_event_ns": at(14) + 600 * ms, "bid_px_1": 99.0, "contract": "ESH5"})
    small.add("futures.mbp10", rows)
    frame = lake.bronze.read_futures_mbp10_downsampled("2024-12-16", specific_contract="ESZ4")
    ends = [at(14) + end * ms for end in (250, 500, 750)]
    assert frame["bucket_end_ns"].to_list() == ends
    assert frame["bid_px_1"].to_list() == [2.0, 3.0, 5.0]
    assert (frame["ts_event_ns"] < frame["bucket_end_ns"]).all()
    both = lake.bronze.read_futures_mbp10_downsampled("2024-12-16", front_month_only=False)
    assert both.height == 4
    later = lake.bronze.read_futures_mbp10_downsampled(start_ns=at(14) + 249 * ms, specific_contract="ESZ4")
    assert later["bucket_end_ns"].to_list() == ends  # buckets do not move with the range
    with pytest.raises(UsageError, match="bucket_ms"):
        lake.bronze.read_futures_mbp10_downsampled(bucket_ms=0)


def test_dates_come_from_folders_that_hold_files(lake: Lake, small: SmallLake) -> None:
    assert lake.bronze.get_available_dates() == []
    assert lake.bronze.get_latest_date() is None
    for day in (0, 1, 4):
        small.add("futures.trades", [trade(at(14, day=day))])
    small.add("futures.trades", [trade(at(14, day=2))], value="NQ")
    (lake.data_root / "bronze/futures/trades/symbol=ES/date=2024-12-25/hour=03").mkdir(parents=True)
    reader = lake.bronze
    assert reader.get_available_dates("futures/trades", "symbol=ES") == ["2024-12-16", "2024-12-17", "2024-12-20"]
    assert reader.get_available_dates("futures.trades") == ["2024-12-16", "2024-12-17", "2024-12-18", "2024-12-20"]
    assert reader.get_latest_date("futures.trades", "ES") == "2024-12-20"
    assert reader.get_warmup_dates("2024-12-20", 1) == ["2024-12-17"]
    assert reader.get_warmup_dates("2024-12-19", 5) == ["2024-12-16", "2024-12-17"]
    assert reader.get_warmup_dates("2024-12-16", 3) == []
    assert reader.get_warmup_dates("2024-12-20", 0) == []


def test_signals_and_options_have_readers(lake: Lake, small: SmallLake) -> None:
    signals = SmallLake(lake.data_root, stream="LEVEL_SIGNALS")
    rows = [{"ts_event_ns": at(14), "level_id": name, "message_row": row} for row, name in enumerate("abc")]
    signals.add("levels.signals", [{**row, "stream_seq": 1} for row in rows])
    assert lake.gold.read_level_signals(date="2024-12-16")["level_id"].to_list() == ["a", "b", "c"]
    assert lake.gold.read_level_signals(start_ns=at(14) + 1).height == 0
    assert lake.gold.get_available_dates() == ["2024-12-16"]
    with pytest.raises(NoDataError):
        lake.gold.read_level_signals("NQ")
    option = {"ts_event_ns": at(14), "ts_recv_ns": at(14), "source": "t", "option_symbol": "ESZ5 P6800"}
    terms = {"exp_date": date(2024, 12, 16), "strike": 6800.0, "right": "P", "price": 1.0, "size": 1, "aggressor": 0}
    small.add("options.trades", [option | terms])
    assert lake.bronze.read_option_trades("ES", "2024-12-16")["exp_date"].to_list() == [date(2024, 12, 16)]


def test_pandas_on_request(lake: Lake, small: SmallLake) -> None:
    pytest.importorskip("pandas", reason="pandas is an extra")
    small.add("futures.trades", [trade(at(14) + 1, seq=None), trade(at(14) + 2, seq=2**53 + 1)])
    frame = lake.bronze.read_futures_trades(as_pandas=True)
    assert frame["ts_event_ns"].tolist() == [at(14) + 1, at(14) + 2]
    assert frame["seq"].tolist()[1] == 2**53 + 1  # a float column would have rounded it


def test_the_tables_that_hold_something_are_listed(lake: Lake, small: SmallLake) -> None:
    assert lake.tables() == []
    [path] = small.add("futures.trades", [trade(at(14))])
    assert lake.tables() == ["futures.trades"]
    assert [file.path for file in lake.files("futures.trades")] == [str(path)]
    assert lake.files("quarantine") == []


def test_a_file_is_in_one_hour_only(lake: Lake, small: SmallLake) -> None:
    times = [at(0) + step * HOUR_NS // 3 for step in range(3 * 24 * 2)]
    paths = small.add("futures.trades", [trade(event_ns) for event_ns in times])
    assert len(paths) == 48
    for start_ns in range(at(0), at(0) + 2 * DAY_NS, 5 * HOUR_NS):
        frame = lake.bronze.read_futures_trades(start_ns=start_ns, end_ns=start_ns + HOUR_NS // 2)
        assert frame["ts_event_ns"].to_list() == [t for t in times if start_ns <= t <= start_ns + HOUR_NS // 2]
