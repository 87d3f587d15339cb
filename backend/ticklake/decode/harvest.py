"""What decoding one table's messages gave: columns from the fast way and single rows, put together in the end."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ticklake.decode.columns import Checked
from ticklake.decode.routes import Lot
from ticklake.decode.rows import Row
from ticklake.schema.table import TableSpec


@dataclass(frozen=True, slots=True)
class DecodedTable:
    """Good rows of one table.

    Attributes:
        spec: the table.
        rows: one row per event; `spec.decoded_schema`: all columns of the table, then the system columns.
            Clean batches first, then single rows; sort before use.
        numbers: int64 per row, running number of its message in the segment.
    """

    spec: TableSpec
    rows: pa.Table
    numbers: pa.Array


class Harvest:
    """Gathers the rows of one table."""

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self._tables: list[pa.Table] = []
        self._numbers: list[pa.Array] = []
        self._rows: list[tuple[object, ...]] = []

    def add_columns(self, lot: Lot, checked: Checked, extra: pa.Array | None = None) -> None:
        """Add the good rows of a lot whose documents hold one row each."""
        if extra is None:
            extra = pa.nulls(len(lot), pa.string())
        columns = [*checked.columns, lot.stream_seqs, lot.message_rows, lot.ingest_ns, extra]
        numbers = lot.numbers
        rows = pa.Table.from_arrays(columns, schema=self._spec.decoded_schema)
        if checked.good is not None:
            rows, numbers = rows.filter(checked.good), numbers.filter(checked.good)
        self._tables.append(rows)
        self._numbers.append(numbers)

    def add_row(self, row: Row, *, number: int, stream_seq: int | None, message_row: int, ingest_ns: int) -> None:
        """Add one row."""
        self._rows.append((number, *row.values, stream_seq, message_row, ingest_ns, row.extra))

    def finish(self) -> DecodedTable | None:
        """All rows gathered; None when there are none."""
        if self._rows:
            numbers, *columns = zip(*self._rows, strict=True)
            schema = self._spec.decoded_schema
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            self._tables.append(pa.Table.from_arrays(arrays, schema=schema))
            self._numbers.append(pa.array(numbers, pa.int64()))
            self._rows = []
        if not any(len(numbers) for numbers in self._numbers):
            return None
        rows = pa.concat_tables(self._tables).combine_chunks()
        return DecodedTable(self._spec, rows, pa.concat_arrays(self._numbers))
