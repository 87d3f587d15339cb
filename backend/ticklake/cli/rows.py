"""Files as rows: Parquet and CSV as frames, NDJSON and plain text as lines. Only a batch of rows is in memory."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from enum import StrEnum
from io import BufferedReader
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ticklake.base.errors import UsageError

_CSV_BLOCK_BYTES = 16 * 1024 * 1024  # column types are guessed from the first block


class FileKind(StrEnum):
    """What a file holds, by its name."""

    PARQUET = "parquet"
    CSV = "csv"
    NDJSON = "ndjson"


_KINDS = {
    ".parquet": FileKind.PARQUET,
    ".csv": FileKind.CSV,
    ".ndjson": FileKind.NDJSON,
    ".jsonl": FileKind.NDJSON,
}


def file_kind(path: Path) -> FileKind:
    """What `path` holds; `.gz` at the end does not matter.

    Raises:
        UsageError: there is no such file, or its name does not say.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file; check the name")
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    kind = _KINDS.get(suffixes[-1] if suffixes else "")
    if kind is None:
        raise UsageError(
            f"{path.name}: the name ends in none of {', '.join(_KINDS)} (also .gz); "
            "rename it, or send its lines as they are with --format raw"
        )
    return kind


def count_rows(path: Path) -> int | None:
    """Rows of a Parquet file; None for the others, which would have to be read to know."""
    if path.suffix != ".parquet":
        return None
    return int(pq.read_metadata(path).num_rows)


def read_frames(path: Path, *, rows: int) -> Iterator[pl.DataFrame]:
    """The rows of a Parquet or CSV file, in order, at most `rows` per frame; columns as the file has them.

    Raises:
        UsageError: the file is not what its name says; the text says where.
    """
    try:
        for batch in _read_batches(path, rows=rows):
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            yield from frame.iter_slices(rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError) as error:  # OSError: what broken gzip is to Arrow
        raise UsageError(f"{path}: {error}; is the file whole and of the kind its name says?") from error


def read_lines(path: Path) -> Iterator[bytes]:
    r"""The lines of a text file, byte for byte, without the `\n` that ends them. Empty lines are skipped.

    Raises:
        UsageError: the file ends in `.gz` and is not whole gzip.
    """
    try:
        with _open(path) as file:
            for line in file:
                text = line.removesuffix(b"\n")
                if text:
                    yield text
    except (gzip.BadGzipFile, EOFError) as error:
        raise UsageError(f"{path}: {error}; is the file whole?") from error


def _read_batches(path: Path, *, rows: int) -> Iterator[pa.RecordBatch]:
    if file_kind(path) is FileKind.PARQUET:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=rows)
        return
    with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
        yield from pacsv.open_csv(stream, read_options=pacsv.ReadOptions(block_size=_CSV_BLOCK_BYTES))


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
