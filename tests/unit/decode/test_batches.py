"""Batch messages: arrays, NDJSON and Arrow streams; what headers may say."""

from __future__ import annotations

import json
import struct
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from tests.unit.decode.corpus import GOOD, INGEST_NS, T0_NS, good, render
from tests.unit.decode.outcomes import decode, group_of, outcomes

from ticklake.decode.limits import DecodeLimits

TRADES = "futures.trades"
NDJSON = b"NATS/1.0\r\nContent-Type: application/x-ndjson\r\n\r\n"
ARROW = b"NATS/1.0\r\ncontent-type:application/vnd.apache.arrow.stream\r\n\r\n"


def say(name, value):
    return f"NATS/1.0\r\nNats-Msg-Id: 1\r\n{name}: {value}\r\n\r\n".encode()


def of_one(payload, headers=None, table=TRADES):
    decoded = decode(group_of(table, [payload], headers))
    rows = [row for part in decoded.tables for row in part.rows.to_pylist()]
    return rows, [(str(bad.reason), bad.path, bad.message_row, bad.payload) for bad in decoded.rejected]


def trade(number, **changes):
    row = {"ts_event_ns": T0_NS + number, "ts_recv_ns": T0_NS, "source": "x", "symbol": "ESZ4", "price": 1.5, "size": 2}
    return row | {"aggressor": 1} | changes


def stream(rows, **types):
    columns = {key: pa.array([row.get(key) for row in rows], types.get(key)) for key in rows[0]}
    return ipc(pa.table(columns))


