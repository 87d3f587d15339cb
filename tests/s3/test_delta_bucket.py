"""Promises of the Delta export of a lake in a bucket: each file once, by an address that leads to it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
from deltalake import DeltaTable
from tests.s3.uploaded import make_twins

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import place_of
from ticklake.readers.delta import export_delta

TABLE = "futures.trades"


def test_each_object_is_entered_once_by_its_address(tmp_path: Path, bucket: ObjectPath) -> None:
    twins = make_twins(tmp_path, bucket)
    files = {file.path for file in twins.stored.files(TABLE)}

    first = export_delta(twins.bucket, twins.stored.relation(TABLE))
    again = export_delta(twins.bucket, twins.stored.relation(TABLE))

    assert (first.added, again.added, again.files) == (len(files), 0, len(files))
    log = DeltaTable(first.log, storage_options=bucket.store.access.polars_options)
    entered = [unquote(path) for path in pa.table(log.get_add_actions())["path"].to_pylist()]
    assert sorted(entered) == sorted(files)
    assert all(place_of(path, access=bucket.store.access).is_file() for path in entered)
    assert {file.path for file in twins.stored.files(TABLE)} == files, "the table's folder is as it was"
