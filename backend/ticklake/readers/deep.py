"""The deep part of a check: decode every page and compare what the rows say with folder, footer and ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import Final

import polars as pl
import pyarrow as pa

from ticklake.base.errors import CorruptError, TickLakeError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.lake.layout import QUARANTINE_FOLDER
from ticklake.lake.ledger import LedgerEntry, LedgerFile
from ticklake.readers.footer import Footer, decode_pages, footer_fault, read_footer
from ticklake.readers.quarantine import relation_of_quarantine
from ticklake.readers.query import folder_span
from ticklake.readers.relation import Relation, relation_of
from ticklake.readers.report import Problem
from ticklake.readers.scan import is_sorted
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.partition import parse_folder

_RESTORE: Final = "restore the file from a copy, or move it away and take its messages again from the stream"


def check_content(
    root: Place, entry: LedgerEntry, file: LedgerFile, tables: TableCatalog, *, content: bytes | None = None
) -> Iterator[Problem]:
    """Compare the rows of one file with its footer, its folder and its line in the ledger.

    Args:
        root: the data root.
        entry: that names the file.
        file: the file.
        tables: the catalog.
        content: all its bytes, when they were read before.
    """
    source = _source(root, file)
    relation = _relation(file, tables)
    try:
        footer = read_footer(source, content=content)
        rows = decode_pages(source, content=content)
    except (FileNotFoundError, CorruptError) as error:
        yield Problem("unreadable_file", file.path, str(error), _RESTORE)
        return
    if footer.rows != file.rows or rows.num_rows != file.rows:
        what = f"{rows.num_rows} rows, {footer.rows} by its footer, {file.rows} by the ledger"
        yield Problem("wrong_rows", file.path, what, _RESTORE)
    if relation is None:
        return  # a table that is no longer declared: its bytes and rows were checked
    fault = footer_fault(footer, relation) or _footer_mismatch(footer, entry, rows)
    if fault is not None:
        yield Problem("wrong_footer", file.path, fault, _RESTORE)
        return
    yield from _check_rows(rows, relation, file)


def check_sequences(
    root: Place, entry: LedgerEntry, path: str, *, retired: Collection[str] = ()
) -> Iterator[Problem]:  # fmt: skip
    """Every sequence of the segment is stored once: each taken message is there, none twice, none that was missing.

    Of a segment from which files were retired, as many sequences may be absent as rows were retired.

    Args:
        root: the data root.
        entry: of the segment; all its files are whole.
        path: of the entry, for the texts.
        retired: files that left the lake on purpose.
    """
    if entry.first_seq is None or entry.last_seq is None:
        return
    columns = ["stream_seq", "message_row"]
    try:
        kept = [file for file in entry.files if file.path not in retired]
        parts = [decode_pages(_source(root, file), columns) for file in kept]
    except (FileNotFoundError, CorruptError) as error:
        yield Problem("unreadable_file", path, str(error), _RESTORE)
        return
    frame = pl.from_arrow(pa.concat_tables(parts)) if parts else pl.DataFrame(schema=dict.fromkeys(columns, pl.Int64))
    assert isinstance(frame, pl.DataFrame)
    doubled = frame.filter(frame.is_duplicated())
    if doubled.height:
        sequence, row = doubled.row(0)
        what = f"{doubled.height} rows share a place: sequence {sequence}, row {row} is there more than once"
        yield Problem("duplicate_rows", path, what, _RESTORE)
    found = frame["stream_seq"].unique()
    taken = entry.received - entry.duplicates
    outside = found.filter((found < entry.first_seq) | (found > entry.last_seq) | found.is_null())
    absent_max = sum(file.rows for file in entry.files) - sum(file.rows for file in kept)
    if outside.len() or not found.len() <= taken <= found.len() + absent_max:
        what = f"{found.len()} sequences are stored ({outside.len()} out of range), but {taken} messages were taken"
        yield Problem("wrong_sequences", path, what, _RESTORE)
    for first, last in entry.missing:
        if found.is_between(first, last).any():
            yield Problem(
                "wrong_sequences", path, f"sequences {first} to {last} are stored, yet called missing", _RESTORE
            )


def _source(root: Place, file: LedgerFile) -> str | ObjectPath:
    place = root / file.path
    return place if isinstance(place, ObjectPath) else str(place)


def _relation(file: LedgerFile, tables: TableCatalog) -> Relation | None:
    if file.path.startswith(f"{QUARANTINE_FOLDER}/"):
        return relation_of_quarantine()
    spec = tables.find(file.table)
    return relation_of(spec) if spec is not None else None


def _footer_mismatch(footer: Footer, entry: LedgerEntry, rows: pa.Table) -> str | None:
    sequences = pl.Series(rows.column("stream_seq"), dtype=pl.Int64)
    low, high = sequences.min(), sequences.max()
    expected = {
        "writer": entry.writer,
        "segment": str(entry.segment),
        "stream": entry.stream,
        "incarnation": str(entry.incarnation),
        "first_seq": "" if low is None else str(low),
        "last_seq": "" if high is None else str(high),
    }
    for key, value in expected.items():
        found = footer.keys.get(key, "")
        if found != value:
            return f"its footer says {key} = {found!r}, but it is {value!r}"
    return None


def _check_rows(rows: pa.Table, relation: Relation, file: LedgerFile) -> Iterator[Problem]:
    """Rows lie in the folder of their event time, in order."""
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    if not is_sorted(frame, relation):
        yield Problem("unsorted_file", file.path, "its rows are not in the order of event time and sequence", _RESTORE)
    folder = str(PurePosixPath(file.path).parent.relative_to(relation.folder))
    try:
        values = {name: value or "" for name, value in parse_folder(folder).items()}
        span = folder_span(values)
    except (TickLakeError, ValueError) as error:
        yield Problem("wrong_folder", file.path, str(error), _RESTORE)
        return
    times = frame.select(relation.event_time_expr.alias("time"))["time"]
    if tuple(values) != relation.keys:
        yield Problem("wrong_folder", file.path, f"folders {', '.join(values)} instead of {relation.keys}", _RESTORE)
    if span.start_ns is not None and span.until_ns is not None:
        outside = times.filter((times < span.start_ns) | (times >= span.until_ns) | times.is_null())
        if outside.len():
            what = f"{outside.len()} rows do not belong into this folder's time, the first at {outside[0]}"
            yield Problem("wrong_folder", file.path, what, _RESTORE)
