"""Every message of a segment lands in exactly one place, whatever the mixture."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.decode.corpus import GOOD, INGEST_NS, T0_NS, good
from tests.unit.decode.outcomes import CATALOG, LIMITS, decode, outcomes

from ticklake.decode.decode import UNKNOWN_TABLE
from ticklake.decode.routes import route
from ticklake.decode.segment import Segment
from ticklake.testing.messages import group_messages

NDJSON = b"NATS/1.0\r\nContent-Type: application/x-ndjson\r\n\r\n"
PLAIN = b"NATS/1.0\r\nNats-Msg-Id: content\r\n\r\n"
SUBJECTS = [f"market.{table}".encode() for table in GOOD if table != "levels.signals"] + [
    *(b"levels.signals", b"levels.other", b"market.flow", b"market.\xff\xfe", b"other", b"market.futures.trades.ESZ4"),
    *(b"market.futures.trades.ES.Z4", b"market.100%"),
]
PAYLOADS = [good(table) for table in GOOD] + [b"", b"{}", b"junk", b"[]", b"\xff\n{"]


def test_raw_keeps_subject_headers_and_payload_as_they_are():
    messages = [
        (b"market.flow", None, b"\x00\n\xff"),
        (b"market.\xff%", NDJSON, b"[]"),
        (b"market.flow", PLAIN, b""),
    ]
    group = group_messages(messages, ingest_ns=INGEST_NS, sequences=[5, 6, 7], server_ns=[T0_NS, T0_NS + 1, T0_NS + 2])
    (table,) = decode(group).tables
    assert table.spec.name == "raw"
    rows = table.rows.to_pylist()
    assert [(row["subject"], row["headers"], row["payload"]) for row in rows] == [
        ("market.flow", None, b"\x00\n\xff"),
        ("market.%FF%25", NDJSON, b"[]"),
        ("market.flow", PLAIN, b""),
    ]
    assert [(row["stream_seq"], row["server_ns"]) for row in rows] == [(5, T0_NS), (6, T0_NS + 1), (7, T0_NS + 2)]


def test_core_messages_have_no_sequence_and_take_our_clock():
    group = group_messages([(b"market.flow", None, b"x")], ingest_ns=INGEST_NS)
    (row,) = decode(group).tables[0].rows.to_pylist()
    assert (row["stream_seq"], row["server_ns"]) == (None, INGEST_NS)


def test_subjects_without_a_table_are_quarantined():
    group = group_messages([(b"levels.other", NDJSON, b"x"), (b"\xff", None, b"y")], ingest_ns=INGEST_NS)
    found = [(bad.table, str(bad.reason), bad.subject, bad.headers, bad.payload) for bad in decode(group).rejected]
    assert found == [
        (UNKNOWN_TABLE, "unknown_subject", b"levels.other", NDJSON, b"x"),
        (UNKNOWN_TABLE, "unknown_subject", b"\xff", None, b"y"),
    ]


def test_small_groups_go_together_and_large_ones_alone():
    def lots(*groups):
        found = route(Segment(groups), CATALOG, LIMITS).plain["futures.trades"]
        return [lot.numbers.to_pylist() for lot in found]

    def group(*payloads):
        return group_messages([(b"market.futures.trades", None, payload) for payload in payloads], ingest_ns=INGEST_NS)

    assert lots(group(b"{}", b"{}"), group(), group(b"{}"), group(b"{}")) == [[0, 1, 2, 3]]
    large = b"x" * (3 * 2**20)
    assert lots(group(b"{}"), group(large), group(large), group(b"{}")) == [[0, 1], [2, 3]]


@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(0, 60), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_no_message_is_lost_or_doubled_in_any_mixture(seed, sizes):
    choose = random.Random(seed)
    messages = [
        [
            (choose.choice(SUBJECTS), choose.choice([None, None, PLAIN, NDJSON]), choose.choice(PAYLOADS))
            for _ in range(n)
        ]
        for n in sizes
    ]
    together = outcomes(decode(*(group_messages(part, ingest_ns=INGEST_NS) for part in messages)))
    alone = [outcomes(decode(group_messages([one], ingest_ns=INGEST_NS)))[0] for part in messages for one in part]
    assert together == alone
    assert all(together)
