"""One definition per table: from it come the Arrow and Polars schemas, decoder, checks, JSON schema and docs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa

from ticklake.schema.kinds import Kind

if TYPE_CHECKING:
    import polars as pl

TIME_PARTS = ("date", "hour")
"""Partition columns that come from the event time (UTC)."""

TIME_MIN_NS = 946_684_800 * 10**9
"""2000-01-01 UTC: no feed we store is older, and 0 or seconds mistaken for nanoseconds are far below."""

TIME_MAX_NS = 4_102_444_800 * 10**9
"""2100-01-01 UTC."""


class Shape(StrEnum):
    """How a message of the table is laid out on the wire."""

    FLAT = "flat"  # one object, one row; keys are wire names
    BOOK = "book"  # like flat; price levels may also come as a list of objects, best first
    SIGNALS = "signals"  # one object with a list of levels, one row per level
    RAW = "raw"  # any bytes: kept whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    Attributes:
        name: as stored.
        kind: type.
        unit: of the values, for people; "ns" marks a time (nanoseconds since 1970, UTC).
        null: whether the value may be missing. Missing is null, never 0.
        wire: where a message carries it (default: `name`). The stored name is understood too.
        default: stored when the message does not say; None means no default.
        minimum: smallest allowed value, None for no bound. For dates: days since 1970.
        maximum: largest allowed value.
        above: the value must be larger than this.
        allowed: the only allowed words; empty for any.
        text: integers may also come as decimal text (ids of feeds made for JavaScript).
        scale: the wire value times this is stored (1,000,000 for milliseconds).
        varied: strings that hardly repeat: no dictionary in the files.
        doc: one sentence for the reference page.
    """

    name: str
    kind: Kind
    doc: str
    unit: str = ""
    null: bool = False
    wire: str = ""
    default: str | int | float | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    allowed: tuple[str, ...] = ()
    text: bool = False
    scale: int = 1
    varied: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """Names a flat message may use, the preferred one first."""
        return (self.wire, self.name) if self.wire and self.wire != self.name else (self.name,)

    @property
    def is_time(self) -> bool:
        """Whether the column holds a point in time (int64 ns UTC)."""
        return self.unit == "ns" and self.kind is Kind.INT64

    @property
    def arrow(self) -> pa.Field:
        """The Arrow field as stored."""
        return pa.field(self.name, self.kind.arrow, nullable=self.null)


SYSTEM_COLUMNS = (
    Column(name="stream_seq", kind=Kind.INT64, null=True, doc="Sequence in the stream; null for core NATS."),
    Column(name="message_row", kind=Kind.INT32, doc="Row number inside its message, from 0."),
    Column(name="ingest_ns", kind=Kind.INT64, unit="ns", doc="When this house took the message."),
    Column(name="extra", kind=Kind.JSON, null=True, varied=True, doc="Unknown keys of the message; null when none."),
)
"""The last four columns of every table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """What a table is: where its messages come from, its columns, and how its rows are filed.

    Attributes:
        name: dotted, as people type it: `futures.trades`.
        version: of the columns; a new version is a new folder.
        tier: `bronze` or `gold`.
        subject: exact subject; one more token also matches. `market.>` for the catch-all.
        stream: JetStream stream that carries the subject.
        columns: in stored order, without the system columns. Columns named in `partition_by`
            live in the folder name only.
        partition_by: folders below the table, outermost first; `date` and `hour` come from the event time.
        event_time: column the rows are filed and sorted by.
        event_time_fallback: used where `event_time` is null.
        shape: layout on the wire.
        sides: (price, size) columns that belong together: size 0 without a price is an absent side, so both are null.
        futures_roots: the partition value `symbol` is the root of the contract (`ES` for `ESZ5`).
        flush_rows: a flush is due after this many messages (a batch counts once); None for the tier's default.
        flush_seconds: or after this time; None for the tier's default.
        doc: one sentence for the reference page.
    """

    name: str
    version: int
    tier: str
    subject: str
    stream: str
    columns: tuple[Column, ...]
    partition_by: tuple[str, ...]
    event_time: str
    doc: str
    event_time_fallback: str | None = None
    shape: Shape = Shape.FLAT
    sides: tuple[tuple[str, str], ...] = ()
    futures_roots: bool = False
    flush_rows: int | None = None
    flush_seconds: float | None = None
    by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)
    arrow_schema: pa.Schema = field(init=False, repr=False, compare=False)
    decoded_schema: pa.Schema = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name = {column.name: column for column in self.columns}
        assert len(by_name) == len(self.columns), f"{self.name}: two columns share a name"
        assert self.event_time in by_name, f"{self.name}: event time {self.event_time} is no column"
        decoded = pa.schema([column.arrow for column in (*self.columns, *SYSTEM_COLUMNS)])
        stored = pa.schema([column.arrow for column in self.stored_columns])
        object.__setattr__(self, "by_name", by_name)
        object.__setattr__(self, "decoded_schema", decoded)
        object.__setattr__(self, "arrow_schema", stored)

    @property
    def schema_id(self) -> str:
        """Name and version: `futures.trades/1`."""
        return f"{self.name}/{self.version}"

    @property
    def folder(self) -> str:
        """Folder below the data root: `bronze/futures/trades`."""
        return f"{self.tier}/{self.name.replace('.', '/')}"

    @property
    def lane(self) -> str:
        """The lane that writes the table: its stream's name in lower case."""
        return self.stream.lower()

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """Columns inside the files, in order, the four system columns last."""
        return tuple(c for c in self.columns if c.name not in self.partition_by) + SYSTEM_COLUMNS

    @property
    def value_partitions(self) -> tuple[str, ...]:
        """Partition columns that come from a value of the row, so all but `date` and `hour`."""
        return tuple(name for name in self.partition_by if name not in TIME_PARTS)

    @property
    def polars_schema(self) -> pl.Schema:
        """What a Polars scan of the table gives: the stored columns, then the partition columns.

        Partition types are fixed, whatever the folder names look like: `date` Date, `hour` Int8, others String.
        """
        import polars as pl

        columns: dict[str, pl.DataType] = {column.name: column.kind.polars for column in self.stored_columns}
        return pl.Schema(columns | self.hive_schema)

    @property
    def hive_schema(self) -> dict[str, pl.DataType]:
        """Types of the partition columns, in folder order."""
        import polars as pl

        kinds: dict[str, pl.DataType] = {"date": pl.Date(), "hour": pl.Int8()}
        return {name: kinds.get(name, pl.String()) for name in self.partition_by}

    def partition_source(self, name: str) -> Column:
        """The column a value partition is taken from: of that name, or of that name on the wire.

        Raises:
            KeyError: `name` is `date`, `hour` or no partition of this table.
        """
        if name in self.value_partitions:
            for column in self.columns:
                if name in column.keys:
                    return column
        raise KeyError(name)
