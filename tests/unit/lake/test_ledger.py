from __future__ import annotations

import json

import pytest

from ticklake.base.errors import CorruptError
from ticklake.lake.layout import ledger_name, part_name, quarantine_folder
from ticklake.lake.ledger import LedgerEntry, LedgerFile, decode_entry, encode_entry, read_ledger
from ticklake.testing.disk import CrashDisk

ENTRY = LedgerEntry(
    writer="00c0ffee-market_data",
    lane="market_data",
    stream="MARKET_DATA",
    segment=42,
    incarnation=1,
    first_seq=1001,
    last_seq=2000,
    received=1000,
    stored=990,
    quarantined=8,
    duplicates=2,
    committed_ns=1_734_359_400_000_000_000,
    missing=((1005, 1006),),
    rows={"futures.trades": 980},
    quarantined_rows={"futures.trades": 9},
    reasons={"wrong_type": 9},
    files=(LedgerFile("bronze/x/part.parquet", "futures.trades", 980, 12345, "0a1b2c3d"),),
)


def test_the_document_is_the_promised_one() -> None:
    assert json.loads(encode_entry(ENTRY)) == {
        "format": "ticklake.ledger/1",
        "writer": "00c0ffee-market_data",
        "lane": "market_data",
        "stream": "MARKET_DATA",
        "segment": 42,
        "incarnation": 1,
        "first_seq": 1001,
        "last_seq": 2000,
        "received": 1000,
        "stored": 990,
        "quarantined": 8,
        "duplicates": 2,
        "missing": [[1005, 1006]],
        "rows": {"futures.trades": 980},
        "quarantined_rows": {"futures.trades": 9},
        "reasons": {"wrong_type": 9},
        "files": [
            {
                "path": "bronze/x/part.parquet",
                "table": "futures.trades",
                "rows": 980,
                "bytes": 12345,
                "crc32c": "0a1b2c3d",
            }
        ],
        "committed_ns": 1_734_359_400_000_000_000,
    }


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", encode_entry(ENTRY)[:-20], encode_entry(ENTRY).replace(b"ger/1", b"ger/2")]
)
def test_what_is_no_entry_is_refused_with_its_path(content: bytes) -> None:
    with pytest.raises(CorruptError, match=r"some/where\.json"):
        decode_entry(content, path="some/where.json")


def test_the_books_are_read_writer_by_writer_in_order() -> None:
    disk = CrashDisk()
    assert read_ledger(disk, "/disk/data") == []
    for writer, segment in (("b", 2), ("a", 10), ("b", 1), ("a", 9)):
        folder = f"/disk/data/catalog/ledger/{writer}"
        disk.make_folder(folder)
        document = encode_entry(ENTRY).replace(b'"segment":42', b'"segment":%d' % segment)
        disk.create(f"{folder}/{ledger_name(segment)}").write([document])
    disk.create("/disk/data/catalog/ledger/a/notes.txt").write([b"by hand"])
    assert [entry.segment for entry in read_ledger(disk, "/disk/data")] == [9, 10, 1, 2]


@pytest.mark.parametrize(
    ("min_ns", "clock"), [(0, "000000"), (1_734_359_412_999_999_999, "143012"), (-1, "235959"), (2**63 - 1, "234716")]
)
def test_a_file_name_begins_with_the_time_of_day_of_its_first_event(min_ns: int, clock: str) -> None:
    name = part_name(writer="00c0ffee-market_data", segment=42, min_ns=min_ns)
    assert name == f"part-{clock}-00c0ffee-market_data-00000042.parquet"


def test_quarantine_lies_by_table_and_day_of_arrival() -> None:
    folder = quarantine_folder("futures.trades", ingest_ns=1_734_359_412_000_000_000)
    assert folder == "quarantine/table=futures.trades/date=2024-12-16"
