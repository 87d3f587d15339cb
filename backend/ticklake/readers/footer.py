"""What the footer of a data file says, and whether the file is one of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.base.errors import CorruptError
from ticklake.files.object_path import ObjectPath
from ticklake.files.side_by_side import run_for
from ticklake.readers.listing import DataFile, ForeignEntryError, TornFileError
from ticklake.readers.object_reader import ObjectReader
from ticklake.readers.relation import Relation

KEY_PREFIX: Final = "ticklake."


@dataclass(frozen=True, slots=True)
class Footer:
    """The facts at the end of a data file.

    Attributes:
        rows: as Parquet counts them.
        schema: of the columns.
        keys: our own keys without their prefix (`writer`, `segment`, `first_seq`, ...); empty in foreign files.
        ranges: column -> (smallest, largest) over all row groups, for the columns that were asked for.
    """

    rows: int
    schema: pa.Schema
    keys: Mapping[str, str]
    ranges: Mapping[str, tuple[object, object]]


def read_footer(source: str | ObjectPath, *, ranges_of: Sequence[str] = (), content: bytes | None = None) -> Footer:
    """Read the footer of one Parquet file.

    Args:
        source: the path, or the object.
        ranges_of: columns whose value ranges are wanted.
        content: all its bytes, when they were read before.

    Raises:
        FileNotFoundError: the file is gone.
        TornFileError: it has no readable footer.
        StoreUnavailableError: the store does not answer, or does not let us in.
    """
    try:
        metadata = pq.read_metadata(_opened(source, content))
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise TornFileError(str(source), what=f"no readable Parquet footer ({error})") from error
    stored = metadata.metadata or {}
    keys = {
        name.decode().removeprefix(KEY_PREFIX): value.decode(errors="replace")
        for name, value in stored.items()
        if name.startswith(KEY_PREFIX.encode())
    }
    return Footer(metadata.num_rows, metadata.schema.to_arrow_schema(), keys, _ranges(metadata, ranges_of))


def footer_fault(footer: Footer, relation: Relation) -> str | None:
    """Why this is no file of the table, or None when it is one."""
    if not footer.keys:
        return "a foreign Parquet file: its footer holds no key of ours"
    if footer.keys.get("schema") != relation.schema_id:
        return f"a file of {footer.keys.get('schema')}, not of {relation.schema_id}"
    found = {field.name: field.type for field in footer.schema}
    declared = {field.name: field.type for field in relation.file_schema}
    for name in declared.keys() - found.keys():
        return f"a file of another table: it lacks the column {name!r}"
    for name, kind in found.items():
        if name not in declared:
            return f"a file of another table: it has the column {name!r}"
        if kind != declared[name]:
            return f"a file of another table: column {name!r} is {kind}, not {declared[name]}"
    if footer.keys.get("rows") != str(footer.rows):
        return f"a damaged file: {footer.rows} rows, but its footer promises {footer.keys.get('rows')}"
    return None


def find_culprit(files: Sequence[DataFile], relation: Relation) -> CorruptError | None:
    """The first file that cannot be read: by its footer, then, when all footers are good, by its pages."""
    run = run_for(files[0].stored if files else None)
    by_footer = next(filter(None, run(partial(_footer_culprit, relation), files)), None)
    return by_footer or next(filter(None, run(_page_culprit, files)), None)


def name_the_culprit(files: Sequence[DataFile], relation: Relation, error: Exception) -> CorruptError:
    """Turn an engine's complaint into one that names the file."""
    unknown = f"{relation.name}: one of {len(files)} files could not be read ({error}); run `ticklake verify --deep`"
    return find_culprit(files, relation) or CorruptError(unknown)


def decode_pages(
    source: str | ObjectPath, columns: Sequence[str] | None = None, *, content: bytes | None = None
) -> pa.Table:
    """Decode every page of the file, checking each page's checksum.

    Args:
        source: the path, or the object.
        columns: only the pages of these; all when None.
        content: all its bytes, when they were read before.

    Raises:
        FileNotFoundError: the file is gone.
        TornFileError: a page is damaged.
        StoreUnavailableError: the store does not answer, or does not let us in.
    """
    if content is None and columns is None and isinstance(source, ObjectPath):
        content = source.read_bytes()  # one request for all of it
    try:
        with pq.ParquetFile(_opened(source, content), page_checksum_verification=True) as file:
            return file.read(columns=columns)
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise TornFileError(str(source), what=f"a page cannot be decoded ({error})") from error


def _opened(source: str | ObjectPath, content: bytes | None) -> str | ObjectReader | pa.BufferReader:
    """What the Parquet reader takes."""
    if content is not None:
        return pa.BufferReader(content)
    return ObjectReader(source) if isinstance(source, ObjectPath) else source


def _footer_culprit(relation: Relation, file: DataFile) -> CorruptError | None:
    try:
        fault = footer_fault(read_footer(file.source), relation)
    except FileNotFoundError:
        return TornFileError(file.path, what="the file vanished while it was read")
    except CorruptError as torn:
        return torn
    return ForeignEntryError(file.path, what=fault) if fault is not None else None


def _page_culprit(file: DataFile) -> CorruptError | None:
    try:
        decode_pages(file.source)
    except CorruptError as torn:
        return torn
    return None


def _ranges(metadata: pq.FileMetaData, names: Sequence[str]) -> dict[str, tuple[object, object]]:
    """Value ranges of flat columns; a column without statistics in some row group has none."""
    places = {metadata.schema.column(index).path: index for index in range(metadata.num_columns)} if names else {}
    ranges: dict[str, tuple[object, object]] = {}
    for name in names:
        groups = [metadata.row_group(group).column(places[name]).statistics for group in range(metadata.num_row_groups)]
        if not groups or any(found is None for found in groups):
            continue
        bounds = [(found.min, found.max) for found in groups if found.has_min_max]
        known = sum(found.null_count for found in groups if not found.has_min_max)
        unknown = sum(found.num_values + found.null_count for found in groups if not found.has_min_max)
        if bounds and known == unknown:
            ranges[name] = (min(low for low, _ in bounds), max(high for _, high in bounds))
    return ranges
