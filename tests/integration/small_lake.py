"""A small lake made by hand, with pyarrow and the ledger's own codec: what a reader must understand, nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import google_crc32c
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.lake.layout import ledger_folder, ledger_name, part_name
from ticklake.lake.ledger import LedgerEntry, LedgerFile, encode_entry
from ticklake.schema.lookup import TableCatalog
from ticklake.schema.partition import partition_folder
from ticklake.schema.table import TableSpec

TABLES = TableCatalog()
IDENTITY = "0123abcd"
DAY_NS = 86_400 * 10**9
T0_NS = 1_734_307_200 * 10**9  # 2024-12-16T00:00:00Z, a Monday
HOUR_NS = 3_600 * 10**9


def at(hour: float, *, day: int = 0) -> int:
    """Event time on the n-th day of the small lake."""
    return T0_NS + day * DAY_NS + round(hour * HOUR_NS)


def trade(event_ns: int, contract: str = "ESZ4", price: float = 6000.0, size: int = 1, **more: Any) -> dict[str, Any]:
    """One stored trade, as the decoder would leave it; system columns come with the segment."""
    return {
        "ts_event_ns": event_ns,
        "ts_recv_ns": event_ns + 1_000,
        "source": "test",
        "contract": contract,
        "price": price,
        "size": size,
        "aggressor": 1,
        **more,
    }


@dataclass(slots=True)
class SmallLake:
    """Writes segments of one stream. Each row is one message unless it says `message_row`."""

    root: Path
    stream: str = "MARKET_DATA"
    identity: str = IDENTITY
    segment: int = 0
    sequence: int = 0
    entries: list[LedgerEntry] = field(default_factory=list)

    @property
    def writer(self) -> str:
        return f"{self.identity}-{self.stream.lower()}"

    def add(
        self, table: str, rows: Sequence[Mapping[str, Any]], *, value: str | None = "ES", duplicates: int = 0
    ) -> list[Path]:
        """Commit one segment of rows that share a partition value."""
        spec = TABLES.get(table)
        self.segment += 1
        first = self.sequence + 1
        stored = []
        for row in rows:
            self.sequence += 1
            stored.append({"stream_seq": self.sequence, "message_row": 0, "ingest_ns": at(23), "extra": None, **row})
        paths, files = [], []
        for folder, part in _by_folder(spec, stored, value).items():
            name = part_name(writer=self.writer, segment=self.segment, min_ns=_event_ns(spec, part[0]))
            path = self.root / spec.folder / folder / name
            self._write(path, spec, part)
            paths.append(path)
            files.append(
                LedgerFile(
                    path=path.relative_to(self.root).as_posix(),
                    table=table,
                    rows=len(part),
                    bytes=path.stat().st_size,
                    crc32c=f"{google_crc32c.value(path.read_bytes()):08x}",
                )
            )
        messages = len(stored)
        self.commit(
            LedgerEntry(
                writer=self.writer,
                lane=self.stream.lower(),
                stream=self.stream,
                segment=self.segment,
                incarnation=1,
                first_seq=first,
                last_seq=self.sequence,
                received=messages + duplicates,
                stored=messages,
                quarantined=0,
                duplicates=duplicates,
                missing=(),
                rows={table: messages},
                quarantined_rows={},
                reasons={},
                files=tuple(files),
                committed_ns=at(23),
            )
        )
        return paths

    def commit(self, entry: LedgerEntry) -> Path:
        """Write one ledger entry."""
        self.entries.append(entry)
        path = self.root / ledger_folder(entry.writer) / ledger_name(entry.segment)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_entry(entry))
        return path

    def _write(self, path: Path, spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> None:
        sequences = [row["stream_seq"] for row in rows]
        keys = {
            "schema": spec.schema_id,
            "writer": self.writer,
            "segment": str(self.segment),
            "stream": self.stream,
            "incarnation": "1",
            "first_seq": str(min(sequences)),
            "last_seq": str(max(sequences)),
            "rows": str(len(rows)),
            "code_version": "test",
            "time_unit": "ns",
        }
        schema = spec.arrow_schema.with_metadata({f"ticklake.{key}": value for key, value in keys.items()})
        columns = {name: [row.get(name) for row in rows] for name in schema.names}
        path.parent.mkdir(parents=True, exist_ok=True)
        table = pa.table([pa.array(columns[column.name], column.type) for column in schema], schema=schema)
        pq.write_table(table, path, compression="zstd", write_page_checksum=True)


def _event_ns(spec: TableSpec, row: Mapping[str, Any]) -> int:
    event = row.get(spec.event_time)
    return int(event if event is not None else row[spec.event_time_fallback or ""])


def _by_folder(
    spec: TableSpec, rows: Sequence[Mapping[str, Any]], value: str | None
) -> dict[str, list[Mapping[str, Any]]]:
    folders: dict[str, list[Mapping[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: (_event_ns(spec, row), row["stream_seq"], row["message_row"])):
        moment = datetime.fromtimestamp(_event_ns(spec, row) // 10**9, UTC)
        parts: dict[str, str | None] = {}
        for key in spec.partition_by:
            parts[key] = {"date": f"{moment:%Y-%m-%d}", "hour": f"{moment:%H}"}.get(key, value)
        folders.setdefault(partition_folder(parts), []).append(row)
    return folders


def expected(rows: Sequence[Mapping[str, Any]], column: str) -> pl.Series:
    """The values a reader must give, in event order."""
    return pl.Series(column, [row[column] for row in sorted(rows, key=lambda row: row["ts_event_ns"])])
