"""What Parquet files hold, read by pyarrow alone: the oracle's eyes."""

from __future__ import annotations

import glob
from array import array
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def files_below(data_root: Path, tier: str) -> list[str]:
    """All Parquet files of a tier, in order of their paths."""
    return sorted(glob.glob(f"{data_root}/{tier}/**/*.parquet", recursive=True))


def rows_of(path: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of one file, page checksums verified."""
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read(list(columns), use_threads=False)
    return list(zip(*(table[column].to_pylist() for column in columns), strict=True))


def sequences_of(path: Path) -> array[int]:
    """The stream sequences in one file; fails when it is torn.

    It is read anew whenever it changed: any write, link or rename gives it another time of change.
    """
    state = path.stat()
    return _read_sequences(path, state.st_ino, state.st_size, state.st_ctime_ns)


@lru_cache(maxsize=65_536)
def _read_sequences(path: Path, *_: int) -> array[int]:
    with pq.ParquetFile(path) as file:
        return array("q", file.read(["stream_seq"], use_threads=False)["stream_seq"].to_pylist())
