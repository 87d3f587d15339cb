"""The rows of a feature version on their way into a training set: read, proven to be the recorded bytes, written."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.base.errors import CorruptError, RetryableError
from ticklake.base.version import __version__
from ticklake.catalog.feature_versions import BUILT, Column, DateRecord, StoredFile, data_path
from ticklake.files.errors import ChangedError
from ticklake.files.place import Place
from ticklake.gold.facts import TIME, names_by_role
from ticklake.lake.parquet import ROW_GROUP_ROWS_MAX, write_options

FILE: Final = "signals.parquet"


def signal_files(version: str, records: Sequence[DateRecord]) -> list[tuple[DateRecord, StoredFile, str]]:
    """Each built date with its file and where it lies, relative to the data root."""
    return [
        (record, file, data_path(version, record.date, FILE))
        for record in records
        if record.status == BUILT and (file := record.file(FILE)) is not None
    ]


def other_files(version: str, records: Sequence[DateRecord]) -> list[tuple[StoredFile, str]]:
    """What the built dates hold beside the signals, and where it lies, relative to the data root."""
    return [
        (file, data_path(version, record.date, file.name))
        for record in records
        if record.status == BUILT
        for file in record.files
        if file.name != FILE
    ]


def proven_bytes(path: Place, file: StoredFile) -> bytes:
    """The bytes of a silver file, which are those of its record.

    Raises:
        ChangedError: they are others, or the file is gone.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise ChangedError(f"{path} is gone; build the date again", path=path) from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise ChangedError(f"{path} is not as recorded (sha256 {found[:12]}, recorded {file.sha256[:12]}); "
                           "build the date again", path=path)  # fmt: skip
    return content


def read_proven(path: Place, file: StoredFile) -> pl.DataFrame:
    """The rows of a silver file whose bytes are those of its record: hashed and decoded from one read.

    Raises:
        ChangedError: the bytes are others, or the file is gone.
        CorruptError: the bytes are as recorded, but no Parquet.
    """
    content = proven_bytes(path, file)
    try:
        rows = pl.read_parquet(io.BytesIO(content), hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptError(f"{path}: no readable Parquet ({error}); build the date again") from error
    if rows.height != file.rows:
        raise ChangedError(f"{path} holds {rows.height} rows, recorded {file.rows}; build the date again", path=path)
    return rows


def footer_of(name: str, number: int, silver_version: str, rows: int, columns: Sequence[Column]) -> dict[str, str]:
    """What the Parquet footer of a version says; nothing of time or machine."""
    roles = {role: list(names_by_role(columns, role)) for role in ("key", "feature", "label", "info")}
    return {
        "schema": "training",
        "dataset": name,
        "dataset_version": str(number),
        "silver_version": silver_version,
        "rows": str(rows),
        "roles": json.dumps(roles, separators=(",", ":")),
        "code_version": __version__,
    }


def write_dataset(
    target: Place, parts: Iterator[pl.DataFrame], columns: Sequence[Column], *, footer: dict[str, str]
) -> None:
    """Write the rows date by date, columns in the order of the manifest. Equal rows and footer give equal bytes.

    Memory: one date at a time. When it raises, the file at `target` is to be thrown away.

    Args:
        target: a temp name.
        parts: the rows of each date; at least one.
        columns: what the manifest says they are.
        footer: keys without the prefix `ticklake.`.
    """
    names = [column.name for column in columns]
    writer: pq.ParquetWriter | None = None
    try:
        for part in parts:
            rows = _plain(part.select(names))
            if writer is None:
                schema = rows.schema.with_metadata({f"ticklake.{key}": value for key, value in footer.items()})
                ids = [name for name in names if name.endswith("_id")]
                writer = pq.ParquetWriter(str(target), schema, **write_options(schema, sorted_by=[TIME], varied=ids))
            writer.write_table(rows.replace_schema_metadata(writer.schema.metadata), row_group_size=ROW_GROUP_ROWS_MAX)
    finally:
        if writer is not None:
            writer.close()


def proven_parts(root: Place, version: str, records: Sequence[DateRecord]) -> Iterator[pl.DataFrame]:
    """The rows of each built date, proven again.

    Raises:
        RetryableError: a file changed since the gates looked at it.
    """
    for _, file, path in signal_files(version, records):
        try:
            rows = read_proven(root / path, file)
        except ChangedError as error:
            raise RetryableError(f"version {version} changed while it was promoted ({error}); promote again") from error
        if rows.height:
            yield rows


def _plain(rows: pl.DataFrame) -> pa.Table:
    """As Arrow, with strings of one kind, so that they get dictionaries whatever Polars made of them."""
    table = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = [field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))
