"""The real market data beside the repository, read straight from its files: what the lake must hold in the end."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tests.e2e.harness import absent

REAL = Path(__file__).parents[3] / "shared" / "data"
TABLES = ("trades", "quotes", "mbp10")
TIDY_ROWS = 366_531
RAW_FOLDERS = {"market.binance.raw": "binance_hft_raw", "market.ws.raw": "crypto_ws_raw"}

_SIDES = tuple((side, part) for side in ("bid", "ask") for part in ("px", "sz"))
_LEVELS = {f"{side}_{part}_{n:02}": f"{side}_{part}_{n + 1}" for side, part in _SIDES for n in range(10)}
_NAMES = {"ts_recv": "ts_recv_ns", "ts_event": "ts_event_ns", "symbol": "contract"} | _LEVELS


def real_folder(name: str) -> Path:
    """A folder of real data; skips the test without it, fails on CI."""
    folder = REAL / name
    if not folder.is_dir():
        absent(f"the real market data ({name}) is not beside the repository")
    return folder


def tidy_files(table: str) -> list[Path]:
    """The Parquet files of one kind."""
    return sorted(real_folder("binance_hft_tidy").glob(f"*_{table}.parquet"))


def raw_files(subject: str) -> list[Path]:
    """The recordings that go to one subject."""
    return sorted(real_folder(RAW_FOLDERS[subject]).glob("*.gz"))


def source_rows(table: str) -> pa.Table:
    """All rows of one kind under the column names of the lake, in no order. The values are those of the files."""
    rows = pa.concat_tables([pq.read_table(path) for path in tidy_files(table)])
    columns = {_NAMES.get(name, name): _plain(rows.column(name)) for name in rows.column_names}
    if "aggressor" in columns:
        side = columns["aggressor"]  # B bought, S sold; the lake says 1 and -1
        columns["aggressor"] = pc.if_else(pc.equal(side, "B"), 1, pc.if_else(pc.equal(side, "S"), -1, None))
    return pa.table(columns)


def sort_rows(rows: pa.Table) -> pa.Table:
    """By all columns: rows that tie are equal."""
    return rows.sort_by([(name, "ascending") for name in rows.column_names])


def source_lines(paths: Iterable[Path]) -> list[bytes]:
    """The lines that are not empty, as their bytes stand."""
    return [line for path in paths for line in gzip.decompress(path.read_bytes()).split(b"\n") if line]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times as their integer ns."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
    return column
