"""T03: every crash image of a workload through the shipped lane, log and publish code.

At each operation the power goes, and every disk that may be left (up to 132 here) must recover; of the disks that a
second power cut leaves, in the middle of a recovery, some are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.crash.mill import Consumer, ExplicitConsumer, Message, Mill

from ticklake.schema.lookup import TableCatalog
from ticklake.schema.messages import MessageGroup
from ticklake.sink.encode import SegmentEncoder
from ticklake.sink.lane import Lane
from ticklake.testing.clock import MONDAY_MORNING_NS, NS_PER_S
from ticklake.testing.messages import group_messages

EACH = 200  # more images than any power cut of the workload may leave: none is left out


def test_every_message_is_in_the_lake_once_after_any_crash() -> None:
    mill = Mill()
    assert mill.explore(cap=EACH, again=0.03, kills=4) is None
    assert mill.images_of_a_cut_max < EACH, "of some power cut only a part of its images was tried"
    assert min(mill.images[kind] for kind in ("power", "power in recovery", "kill -9", "failed sync")) > 500


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(8))
def test_every_message_is_in_the_lake_once_after_any_crash_at_length(seed: int) -> None:
    mill = Mill()
    mill.rng.seed(seed)
    assert mill.explore(messages=14, cap=400, again=0.1, kills=20) is None
    assert mill.images.total() > 50_000


def test_every_message_of_a_work_queue_is_in_the_lake_once_after_any_crash() -> None:
    mill = Mill(consumer=ExplicitConsumer, track_seen=True)
    assert mill.explore(cap=12, again=0.04, kills=2, every=4) is None
    assert min(mill.images[kind] for kind in ("power", "power in recovery", "kill -9", "failed sync")) > 50


@pytest.mark.nightly
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(4))
def test_every_message_of_a_work_queue_is_in_the_lake_once_after_any_crash_at_length(seed: int) -> None:
    mill = Mill(consumer=ExplicitConsumer, track_seen=True)
    mill.rng.seed(seed)
    assert mill.explore(messages=14, cap=300, again=0.1, kills=12) is None
    assert mill.images.total() > 20_000


# -- the shipped encoder -----------------------------------------------------------------------------------------------


class SendsTrades(Consumer):
    """Trades as they come over the wire; every fifth one is broken and belongs into quarantine."""

    def group(self, lane: Lane, taken: Sequence[Message]) -> MessageGroup:
        return group_messages(
            [(b"market.futures.trades", None, _trade(message.id)) for message in taken],
            incarnation=lane.incarnation.number,
            ingest_ns=MONDAY_MORNING_NS + NS_PER_S,
            sequences=[message.sequence for message in taken],
            server_ns=[message.server_ns for message in taken],
        )


def _trade(number: int) -> bytes:
    if number % 5 == 0:
        return b'{"broken":%d' % number
    return (
        b'{"ts_event_ns":%d,"ts_recv_ns":%d,"source":"model","symbol":"%s","price":1.5,"size":1,"aggressor":1,"seq":%d}'
        % (MONDAY_MORNING_NS + number, MONDAY_MORNING_NS + number, (b"ESZ5", b"NQZ5")[number % 2], number)
    )


def _trades_in(path: str, content: bytes) -> list[int]:
    table = pq.read_table(pa.BufferReader(content))
    if "/quarantine/" in path:
        return [int(payload.rpartition(b":")[2]) for payload in table["payload"].to_pylist()]
    return [int(number) for number in table["seq"].to_pylist()]


def _shipped_encoder() -> SegmentEncoder:
    return SegmentEncoder(TableCatalog())


def test_every_trade_is_in_the_lake_or_in_quarantine_once_after_any_crash() -> None:
    mill = Mill(consumer=SendsTrades, stream="MARKET_DATA", encoder=_shipped_encoder, ids_of=_trades_in)
    assert mill.explore(cap=1, again=0.02, kills=1, every=3) is None
    assert mill.images.total() > 200
