"""How fast messages become Parquet: JSON trades and Arrow batches, against the bare writer on the same rows."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ticklake.lake.parquet import encode_parquet
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.messages import MessageGroup
from ticklake.sink.encode import SegmentEncoder
from ticklake.testing.messages import group_messages

pytestmark = pytest.mark.bench

ROWS = 100_000
GROUP_ROWS = 500
BATCH_ROWS = 2_000
T0_NS = 1_734_359_400 * 10**9
ARROW = b"NATS/1.0\r\nContent-Type: application/vnd.apache.arrow.stream\r\n\r\n"
SUBJECT = b"market.futures.trades"


def trades() -> list[dict[str, object]]:
    choose = random.Random(1)
    return [
        {
            "ts_event_ns": T0_NS + number * 1_000_000,
            "ts_recv_ns": T0_NS + number * 1_000_000 + 5_000,
            "source": "direct_feed",
            "symbol": choose.choice(["ESZ4", "ESH5", "NQZ4", "CLF5", "GCG5"]),
            "price": 6_000 + choose.randint(0, 400) / 4,
            "size": choose.randint(1, 50),
            "aggressor": choose.choice([1, -1]),
            "exchange": "XCME",
            "seq": number,
        }
        for number in range(ROWS)
    ]


def json_groups(rows: list[dict[str, object]]) -> list[MessageGroup]:
    quoted = '{{"ts_event_ns":{ts_event_ns},"ts_recv_ns":{ts_recv_ns},"source":"{source}","symbol":"{symbol}",'
    quoted += '"price":{price},"size":{size},"aggressor":{aggressor},"exchange":"{exchange}","seq":{seq}}}'
    messages = [(SUBJECT, None, quoted.format(**row).encode()) for row in rows]
    return [group(messages[at : at + GROUP_ROWS], at) for at in range(0, ROWS, GROUP_ROWS)]


def arrow_groups(rows: list[dict[str, object]]) -> list[MessageGroup]:
    table = pa.Table.from_pylist(rows)
    messages = []
    for at in range(0, ROWS, BATCH_ROWS):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.slice(at, BATCH_ROWS))
        messages.append((SUBJECT, ARROW, sink.getvalue().to_pybytes()))
    return [group(messages[at : at + 5], at) for at in range(0, len(messages), 5)]


def group(messages: list[tuple[bytes, bytes | None, bytes]], at: int) -> MessageGroup:
    sequences = list(range(at + 1, at + 1 + len(messages)))
    return group_messages(messages, ingest_ns=T0_NS + 10**12, sequences=sequences, server_ns=[T0_NS] * len(messages))


def measure(what: str, work: Callable[[], object]) -> float:
    """Best of five, rows per second. CPU beside it, as other work on the machine stretches the clock."""
    best_s = best_cpu_s = float("inf")
    for _ in range(5):
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        work()
        best_s = min(best_s, time.perf_counter() - started_s)
        best_cpu_s = min(best_cpu_s, time.process_time() - started_cpu_s)
    print(f"{what:24} {ROWS / best_s / 1e3:8.0f} k rows/s {best_cpu_s / ROWS * 1e6:6.2f} us CPU per row")
    return ROWS / best_s


@pytest.mark.parametrize("make", [json_groups, arrow_groups], ids=["json", "arrow"])
def test_groups_to_parquet(make: Callable[[list[dict[str, object]]], list[MessageGroup]]) -> None:
    groups = make(trades())
    encoder = SegmentEncoder(TableCatalog())

    def encode() -> object:
        return encoder(groups, writer="0123abcd-market_data", segment=1, stream="MARKET_DATA", incarnation=1)

    result = encoder(groups, writer="0123abcd-market_data", segment=1, stream="MARKET_DATA", incarnation=1)
    assert dict(result.rows) == {"futures.trades": ROWS}
    whole = pa.concat_tables([pq.read_table(pa.BufferReader(file.content)) for file in result.files])
    ours = measure(f"groups to Parquet, {os.cpu_count()} cores", encode)
    bare = measure("bare writer", lambda: encode_parquet(whole, footer={}))
    print(f"{'share of the bare writer':24} {ours / bare:8.2f}")
