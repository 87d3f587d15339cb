"""A segment decoded in halves is the segment decoded whole."""

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.unit.decode.outcomes import CATALOG, LIMITS

from ticklake.decode import halves
from ticklake.decode.decode import Decoded, decode_groups
from ticklake.schema.messages import MessageGroup, group_messages

ARROW = b"NATS/1.0\r\nContent-Type: application/vnd.apache.arrow.stream\r\n\r\n"
SUBJECTS = (b"market.futures.trades", b"market.crypto.trades", b"market.nobody.knows")


def stream(rows: int, price: float) -> bytes:
    columns = {
        "ts_event_ns": [1_734_359_400_000_000_000 + row for row in range(rows)],
        "ts_recv_ns": [1_734_359_400_000_000_100 + row for row in range(rows)],
        "source": ["sim"] * rows,
        "symbol": ["ESH5"] * rows,
        "price": [price] * rows,
        "size": pa.array([1 + row % 3 for row in range(rows)], pa.int32()),
        "aggressor": pa.array([1] * rows, pa.int8()),
    }
    sink = pa.BufferOutputStream()
    table = pa.table(columns)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def segment() -> list[MessageGroup]:
    """Groups of batches, some of them no good, for tables that both halves, one half or nobody has."""
    groups = []
    for number in range(5):
        messages = [(SUBJECTS[0], ARROW, stream(40 + number, 5000.0 + number)), (SUBJECTS[0], ARROW, b"no stream")]
        if number == 4:
            messages += [(SUBJECTS[1], ARROW, stream(3, -1.0)), (SUBJECTS[2], None, b"x")]
        sequences = [10 * number + place for place in range(len(messages))]
        groups.append(
            group_messages(messages, incarnation=1, ingest_ns=number, sequences=sequences, server_ns=sequences)
        )
    return groups


def facts(decoded: Decoded) -> tuple[object, ...]:
    tables = {
        table.spec.name: sorted(zip(table.numbers.to_pylist(), map(str, table.rows.to_pylist()), strict=True))
        for table in decoded.tables
    }
    return decoded.received, tables, decoded.rejected


@pytest.mark.parametrize("groups", [segment(), segment()[:2], segment()[3:]])
def test_halves_give_what_the_whole_gives(groups: list[MessageGroup], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "_WORTH_BYTES", 1)
    monkeypatch.setattr(halves, "_BATCH_BYTES", 1)
    both = halves.decode_segment(groups, CATALOG, LIMITS)
    whole = decode_groups(groups, CATALOG, LIMITS)
    assert facts(both) == facts(whole)
    assert both.rejected, "the test has rejects in it"
