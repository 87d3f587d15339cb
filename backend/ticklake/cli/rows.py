"""Files as rows: Parquet and CSV as frames, NDJSON and plain text as lines. Only a batch of rows is in memory."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Collection, Iterator
from enum import StrEnum
from io import BufferedReader
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from ticklake.base.errors import UsageError

_CSV_BLOCK_BYTES = 16 * 1024 * 1024  # types of the other columns are guessed from the first block


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
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise _no_such_kind(path, error) from error


def read_frames(path: Path, *, rows: int, texts: Collection[str] = ()) -> Iterator[pl.DataFrame]:
    """The rows of a Parquet or CSV file, in order, at most `rows` per frame; columns as the file has them.

    Args:
        path: the file.
        rows: how many a frame holds at most.
        texts: columns of a CSV that are text, whatever they look like: the symbol `001` is no number. Empty is null.

    Raises:
        UsageError: the file is not what its name says, or two of its columns have one name; the text says which.
    """
    kind = file_kind(path)
    try:
        for batch in _read_batches(path, kind, rows=rows, texts=texts):
            if twice := [name for name, count in Counter(batch.schema.names).items() if count > 1]:
                raise UsageError(f"{path}: more than one column is called {twice[0]!r}; rename one of them")
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            if kind is FileKind.CSV:
                frame = frame.with_columns(pl.col([name for name in frame.columns if name in texts]).replace("", None))
            yield from frame.iter_slices(rows)
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeDecodeError, OSError) as error:  # OSError: broken gzip
        raise _no_such_kind(path, error) from error


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


def _no_such_kind(path: Path, error: Exception) -> UsageError:
    return UsageError(f"{path}: {error}; is the file whole and of the kind its name says?")


def _read_batches(path: Path, kind: FileKind, *, rows: int, texts: Collection[str]) -> Iterator[pa.RecordBatch]:
    if kind is FileKind.PARQUET:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=rows)
        return
    with pa.input_stream(str(path), compression="gzip" if path.suffix == ".gz" else None) as stream:
        yield from pacsv.open_csv(
            stream,
            read_options=pacsv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(texts, pa.string())),
        )


def _open(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")
