"""All real market data through a real server into a bucket; then Polars, with its own S3 reader, finds the source."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from tests.crash.harness_faults import hold_ballast
from tests.e2e.engines import digest
from tests.e2e.harness import run_ticklake
from tests.e2e.real_data import TABLES, TIDY_ROWS, sort_rows, source_rows, tidy_files
from tests.e2e.test_real_data import BOOK_FORMS, STREAM, publish
from tests.s3.harness import bucket_service, read_books

from ticklake.files.object_path import ObjectPath
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer
from ticklake.testing.s3_server import S3Server

DEFAULT_BATCHES = {
    "bronze__flush_rows": 1000,
    "bronze__flush_seconds": 5,
    "bronze__flush_interval_min_s": 1,
    "nats__create_streams": "true",
}


@pytest.mark.timeout(900)
def test_the_lake_in_the_bucket_holds_exactly_the_source(
    tmp_path: Path, s3_server: S3Server, bucket: ObjectPath
) -> None:
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        service = bucket_service(tmp_path, server.url, s3_server, bucket, settings=DEFAULT_BATCHES)
        hold_ballast(service)
        with service:
            publish(server, tidy_files("trades"), "market.crypto.trades", "--format", "ndjson", "--batch", "100")
            publish(server, tidy_files("quotes"), "market.crypto.quotes")
            for path, form in zip(tidy_files("mbp10"), BOOK_FORMS, strict=True):
                last_sequence = publish(server, [path], "market.crypto.mbp10", *form)
            lane = service.wait_taken(STREAM, last_sequence, timeout_s=600)
            assert service.terminate() == 0, service.log_tail()
    assert (lane["received"], lane["duplicates"], lane["quarantined"]) == (last_sequence, 0, 0)
    entries = read_books(bucket)
    assert sum(entry.received for entry in entries) == sum(entry.stored for entry in entries) == last_sequence
    assert sum(sum(entry.rows.values()) for entry in entries) == TIDY_ROWS
    found = {table: check_table(bucket, table) for table in TABLES}
    assert sum(found.values()) == TIDY_ROWS
    for table, rows in found.items():  # and by `ticklake sql`, in a process of its own
        query = f"SELECT count(*) AS rows, count(DISTINCT (stream_seq, message_row)) AS apart FROM crypto.{table}"
        asked = run_ticklake("sql", query, "--output", "json", settings=service.settings)
        assert json.loads(asked.stdout) == [{"rows": rows, "apart": rows}], asked.stderr


def check_table(root: ObjectPath, table: str) -> int:
    """Compare a table with the source, row by row through a hash; gives its rows."""
    source = sort_rows(source_rows(table))
    scan = pl.scan_parquet(
        f"{root}/bronze/crypto/{table}/**/*.parquet",
        storage_options=root.store.access.polars_options,
        hive_partitioning=True,
    )
    rows = scan.select(source.column_names).sort(source.column_names, nulls_last=True).collect().to_arrow()
    assert isinstance(rows, pa.Table)
    assert rows.num_rows == source.num_rows
    assert digest(rows) == digest(source), table
    folders = scan.select("symbol", "contract").unique().collect()
    assert (folders["symbol"].cast(str) == folders["contract"]).all()
    return source.num_rows