def ipc(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("headers", [None, say("Content-Type", "application/json; charset=utf-8"), say("X", "y")])
def test_an_array_is_a_batch_of_rows(headers):
    bad = render(GOOD[TRADES] | {"size": "0"})
    rows, rejected = of_one(b" [" + b",\n ".join([good(TRADES, 1), bad, good(TRADES, 2), b"[]"]) + b"]", headers)
    assert [(row["message_row"], row["stream_seq"]) for row in rows] == [(0, 1), (2, 1)]
    assert rejected == [("out_of_range", "$.size", 1, bad), ("not_an_object", "$", 3, b"[]")]


def test_long_arrays_take_the_fast_way_and_mean_the_same():
    documents = [good(TRADES, number) for number in range(50)]
    rows, rejected = of_one(b"[" + b",".join(documents) + b"]")
    assert not rejected
    assert [row["message_row"] for row in rows] == list(range(50))
    assert [row["ts_recv_ns"] for row in rows] == [T0_NS + number for number in range(50)]


def test_lines_are_a_batch_and_blank_ones_do_not_count():
    rows, rejected = of_one(good(TRADES, 1) + b"\r\n\n{oops\n  \n" + good(TRADES, 2) + b"\n", NDJSON)
    assert [row["message_row"] for row in rows] == [0, 2]
    assert rejected == [("not_json", "$", 1, b"{oops")]


@pytest.mark.parametrize(
    ("payload", "headers", "reason"),
    [
        (b"[]", None, "empty_batch"),
        (b"[1,", None, "not_json"),
        (b"\n \n", NDJSON, "empty_batch"),
        (b"", NDJSON, "empty_batch"),
        (b"not arrow", ARROW, "bad_arrow"),
        (b"", ARROW, "bad_arrow"),
        (good(TRADES), say("Content-Type", "text/csv"), "unknown_content_type"),
        (good(TRADES), say("Ticklake-Schema", "futures.trades/2"), "unknown_schema"),
        (good(TRADES), say("ticklake-schema", "options.trades/1"), "unknown_schema"),
        (good(TRADES), say("Content-Type", "application/json" + " " * 17_000), "too_large"),
        (good(TRADES), say("X", "y" * 17_000), "too_large"),
        (b'{"a":"' + b"x" * 2**23 + b'"}', None, "too_large"),
        (b'{"a":"' + b"x" * 2**23 + b'"}', NDJSON, "too_large"),
    ],
)
def test_messages_that_cannot_be_taken_apart_go_to_quarantine_whole(payload, headers, reason):
    rows, rejected = of_one(payload, headers)
    assert not rows
    assert [(found[0], found[2], found[3]) for found in rejected] == [(reason, 0, payload)]


def test_a_schema_we_know_is_welcome_and_unreadable_headers_are_no_obstacle():
    for headers in (say("Ticklake-Schema", "futures.trades/1"), b"\xff\xfe\x00", b"content-type", b"", say("", "")):
        rows, rejected = of_one(good(TRADES), headers)
        assert (len(rows), rejected) == (1, [])


def test_arrow_rows_are_stored_whatever_the_width_of_their_types():
    moments = [datetime(2024, 12, 16, 14, 30, microsecond=n, tzinfo=UTC) for n in range(3)]
    rows = [trade(0, ts_event_ns=moment, conditions=[n], seq=n, foo=n or None) for n, moment in enumerate(moments)]
    kinds = {
        "ts_event_ns": pa.timestamp("us", "UTC"),
        "symbol": pa.dictionary(pa.int8(), pa.string()),
        "price": pa.float32(),
        "size": pa.uint8(),
        "source": pa.large_string(),
        "conditions": pa.list_(pa.int64()),
        "seq": pa.int8(),
    }
    stored, rejected = of_one(stream(rows, **kinds), ARROW)
    assert not rejected
    assert [row["ts_event_ns"] for row in stored] == [T0_NS, T0_NS + 1_000, T0_NS + 2_000]
    assert [(row["contract"], row["price"], row["size"], row["conditions"]) for row in stored] == [
        ("ESZ4", 1.5, 2, [n]) for n in range(3)
    ]
    assert [row["extra"] for row in stored] == [None, '{"foo":1}', '{"foo":2}']
    assert [row["message_row"] for row in stored] == [0, 1, 2]


def test_arrow_and_json_rows_mean_the_same():
    rows = [trade(number, price=number + 0.5, aggressor=-1) for number in range(20)]
    from_arrow, _ = of_one(stream(rows), ARROW)
    from_json, _ = of_one(json.dumps(rows).encode())
    assert from_arrow == from_json


def test_bad_arrow_rows_are_rejected_alone_and_can_be_published_again():
    rows = [trade(0), trade(1, size=0), trade(2, price=float("nan")), trade(3, symbol=None), trade(4)]
    stored, rejected = of_one(stream(rows), ARROW)
    assert [row["message_row"] for row in stored] == [0, 4]
    assert [found[:3] for found in rejected] == [
        ("out_of_range", "$.size", 1),
        ("not_finite", "$.price", 2),
        ("missing_field", "$.symbol", 3),
    ]
    again, still = of_one(rejected[0][3], ARROW)
    assert not again
    assert still[0][:3] == ("out_of_range", "$.size", 0)


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"size": 2**40}, pa.int64(), "out_of_range"),
        ({"size": 2.0}, pa.float64(), "wrong_type"),
        ({"size": "2"}, pa.string(), "wrong_type"),
        ({"size": True}, pa.bool_(), "wrong_type"),
        ({"price": 2**60 + 1}, pa.int64(), None),  # rounds to the nearest float64, as JSON numbers do
        ({"price": "x"}, pa.string(), "wrong_type"),
        ({"price": Decimal("1.25")}, pa.decimal128(5, 2), None),
        ({"price": None}, pa.null(), "missing_field"),
        ({"symbol": b"ES"}, pa.binary(), "wrong_type"),
        ({"symbol": 5}, pa.int64(), "wrong_type"),
        ({"ts_recv_ns": date(2024, 12, 16)}, pa.date32(), "wrong_type"),
        ({"ts_event_ns": 2**40}, pa.timestamp("s"), "ts_out_of_range"),
        ({"foo": 2**31 - 1}, pa.date32(), "bad_arrow"),
    ],
)
def test_arrow_columns_of_other_types_are_judged_row_by_row(changes, kind, reason):
    (key,) = changes
    if key == "price" and kind == pa.int64():
        reason = "undefined_price"  # 2**60 is beyond any price, too
    values = pa.array([*changes.values()]).cast(kind) if key != "foo" else pa.array([2**31 - 1], pa.int32()).cast(kind)
    good_row = pa.table({name: [value] for name, value in trade(0).items()})
    at = good_row.schema.get_field_index(key)
    table = good_row.append_column(key, values) if at < 0 else good_row.set_column(at, key, values)
    rows, rejected = of_one(ipc(table), ARROW)
    assert [found[0] for found in rejected] == ([] if reason is None else [reason])
    assert len(rows) == (reason is None)


def test_arrow_books_come_as_levels_or_flat():
    level = {"bid_px": 1.5, "bid_sz": 2, "ask_px": 1.75, "ask_sz": 3}
    base = {"ts_event_ns": T0_NS, "ts_recv_ns": T0_NS, "source": "x", "symbol": "ESZ4"}
    nested, _ = of_one(stream([base | {"levels": [level, level]}]), ARROW, "futures.mbp10")
    flat_row = base | {f"{key}_{number}": value for number in (1, 2) for key, value in level.items()}
    flat, _ = of_one(stream([flat_row]), ARROW, "futures.mbp10")
    assert nested == flat
    assert (flat[0]["ask_px_2"], flat[0]["ask_px_3"]) == (1.75, None)
    odd, rejected = of_one(stream([base | {"levels": [level | {"bid_sz": -1}]}]), ARROW, "futures.mbp10")
    assert (odd, rejected[0][:2]) == ([], ("out_of_range", "$.levels[0].bid_sz"))


