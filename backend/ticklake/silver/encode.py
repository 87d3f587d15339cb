"""An output frame as the bytes of its Parquet file: equal rows give equal bytes, on any machine."""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from ticklake.lake.parquet import encode_parquet
from ticklake.silver.stage import ColumnSpec

_SORTED_BY = ("ts_event_ns",)


def encode_frame(frame: pl.DataFrame, *, version: str, date: str, table: str, columns: tuple[ColumnSpec, ...]) -> bytes:
    """The bytes of one file.

    Args:
        frame: at least one row, in its final order.
        version: name of the feature version.
        date: session date, YYYY-MM-DD.
        table: `signals`, `state` or `episodes`.
        columns: declared columns; ids among them get no dictionary.
    """
    rows = frame.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    # cast by its reader: a table does it with pyarrow.compute, which takes a process 40 ms to import
    plain = rows.to_reader().cast(pa.schema([_plain(field) for field in rows.schema])).read_all()
    known = [name for name in _SORTED_BY if name in frame.columns and frame[name].is_sorted()]
    ids = [spec.name for spec in columns if spec.name.endswith("_id")]
    footer = {"schema": f"silver.{table}", "version": version, "date": date, "rows": str(frame.height)}
    return encode_parquet(plain, footer=footer, sorted_by=known, varied=ids)


def _plain(field: pa.Field) -> pa.Field:
    """Large strings as strings: `encode_parquet` gives dictionaries to those only, and the schema is then the same."""
    if pa.types.is_large_string(field.type):
        return field.with_type(pa.string())
    return field
