"""Arrow batches of 2,000 rows, from JetStream into durable Parquet, against a bare pyarrow `write_table`."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from tests.benchmarks.child import call, reply
from tests.benchmarks.figures import Figure, in_turns, rate_figure
from tests.benchmarks.load import arrow_batches, fill
from tests.benchmarks.scale import Scale

from ticklake.lake import parquet
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

_BATCH_ROWS = 2_000
_HEADER = b"NATS/1.0\r\nContent-Type: application/vnd.apache.arrow.stream\r\n\r\n"


def measure(scale: Scale) -> Iterator[Figure]:
    """Through the whole service; the reference writes the rows that ended up in the lake, from memory, unsynced."""
    batches = arrow_batches(scale.arrow_rows, _BATCH_ROWS)
    rows = scale.arrow_rows
    numbers = itertools.count()
    stored = scale.folder / "arrow-rows.arrow"
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        asyncio.run(fill(server.url, batches, header=_HEADER, block=20))

        def ours() -> float:
            folder = scale.folder / f"arrow-{next(numbers)}"
            answer = call("service", server.url, folder, "--messages", len(batches))
            assert answer["rows"] == rows, f"not all rows arrived: {answer}"
            if not stored.exists():
                _keep(folder / "lake/bronze", stored)
            shutil.rmtree(folder)
            return rows / float(answer["durable_s"])

        def reference() -> float:
            return rows / float(call("arrow", stored, scale.folder / "bare.parquet")["seconds"])

        ours()  # also finds the rows for the reference
        pairs = in_turns(scale.rounds, ours, reference)
    yield rate_figure(
        f"Arrow batches of {_BATCH_ROWS:,} rows -> durable Parquet",
        pairs,
        unit="rows/s",
        least=0.5,
        against="bare pyarrow write_table",
        note="ours from connect to the last synced file; the reference from memory, one file, not synced",
    )


def _keep(tables: Path, target: Path) -> None:
    """The stored rows in one Arrow file."""
    table = pa.concat_tables([pq.read_table(path, partitioning=None) for path in sorted(tables.rglob("*.parquet"))])
    with pa.ipc.new_file(str(target), table.schema) as writer:
        writer.write_table(table.combine_chunks())


def main() -> None:
    """The reference: the same rows with the same options."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=Path)
    parser.add_argument("target", type=Path)
    wish = parser.parse_args()
    with pa.ipc.open_file(str(wish.rows)) as reader:
        rows = reader.read_all()
    options = parquet.write_options(rows.schema)
    begin_s = time.perf_counter()
    pq.write_table(rows, wish.target, row_group_size=parquet.ROW_GROUP_ROWS_MAX, **options)
    took_s = time.perf_counter() - begin_s
    assert ds.dataset(wish.target).count_rows() == rows.num_rows
    reply({"seconds": took_s})


if __name__ == "__main__":
    main()
