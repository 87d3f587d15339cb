"""What a Delta log says about files: partition values, addresses, statistics, and the next change."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from tests.integration.small_lake import TABLES
from tests.unit.readers.test_sequences import ENTRY

from ticklake.base.errors import CorruptError
from ticklake.lake.ledger import LedgerEntry, LedgerFile
from ticklake.readers.delta_files import TableFile, files_of_table, plan_change, statistics, statistics_columns
from ticklake.readers.quarantine import relation_of_quarantine
from ticklake.readers.relation import relation_of
from ticklake.schema.partition import partition_folder

TRADES = relation_of(TABLES.get("futures.trades"))
NAME = "part-090000-0123abcd-market_data-00000001.parquet"


def entry(*paths: str, table: str = "futures.trades") -> LedgerEntry:
    files = tuple(LedgerFile(path, table, 3, 100, "00000000") for path in paths)
    return replace(ENTRY, files=files, committed_ns=1_734_307_200_123_456_789)


def path_of(symbol: str | None, hour: str = "09") -> str:
    return f"{TRADES.folder}/{partition_folder({'symbol': symbol, 'date': '2024-12-16', 'hour': hour})}/{NAME}"


def one(path: str) -> TableFile:
    [found] = files_of_table(TRADES, [entry(path)])
    return found


@pytest.mark.parametrize(
    ("symbol", "written"),
    [
        *((symbol, symbol) for symbol in ("ES", "BTC/USD", "..", "a=b", "*", "001", "1E5", "h%2F", "ß\x00#?")),
        (None, None),
        ("", "__empty__"),  # Delta reads an empty text as null
    ],
)
def test_a_partition_value_is_the_text_it_was(symbol: str | None, written: str | None) -> None:
    assert one(path_of(symbol)).values == {"symbol": written, "date": "2024-12-16", "hour": "9"}


def test_a_file_keeps_the_facts_of_the_ledger() -> None:
    found = one(path_of("BTC/USD"))
    assert found.below == f"symbol=BTC%2FUSD/date=2024-12-16/hour=09/{NAME}"
    assert (found.rows, found.bytes, found.committed_ms) == (3, 100, 1_734_307_200_123)


def test_rejected_rows_belong_to_quarantine_only() -> None:
    rejected = f"quarantine/table=futures.trades/date=2024-12-16/{NAME}"
    books = [entry(path_of("ES"), rejected)]
    assert [file.path for file in files_of_table(TRADES, books)] == [path_of("ES")]
    [found] = files_of_table(relation_of_quarantine(), books)
    assert found.values == {"table": "futures.trades", "date": "2024-12-16"}


def test_a_file_of_another_table_in_our_folder_is_not_ours() -> None:
    assert list(files_of_table(TRADES, [entry(f"{TRADES.folder}/more/x=1/{NAME}", table="futures.trades.more")])) == []


def test_a_path_outside_the_partitions_is_refused() -> None:
    with pytest.raises(CorruptError, match="partitioned by symbol, date, hour"):
        one(f"{TRADES.folder}/date=2024-12-16/{NAME}")


def test_a_change_adds_what_is_new_and_removes_what_retention_took() -> None:
    booked = {str(number): one(path_of(f"S{number}")) for number in range(5)}
    gone = {booked["0"].path, booked["1"].path}
    change = plan_change(booked, gone, {"1", "2", "foreign"})
    assert (set(change.add), set(change.remove), change.strange) == ({"3", "4"}, {"1"}, ("foreign",))
    assert not change.is_empty
    assert plan_change(booked, gone, {"2", "3", "4"}).is_empty  # what was taken never comes back


def test_statistics_keep_every_nanosecond() -> None:
    low, high = 1_734_307_200_000_000_001, 1_734_307_200_000_000_003
    document = json.loads(statistics(7, {"ts_event_ns": (low, high)}))
    assert document == {"numRecords": 7, "minValues": {"ts_event_ns": low}, "maxValues": {"ts_event_ns": high}}
    assert json.loads(statistics(7, {})) == {"numRecords": 7}


def test_every_table_has_ranges_of_its_event_time() -> None:
    for relation in [*(relation_of(spec) for spec in TABLES), relation_of_quarantine()]:
        assert set(relation.event_time) < set(statistics_columns(relation))
