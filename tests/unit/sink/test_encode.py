"""Segments become files: named, filed, sorted, signed, balanced, and the same every time."""

from __future__ import annotations

import re
from collections import Counter

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decode.corpus import GOOD, INGEST_NS, T0_NS, good, render, whole_mutations

from ticklake import __version__
from ticklake.decode.limits import DecodeLimits
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.partition import parse_folder
from ticklake.schema.user_tables import parse_user_tables
from ticklake.sink.encode import SegmentEncoder
from ticklake.testing.messages import group_messages

CATALOG = TableCatalog()
HOUR_NS = 3_600 * 10**9
WRITER = "0123abcd-market_data"
NDJSON = b"NATS/1.0\r\nContent-Type: application/x-ndjson\r\n\r\n"


def trade(event_ns, symbol="ESZ4", **changes):
    return render(GOOD["futures.trades"] | {"ts_event_ns": str(event_ns), "symbol": f'"{symbol}"'} | changes)


def group(messages, *, first_seq=1, table="futures.trades"):
    subject = CATALOG.get(table).subject.encode()
    messages = [message if isinstance(message, tuple) else (subject, None, message) for message in messages]
    count = len(messages)
    sequences = list(range(first_seq, first_seq + count)) if first_seq else None
    return group_messages(messages, incarnation=3, ingest_ns=INGEST_NS, sequences=sequences, server_ns=[T0_NS] * count)


def encode(*groups, limits=None):
    encoder = SegmentEncoder(CATALOG, limits)
    return encoder(groups, writer=WRITER, segment=42, stream="MARKET_DATA", incarnation=3)


def read(file):
    return pq.ParquetFile(pa.BufferReader(file.content), page_checksum_verification=True)


def rows_of(result):
    return [row for file in result.files for row in read(file).read().to_pylist()]


def test_rows_are_filed_by_root_date_and_hour():
    result = encode(
        group(
            [
                trade(T0_NS + HOUR_NS),
                trade(T0_NS, "ESH5"),
                trade(T0_NS + 1),
                trade(T0_NS, "BTC/USD"),
                trade(T0_NS, ".."),
            ]
        )
    )
    folder = "bronze/futures/trades/symbol={}/date=2024-12-16/hour={}"
    assert [(file.folder, file.name, file.rows) for file in result.files] == [
        (folder.format("%2E.", 14), f"part-143000-{WRITER}-00000042.parquet", 1),
        (folder.format("BTC%2FUSD", 14), f"part-143000-{WRITER}-00000042.parquet", 1),
        (folder.format("ES", 14), f"part-143000-{WRITER}-00000042.parquet", 2),
        (folder.format("ES", 15), f"part-153000-{WRITER}-00000042.parquet", 1),
    ]
    assert [(file.min_ns - T0_NS, file.max_ns - T0_NS) for file in result.files][2:] == [(0, 1), (HOUR_NS, HOUR_NS)]
    assert (result.received, result.stored, result.quarantined) == (5, 5, 0)
    assert result.rows == {"futures.trades": 5}


def test_footers_say_what_the_file_is():
    result = encode(group([trade(T0_NS), trade(T0_NS, "NQZ4"), trade(T0_NS + 1)], first_seq=7))
    stored = read(result.files[0]).schema_arrow.metadata
    assert {key.decode(): value.decode() for key, value in stored.items() if key.startswith(b"ticklake.")} == {
        "ticklake.schema": "futures.trades/1",
        "ticklake.writer": WRITER,
        "ticklake.segment": "42",
        "ticklake.stream": "MARKET_DATA",
        "ticklake.incarnation": "3",
        "ticklake.first_seq": "7",
        "ticklake.last_seq": "9",
        "ticklake.rows": "2",
        "ticklake.code_version": __version__,
        "ticklake.time_unit": "ns",
    }


def test_core_messages_have_empty_sequences_in_the_footer():
    (file,) = encode(group([trade(T0_NS)], first_seq=None)).files
    stored = read(file).schema_arrow.metadata
    assert (stored[b"ticklake.first_seq"], stored[b"ticklake.last_seq"]) == (b"", b"")


@pytest.mark.parametrize("table", sorted(GOOD))
def test_files_have_the_declared_columns_and_encodings(table):
    (file,) = encode(group([good(table, number) for number in range(30)], table=table)).files
    parquet = read(file)
    spec = CATALOG.get(table)
    assert parquet.schema_arrow.remove_metadata().equals(spec.arrow_schema)
    assert pl.read_parquet(file.content).schema == {name: spec.polars_schema[name] for name in spec.arrow_schema.names}
    group_meta = parquet.metadata.row_group(0)
    assert {group_meta.column(index).compression for index in range(group_meta.num_columns)} == {"ZSTD"}
    assert group_meta.sorting_columns[0].column_index == spec.arrow_schema.get_field_index(
        "ts_recv_ns" if table == "crypto.quotes" else spec.event_time
    )


