"""Arrow batches of 2,000 rows into durable Parquet, against a bare pyarrow `write_table`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from tests.benchmarks.child import call, reply
from tests.benchmarks.figures import Figure, in_turns, rate_figure
from tests.benchmarks.lane import open_lane
from tests.benchmarks.load import TRADES_SUBJECT, arrow_batches, fill
from tests.benchmarks.scale import Scale

from ticklake.base.clock import SystemClock
from ticklake.base.logs import set_up_logs
from ticklake.base.metrics import Metrics
from ticklake.cli.loop import new_event_loop
from ticklake.lake import parquet
from ticklake.schema.messages import MessageGroup, Skipped
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.writer import LaneWriter
from ticklake.testing.messages import group_messages
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

_BATCH_ROWS = 2_000
_GROUP_BATCHES = 10
_STRETCH_ROWS = 1_500_000
_TIMEOUT_S = 120.0
_HEADER = b"NATS/1.0\r\nContent-Type: application/vnd.apache.arrow.stream\r\n\r\n"


def measure(scale: Scale) -> Iterator[Figure]:
    """The sink alone, then the whole way from JetStream. The reference has the rows as they ended up in the lake."""
    batches = arrow_batches(scale.arrow_rows, _BATCH_ROWS)
    rows = scale.arrow_rows
    numbers = itertools.count()
    source, stored = scale.folder / "batches", scale.folder / "rows.arrow"
    source.write_bytes(msgspec.msgpack.encode(batches))

    def reference() -> float:
        return rows / float(call("arrow", "bare", stored, scale.folder / "bare.parquet")["seconds"])

    def sink() -> float:
        folder = scale.folder / f"sink-{next(numbers)}"
        answer = call("arrow", "sink", source, folder)
        assert answer["rows"] == rows, f"not all rows arrived: {answer}"
        if not stored.exists():
            _keep(folder / "bronze", stored)
        shutil.rmtree(folder)
        return rows / float(answer["seconds"])

    sink()  # also finds the rows for the reference
    yield rate_figure(
        f"Arrow batches of {_BATCH_ROWS:,} rows -> durable Parquet",
        in_turns(scale.rounds, sink, reference),
        unit="rows/s",
        least=0.5,
        against="bare pyarrow write_table",
        note="ours logs, decodes, encodes, syncs and publishes; the reference: from memory, one file, not synced",
    )
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        asyncio.run(fill(server.url, batches, header=_HEADER, block=20))
        whole = scale.folder / "whole"
        rates = [_through_jetstream(server.url, whole, rows, len(batches)) for _ in range(scale.rounds)]
    rate = median(rates)
    yield Figure(
        what="the same from JetStream on (stretch)",
        ours=f"{rate:,.0f} rows/s",
        reference="",
        ratio=f"{rate / 1e6:.2f} M rows/s",
        target=f">= {_STRETCH_ROWS / 1e6:g} M rows/s",
        met=rate >= _STRETCH_ROWS,
        note="from connect to the last synced file",
        rounds=tuple(rates),
    )


def _through_jetstream(url: str, folder: Path, rows: int, messages: int) -> float:
    answer = call("service", url, folder, "--messages", messages)
    assert answer["rows"] == rows, f"not all rows arrived: {answer}"
    shutil.rmtree(folder)
    return rows / float(answer["durable_s"])


def _keep(tables: Path, target: Path) -> None:
    """The stored rows in one Arrow file."""
    table = pa.concat_tables([pq.read_table(path, partitioning=None) for path in sorted(tables.rglob("*.parquet"))])
    with pa.ipc.new_file(str(target), table.schema) as writer:
        writer.write_table(table.combine_chunks())


@dataclass(frozen=True, slots=True)
class _Batch:
    """What a feed hands to its writer."""

    group: MessageGroup | None
    duplicates: int = 0
    missing: tuple[tuple[int, int], ...] = ()
    skipped: Skipped | None = None


async def _sink(payloads: list[bytes], folder: Path) -> dict[str, float]:
    """Everything behind the connection, as the service runs it: the writer with its threads."""
    clock = SystemClock()
    lane = open_lane(folder)
    lane.new_incarnation(created_ns=1, reason="first")
    policy = FlushPolicy(lambda _: FlushRule(1000, 5.0), interval_min_s=1.0, bytes_max=32 * 2**20)
    writer = LaneWriter(lane, policy, clock=clock, metrics=Metrics(version="bench"))
    room = asyncio.Event()
    writer.on_room(room.set)
    gc.freeze()  # as `ticklake serve` when it is ready
    begin_s = time.perf_counter()
    async with asyncio.timeout(_TIMEOUT_S), asyncio.TaskGroup() as group:
        running = group.create_task(writer.run())
        for start in range(0, len(payloads), _GROUP_BATCHES):
            while not writer.has_room:
                room.clear()
                await room.wait()
            batch = _Batch(_group(payloads[start : start + _GROUP_BATCHES], start, clock.wall_ns()))
            await writer.log(batch)
        writer.close_intake()
        await running
    return {"seconds": time.perf_counter() - begin_s, "rows": sum(writer.counts.rows.values())}


def _group(payloads: list[bytes], start: int, now_ns: int) -> MessageGroup:
    return group_messages(
        [(TRADES_SUBJECT.encode(), _HEADER, payload) for payload in payloads],
        incarnation=1,
        ingest_ns=now_ns,
        sequences=list(range(start + 1, start + 1 + len(payloads))),
        server_ns=[now_ns] * len(payloads),
    )


def _bare(rows_file: Path, target: Path) -> dict[str, float]:
    """The reference: the same rows with the same options."""
    with pa.ipc.open_file(str(rows_file)) as reader:
        rows = reader.read_all()
    options = parquet.write_options(rows.schema)
    begin_s = time.perf_counter()
    pq.write_table(rows, target, row_group_size=parquet.ROW_GROUP_ROWS_MAX, **options)
    took_s = time.perf_counter() - begin_s
    assert pq.read_metadata(target).num_rows == rows.num_rows
    return {"seconds": took_s}


def main() -> None:
    """One side, in a fresh process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=["sink", "bare"])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    wish = parser.parse_args()
    if wish.how == "bare":
        reply(_bare(wish.source, wish.target))
        return
    set_up_logs("warning")
    payloads = msgspec.msgpack.decode(wish.source.read_bytes(), type=list[bytes])
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        reply(runner.run(_sink(payloads, wish.target)))


if __name__ == "__main__":
    main()