def test_arrow_damage_never_gets_through():
    """Flip every byte of a stream: rows or a reason, never an exception, never lost."""
    whole = stream([trade(0), trade(1)])
    for at in range(0, len(whole), 3):
        for flip in (0x01, 0x80):
            rows, rejected = of_one(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :], ARROW)
            assert rows or rejected


def test_a_damaged_stream_among_good_ones_of_its_layout_is_judged_by_itself():
    whole = stream([trade(0), trade(1)])
    crowd = [stream([trade(2, source="yy")]), stream([trade(3), trade(4)])]
    neighbours = [outcomes(decode(group_of(TRADES, [payload], ARROW)))[0] for payload in crowd]
    damaged = 0
    for at in range(0, len(whole), 11):
        payload = whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :]
        alone = outcomes(decode(group_of(TRADES, [payload], ARROW)))[0]
        together = outcomes(decode(group_of(TRADES, [crowd[0], payload, crowd[1]], ARROW)))
        assert together == [neighbours[0], alone, neighbours[1]]
        damaged += "bad_arrow" in {str(found[1]) for found in alone}
    assert damaged > 10


def test_streams_of_the_oldest_format_are_read_each_with_its_own_columns():
    legacy = pa.ipc.IpcWriteOptions(use_legacy_format=True)
    payloads = []
    for row in (trade(0), trade(1, foo=1), trade(2, bar=2), trade(3)):
        sink = pa.BufferOutputStream()
        table = pa.Table.from_pylist([row])
        with pa.ipc.new_stream(sink, table.schema, options=legacy) as writer:
            writer.write_table(table)
        payloads.append(sink.getvalue().to_pybytes())
    decoded = decode(group_of(TRADES, payloads, ARROW))
    rows = sorted(decoded.tables[0].rows.to_pylist(), key=lambda row: row["stream_seq"])
    assert [row["extra"] for row in rows] == [None, '{"foo":1}', '{"bar":2}', None]


def compressed(rows):
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pylist(rows)
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def many_nulls(count):
    return ipc(pa.table({"price": pa.nulls(count)}))


def shared_word(count):
    words = pa.array(["x" * 2**20])
    return ipc(pa.table({"foo": pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int8()), words)}))


def shared_view(count):
    return ipc(pa.table({"foo": pa.array(["x" * 100] * count, pa.string_view())}))


def nested_nulls(count):
    return ipc(pa.table({"foo": pa.array([[None] * count], pa.list_(pa.null()))}))


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (compressed([trade(0)]), "bad_arrow"),
        (many_nulls(200_001), "too_large"),
        (many_nulls(123_457).replace(struct.pack("<q", 123_457), struct.pack("<q", 10**12)), "too_large"),
        (shared_word(65), "too_large"),
        (shared_view(3), "bad_arrow"),
        (nested_nulls(3), "bad_arrow"),
    ],
    ids=["compressed", "nulls", "claimed nulls", "shared word", "shared view", "nested nulls"],
)
def test_small_messages_that_unfold_into_huge_ones_are_refused_whole(payload, reason):
    rows, rejected = of_one(payload, ARROW)
    assert not rows
    assert [(found[0], found[3]) for found in rejected] == [(reason, payload)]


@pytest.mark.parametrize("limit", [4, 5])
def test_rows_of_a_batch_are_limited(limit):
    rows = [trade(number) for number in range(5)]
    batches = [(json.dumps(rows).encode(), None), (b"\n".join(json.dumps(row).encode() for row in rows), NDJSON)]
    for payload, headers in [*batches, (stream(rows), ARROW)]:
        decoded = decode(group_of(TRADES, [payload], headers), limits=DecodeLimits(batch_rows_max=limit))
        assert [str(bad.reason) for bad in decoded.rejected] == ([] if limit == 5 else ["too_large"])


def test_messages_of_one_segment_are_judged_each_by_itself():
    parts = [
        group_of(TRADES, [stream([trade(0), trade(1)]), b"x", stream([trade(2)]), stream([trade(3, foo=1)])], ARROW),
        group_of(TRADES, [good(TRADES)] * 20),
        group_of(TRADES, [good(TRADES), b"", good(TRADES) + b"\n" + good(TRADES)], NDJSON),
    ]
    together = outcomes(decode(*parts))
    assert together == [message for part in parts for message in outcomes(decode(part))]
    assert [len(message) for message in together] == [2, 1, 1, 1, *[1] * 20, 1, 1, 2]
    assert {row[0] for message in together for row in message} == {TRADES}
    assert INGEST_NS > T0_NS
