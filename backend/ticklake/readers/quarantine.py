"""Rejected input: what waits in quarantine, why, and each message whole."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import polars as pl
import pyarrow as pa

from ticklake.base.errors import NoDataError, UsageError
from ticklake.files.checksums import crc32c_hex
from ticklake.files.place import Place
from ticklake.lake.layout import QUARANTINE_FOLDER
from ticklake.readers.footer import decode_pages
from ticklake.readers.listing import DataFile, check_ends, list_files
from ticklake.readers.query import Selection
from ticklake.readers.relation import Relation

NAME: Final = "quarantine"
_ID: Final = re.compile(r"([0-9a-f]{8})-(\d+)", re.ASCII)


def relation_of_quarantine() -> Relation:
    """Quarantine as a table: one row per rejected row or message; `date` is the UTC date it was taken."""
    return Relation(
        name=NAME,
        schema_id="quarantine/1",
        folder=QUARANTINE_FOLDER,
        keys=("table", "date"),
        file_schema=pa.schema(
            [
                ("reason", pa.string()),
                ("path", pa.string()),
                ("detail", pa.string()),
                ("subject", pa.string()),
                ("headers", pa.binary()),
                ("payload", pa.binary()),
                ("stream", pa.string()),
                ("stream_seq", pa.int64()),
                ("message_row", pa.int32()),
                ("server_ns", pa.int64()),
                ("ingest_ns", pa.int64()),
            ]
        ),
        event_time=("ingest_ns",),
        order=("stream_seq", "message_row"),
    )


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One line of quarantine.

    Attributes:
        id: names the row for good: checksum of its file's path, then its place in the file.
        values: column -> value, with `table`; `headers` and `payload` are bytes.
    """

    id: str
    values: dict[str, Any]


def list_rejected(
    root: Place, *, table: str | None = None, reason: str | None = None, rows_max: int | None = None
) -> list[RejectedRow]:
    """Rows of quarantine, newest first.

    Args:
        root: the data root.
        table: only rows that were meant for this table (`unknown`: for none).
        reason: only rows rejected for this reason.
        rows_max: stop after so many; None for all.

    Raises:
        CorruptError: a file cannot be read; the text names it.
    """
    found: list[RejectedRow] = []
    for file in sorted(_files(root, table), key=lambda file: file.folder.rpartition("/")[2] + file.path, reverse=True):
        rows = _rows(file)
        if reason is not None:
            rows = rows.filter(pl.col("reason") == reason)
        found += [_row(values) for values in rows.reverse().iter_rows(named=True)]
        if rows_max is not None and len(found) >= rows_max:
            return found[:rows_max]
    return found


def find_rejected(root: Place, row_id: str) -> RejectedRow:
    """One row by its id.

    Raises:
        UsageError: the text is no id.
        NoDataError: no row has it.
    """
    parsed = _ID.fullmatch(row_id)
    if parsed is None:
        raise UsageError(f"{row_id!r} is no id: take one from `ticklake quarantine ls`")
    for file in _files(root, None):
        if _file_id(file) == parsed[1]:
            rows = _rows(file).filter(pl.col("id") == row_id)
            if rows.height:
                return _row(rows.row(0, named=True))
    raise NoDataError(f"no row {row_id} in quarantine: take an id from `ticklake quarantine ls`")


def _files(root: Place, table: str | None) -> list[DataFile]:
    selection = Selection(values=None if table is None else frozenset({table}))
    relation = relation_of_quarantine()
    files = list_files(root / relation.folder, relation.keys, selection)
    check_ends(files)
    return files


def _rows(file: DataFile) -> pl.DataFrame:
    """Rows of one file with `id` and `table`."""
    frame = pl.from_arrow(decode_pages(file.source))
    assert isinstance(frame, pl.DataFrame)
    table = file.folder.partition("/")[0].removeprefix("table=")
    places = pl.int_range(pl.len()).cast(pl.String)
    return frame.with_columns(pl.lit(table).alias("table"), (pl.lit(f"{_file_id(file)}-") + places).alias("id"))


def _row(values: dict[str, Any]) -> RejectedRow:
    return RejectedRow(values.pop("id"), values)


def _file_id(file: DataFile) -> str:
    relative = f"{QUARANTINE_FOLDER}/{file.folder}/{file.path.rpartition('/')[2]}"
    return crc32c_hex(relative.encode())