def test_a_flipped_byte_in_the_pages_of_any_column_is_found():
    (file,) = encode(group([trade(T0_NS + number, foo=str(number)) for number in range(100)])).files
    columns = read(file).metadata.row_group(0)
    for index in range(columns.num_columns):
        column = columns.column(index)
        broken = bytearray(file.content)
        broken[column.data_page_offset + column.total_compressed_size - _dictionary_bytes(column) - 1] ^= 1
        with pytest.raises(OSError, match="CRC"):
            pq.ParquetFile(pa.BufferReader(bytes(broken)), page_checksum_verification=True).read()


def _dictionary_bytes(column):
    return column.data_page_offset - column.dictionary_page_offset if column.has_dictionary_page else 0


@given(order=st.permutations(range(24)), cut=st.integers(1, 23))
@settings(max_examples=40, deadline=None)
def test_rows_are_sorted_by_event_time_sequence_and_row(order, cut):
    messages = [trade(T0_NS + number // 3) for number in order]
    batch = b"\n".join(trade(T0_NS + number % 3) for number in order)
    groups = [group(messages[:cut]), group(messages[cut:], first_seq=cut + 1)]
    groups.append(group([(b"market.futures.trades", NDJSON, batch)], first_seq=50))
    keys = [(row["ts_event_ns"], row["stream_seq"], row["message_row"]) for row in rows_of(encode(*groups))]
    assert len(keys) == 48
    assert keys == sorted(keys)


def test_quotes_without_event_time_are_filed_and_sorted_by_receive_time():
    messages = [
        render(GOOD["crypto.quotes"] | {"ts_event_ns": event, "ts_recv_ns": str(T0_NS + recv)})
        for event, recv in (("null", 3), (str(T0_NS + 2), 9), ("null", 1))
    ]
    (file,) = encode(group(messages, table="crypto.quotes")).files
    assert [row["ts_recv_ns"] - T0_NS for row in rows_of(encode(group(messages, table="crypto.quotes")))] == [1, 9, 3]
    assert (file.min_ns - T0_NS, file.max_ns - T0_NS) == (1, 3)
    assert read(file).metadata.row_group(0).sorting_columns == ()


def test_the_same_groups_give_the_same_bytes():
    messages = [trade(T0_NS + number % 7, symbol) for number in range(3_000) for symbol in ("ESZ4", "NQZ4", "CLF5")]
    messages += [b"junk", trade(0)]
    first, again = (encode(group(messages[:4_000]), group(messages[4_000:], first_seq=4_001)) for _ in range(2))
    assert first == again
    assert len(first.files) == 4  # three symbols and the quarantine


def test_rejected_rows_are_committed_with_the_good_ones():
    messages = [trade(T0_NS), (b"market.futures.trades.ESZ4", b"NATS/1.0\r\nA: b\r\n\r\n", b"junk"), trade(T0_NS)]
    messages.append((b"levels.\xff", None, b"\xff\x00"))
    result = encode(group(messages))
    assert (result.received, result.stored, result.quarantined) == (4, 2, 2)
    assert (result.rows, result.quarantined_rows) == ({"futures.trades": 2}, {"futures.trades": 1, "unknown": 1})
    assert result.reasons == {"not_json": 1, "unknown_subject": 1}
    quarantined = result.files[1:]
    assert [(file.table, file.folder) for file in quarantined] == [
        ("futures.trades", "quarantine/table=futures.trades/date=2024-12-16"),
        ("unknown", "quarantine/table=unknown/date=2024-12-16"),
    ]
    (row,) = read(quarantined[0]).read().to_pylist()
    detail = row.pop("detail")
    assert "malformed" in detail
    assert row == {
        "reason": "not_json",
        "path": "$",
        "subject": "market.futures.trades.ESZ4",
        "headers": b"NATS/1.0\r\nA: b\r\n\r\n",
        "payload": b"junk",
        "stream": "MARKET_DATA",
        "stream_seq": 2,
        "message_row": 0,
        "server_ns": T0_NS,
        "ingest_ns": INGEST_NS,
    }
    (row,) = read(quarantined[1]).read().to_pylist()
    assert (row["subject"], row["payload"]) == ("levels.%FF", b"\xff\x00")


def test_a_batch_with_one_good_row_counts_as_stored():
    batch = b"\n".join([trade(T0_NS), b"junk", b"junk"])
    result = encode(group([(b"market.futures.trades", NDJSON, batch), b"junk"]))
    assert (result.received, result.stored, result.quarantined) == (2, 1, 1)
    assert (result.rows, result.quarantined_rows) == ({"futures.trades": 1}, {"futures.trades": 3})
    assert result.reasons == {"not_json": 3}


def test_too_many_partitions_go_to_quarantine_and_the_full_ones_stay():
    bad = [trade(T0_NS, f"BAD{number}") for number in range(30)]
    batch = b"\n".join([trade(T0_NS, "BADA"), trade(T0_NS, "NQZ4"), trade(T0_NS, "BADB")])
    messages = [*bad, *[trade(T0_NS, "ESZ4"), trade(T0_NS, "NQZ4")] * 3, (b"market.futures.trades", NDJSON, batch)]
    result = encode(group(messages), limits=DecodeLimits(partitions_max=2))
    assert [parse_folder(file.folder.split("trades/")[1])["symbol"] for file in result.files[:2]] == ["ES", "NQ"]
    assert (result.stored, result.quarantined, result.received) == (7, 30, 37)
    assert result.reasons == {"too_many_partitions": 32}
    payloads = [row["payload"] for row in read(result.files[2]).read().to_pylist()]
    assert payloads == [*bad, trade(T0_NS, "BADA"), trade(T0_NS, "BADB")]


def test_an_empty_segment_has_no_files():
    result = encode()
    assert (result.files, result.received, result.stored, result.quarantined) == ((), 0, 0, 0)


SUBJECTS = [
    "market.futures.trades",
    "market.crypto.quotes",
    "market.flow",
    "levels.signals",
    "market.options.nbbo.X",
    "x",
]
PAYLOADS = [*(good(table) for table in GOOD), *whole_mutations("futures.trades"), b"[1,2]", b"\x00"]


@given(
    picks=st.lists(
        st.tuples(st.sampled_from(SUBJECTS), st.sampled_from([None, NDJSON]), st.sampled_from(PAYLOADS)), max_size=60
    )
)
@settings(max_examples=60, deadline=None)
def test_the_books_balance_whatever_comes(picks):
    result = encode(group([(subject.encode(), headers, payload) for subject, headers, payload in picks]))
    assert result.received == len(picks) == result.stored + result.quarantined
    files = Counter()
    sequences = set()
    for file in result.files:
        rows = read(file).read()
        assert rows.num_rows == file.rows
        assert re.fullmatch(r"part-\d{6}-0123abcd-market_data-00000042\.parquet", file.name)
        files[file.folder.startswith("quarantine/"), file.table] += file.rows
        sequences |= set(rows.column("stream_seq").to_pylist())
    assert {table: rows for (bad, table), rows in files.items() if not bad} == dict(result.rows)
    assert {table: rows for (bad, table), rows in files.items() if bad} == dict(result.quarantined_rows)
    assert sum(result.reasons.values()) == sum(result.quarantined_rows.values())
    assert sequences == set(range(1, len(picks) + 1))
    assert len({(file.folder, file.name) for file in result.files}) == len(result.files)


def test_a_symbol_too_long_for_a_folder_is_kept_in_the_rows():
    (file,) = encode(group([trade(T0_NS, "x" * 300)])).files
    assert re.fullmatch(r"bronze/futures/trades/symbol=h~[0-9a-f]{32}/date=2024-12-16/hour=14", file.folder)
    assert read(file).read().column("contract").to_pylist() == ["x" * 300]


@pytest.mark.parametrize("copies", [1, 20], ids=["row by row", "natively"])
def test_tables_of_the_user_are_written_like_our_own(copies):
    columns = {
        "at": {"type": "int64", "unit": "ns", "null": True},
        "seen": {"type": "int64", "unit": "ns"},
        "desk": {"type": "int16", "null": True},
        "expiry": "date32",
        "firm": {"type": "bool", "wire": "is_firm"},
        "bid": {"type": "price", "null": True, "min": 0, "max": 10},
        "side": {"type": "string", "allowed": ["B", "S"], "default": "B"},
    }
    table = {"subject": "fx.quotes", "stream": "FX", "columns": columns, "event_time": "at"}
    table |= {"event_time_fallback": "seen", "partition": ["desk", "expiry", "is_firm", "date"]}
    catalog = TableCatalog([*CATALOG, *parse_user_tables({"fx.quotes": table})])
    message = b'{"seen":%d,"desk":%s,"expiry":"2025-03-21","is_firm":true,"bid":%s,"x":1}'
    plain = message.replace(b',"x":1', b"")
    messages = [
        plain % (T0_NS, b"7", b"1.5"),
        plain % (T0_NS, b"null", b'"2.5"'),
        message % (T0_NS, b"7", b"11"),
    ] * copies
    groups = [group_messages([(b"fx.quotes.EUR", None, payload) for payload in messages], ingest_ns=INGEST_NS)]
    result = SegmentEncoder(catalog)(groups, writer="0-fx", segment=1, stream="FX", incarnation=0)
    assert [(file.folder, file.rows) for file in result.files] == [
        ("bronze/fx/quotes/desk=7/expiry=2025-03-21/is_firm=true/date=2024-12-16", copies),
        ("bronze/fx/quotes/desk=__HIVE_DEFAULT_PARTITION__/expiry=2025-03-21/is_firm=true/date=2024-12-16", copies),
        ("quarantine/table=fx.quotes/date=2024-12-16", copies),
    ]
    assert result.reasons == {"out_of_range": copies}
    first = read(result.files[0]).read().to_pylist()[0]
    assert {key: first[key] for key in ("at", "seen", "firm", "bid", "side")} == {
        "at": None,
        "seen": T0_NS,
        "firm": True,
        "bid": 1.5,
        "side": "B",
    }
