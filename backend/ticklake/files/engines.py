"""What the engines want in order to open a file of a place: a name, or bytes, and how to reach the store."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, place_of

if TYPE_CHECKING:
    import polars as pl

_END_BYTES: Final = 64 * 1024  # the footer of nearly every file


def scan_files(places: Sequence[Place], **options: Any) -> pl.LazyFrame:
    """The Parquet files as one lazy frame, by Polars' own reader of disks and stores.

    Args:
        places: files of one lake; at least one.
        options: of `polars.scan_parquet`; names are never taken for patterns, nor folders for columns.
    """
    import polars as pl  # the service, which only needs the end of a file, starts without it

    first = places[0]
    how = {"glob": False, "hive_partitioning": False, **options}
    if isinstance(first, ObjectPath):
        how["storage_options"] = first.store.access.polars_options
    return pl.scan_parquet([os.fspath(place) for place in places], **how)


def footer_source(place: str | os.PathLike[str]) -> str | io.BytesIO:
    """A Parquet file as pyarrow opens it to read its footer alone: its name, or its end when it lies in a bucket.

    Raises:
        FileNotFoundError: in a bucket, when there is none.
    """
    found = place_of(place)
    if not isinstance(found, ObjectPath):
        return str(found)
    size = found.stat().st_size
    length = min(size, _END_BYTES)
    end = found.store.get_range(found.key, size - length, length) if size else b""
    needed = int.from_bytes(end[-8:-4], "little") + 8  # the footer, its length and the magic bytes
    if length < needed <= size:
        end = found.store.get_range(found.key, size - needed, needed)
    return io.BytesIO(end)


def source_of(place: str | os.PathLike[str]) -> str | io.BytesIO:
    """A file as pyarrow and eager Polars open it: its name, or its bytes when it lies in a bucket.

    Raises:
        FileNotFoundError: in a bucket, when there is none.
    """
    found = place_of(place)
    return io.BytesIO(found.read_bytes()) if isinstance(found, ObjectPath) else str(found)
