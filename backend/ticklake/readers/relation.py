"""What an engine must know to read a table: folders, fixed types of the partition columns, columns, time. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import polars as pl
import pyarrow as pa

from ticklake.base.errors import UsageError
from ticklake.files.place import Place
from ticklake.schema.table import TableSpec

_PARTITION_ARROW: Final[Mapping[str, pa.DataType]] = {"date": pa.date32(), "hour": pa.int8()}


@dataclass(frozen=True, slots=True)
class Relation:
    """One table as readers see it.

    Attributes:
        name: dotted table name, or `quarantine`.
        schema_id: what the footers of its files say (`futures.trades/1`).
        folder: relative to the data root.
        keys: partition columns, outermost first. `date` is a Date, `hour` an Int8, everything else text:
            engines that guess would turn `symbol=001` into 1 and `symbol=1E5` into 100000.0.
        file_schema: Arrow schema of the columns inside the files.
        event_time: columns whose first non-null value is the event time, ns UTC.
        order: what sorts rows of one event time.
    """

    name: str
    schema_id: str
    folder: str
    keys: tuple[str, ...]
    file_schema: pa.Schema
    event_time: tuple[str, ...]
    order: tuple[str, ...]

    @property
    def value_key(self) -> str | None:
        """The partition column that holds the instrument's root (`symbol`, `underlying`), if there is one."""
        return next((key for key in self.keys if key not in _PARTITION_ARROW), None)

    @property
    def partition_schema(self) -> pa.Schema:
        """Arrow types of the partition columns."""
        return pa.schema([(key, _PARTITION_ARROW.get(key, pa.string())) for key in self.keys])

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of what a reader gets: the columns of the files, then the partition columns."""
        return pa.schema([*self.file_schema, *self.partition_schema])

    @property
    def polars_schema(self) -> pl.Schema:
        """`schema` in the words of Polars."""
        return polars_schema(self.schema)

    @property
    def event_time_expr(self) -> pl.Expr:
        """The event time of a row, int64 ns UTC."""
        if len(self.event_time) == 1:
            return pl.col(self.event_time[0])  # bare, so that engines compare it with row-group statistics
        return pl.coalesce(self.event_time)


def relation_of(spec: TableSpec) -> Relation:
    """A declared table as readers see it."""
    times = (spec.event_time, spec.event_time_fallback if spec.by_name[spec.event_time].null else None)
    return Relation(
        name=spec.name,
        schema_id=spec.schema_id,
        folder=spec.folder,
        keys=tuple(spec.partition_by),
        file_schema=spec.arrow_schema,
        event_time=tuple(time for time in times if time),
        order=("stream_seq", "message_row"),
    )


def polars_schema(schema: pa.Schema) -> pl.Schema:
    """Polars types of an Arrow schema. Makes no table of it: for that Arrow would import pandas, where there is one."""
    return pl.Schema(schema)


def hive_schema(relation: Relation, root: Place) -> dict[str, pl.DataType]:
    """Fixed Polars types of everything in a path that looks like a partition, also above the lake (`/env=prod/lake`).

    Raises:
        UsageError: a folder above the lake has the name of a partition column.
    """
    types = dict(polars_schema(relation.partition_schema))
    above = [part.partition("=")[0] for part in root.parts if "=" in part]
    if clash := sorted(set(above) & set(types)):
        raise UsageError(f"{root}: the path holds `{clash[0]}=`, a partition column of {relation.name}; move the lake")
    return {**{key: pl.String() for key in above}, **types}


def checked_columns(relation: Relation, columns: Sequence[str] | None) -> list[str]:
    """The asked columns, or all of them.

    Raises:
        UsageError: the table has no such column, one is asked for twice, or the names are no list.
    """
    known = relation.schema.names
    if columns is None:
        return list(known)
    if isinstance(columns, str):
        raise UsageError(f"columns is the text {columns!r}; give a list: [{columns!r}]")
    if twice := [column for column, count in Counter(columns).items() if count > 1]:
        raise UsageError(f"column {twice[0]!r} is asked for twice; name it once")
    unknown = [column for column in columns if column not in known]
    if unknown:
        raise UsageError(f"{relation.name} has no column {unknown[0]!r}; it has {', '.join(known)}")
    return list(columns)
