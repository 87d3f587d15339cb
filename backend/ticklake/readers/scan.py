"""A table as a Polars frame: an explicit, pruned list of files, fixed types, rows exact to the nanosecond."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from ticklake.base.errors import NoDataError, UsageError
from ticklake.files.place import Place, place_of
from ticklake.readers.footer import name_the_culprit
from ticklake.readers.listing import DataFile, check_ends, has_files, list_files
from ticklake.readers.query import EVERYTHING, Day, Instant, Selection, TimeRange, days_of, half_open, values_of
from ticklake.readers.relation import Relation, checked_columns, hive_schema, relation_of
from ticklake.schema.table import TableSpec


def scan_table(
    root: Place | str,
    spec: TableSpec,
    *,
    symbol: str | Iterable[str] | None = None,
    start: Instant | None = None,
    end: Instant | None = None,
    date: Day | Iterable[Day] | None = None,
    columns: Sequence[str] | None = None,
    as_datetime: bool = False,
) -> pl.LazyFrame:
    """Rows of one table, lazily.

    Shape:  one row per stored event, in no particular order; the columns of the files, then the partition columns
            (text, Date, Int8). A range without rows gives an empty frame with all columns.

    Args:
        root: the data root.
        spec: the table.
        symbol: values of the table's instrument partition (`symbol`, for options and signals `underlying`), as they
            are, not encoded.
        start: first event time, included: ns since 1970, ISO text, date or aware datetime.
        end: event time at which to stop, **not** included.
        date: UTC dates of the event time.
        columns: which columns, in this order; all when None.
        as_datetime: add for every int64 time `..._ns` a `..._utc` column, Datetime("ns", "UTC").

    Raises:
        UsageError: the arguments make no sense for this table.
        NoDataError: the table, or every asked symbol, has no file at all.
        CorruptError: a file is empty, cut or foreign; the text names it. In a bucket only names and sizes are looked
            at; that an object is no Parquet file is found by `collect`, in the words of Polars (`read` names it).
        StoreUnavailableError: the lake lies in a bucket whose store does not answer, or does not let us in.
    """
    selection = Selection(values=values_of(symbol), dates=days_of(date), range=half_open(start, end))
    return scan(place_of(root), relation_of(spec), selection, columns=columns, as_datetime=as_datetime)


def scan(
    root: Place,
    relation: Relation,
    selection: Selection = EVERYTHING,
    *,
    columns: Sequence[str] | None = None,
    as_datetime: bool = False,
) -> pl.LazyFrame:
    """`scan_table` for a selection that is already understood."""
    frame = _frame(relation, find_files(root, relation, selection), root, selection.range)
    return _present(frame, relation, columns=columns, as_datetime=as_datetime)


def read(
    root: Place,
    relation: Relation,
    selection: Selection = EVERYTHING,
    *,
    where: pl.Expr | None = None,
    columns: Sequence[str] | None = None,
    as_datetime: bool = False,
    files: Sequence[DataFile] | None = None,
) -> pl.DataFrame:
    """The same rows, now, sorted by event time, then stream sequence, then row of the message.

    Args:
        root: the data root.
        relation: the table.
        selection: partitions and times.
        where: a further condition on the rows.
        columns: which columns; all when None.
        as_datetime: see `scan_table`.
        files: what `find_files` gave for the selection; looked for when None.

    Raises:
        CorruptError: a file cannot be read; the text names it.
        StoreUnavailableError: see `scan_table`.
    """
    wanted = checked_columns(relation, columns)
    files = find_files(root, relation, selection) if files is None else files
    frame = _frame(relation, files, root, selection.range)
    if where is not None:
        frame = frame.filter(where)
    needed = dict.fromkeys([*wanted, *relation.event_time, *relation.order])
    try:
        rows = frame.select(list(needed)).collect()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise name_the_culprit(files, relation, error) from error
    rows = sort_rows(rows, relation).select(wanted)
    return rows.with_columns(_stamps(relation, wanted)) if as_datetime else rows


def find_files(root: Place, relation: Relation, selection: Selection) -> list[DataFile]:
    """The files that can hold wanted rows, in order of their paths. Their ends were checked.

    Raises:
        UsageError: the table is not partitioned by an instrument, but one is asked for.
        NoDataError: the table, or every asked symbol, has no file at all.
        CorruptError: something lies there that is no data file of ours.
    """
    if selection.values is not None and relation.value_key is None:
        raise UsageError(f"{relation.name} is not partitioned by symbol; leave symbol out and filter the rows")
    base = root / relation.folder
    files = list_files(base, relation.keys, selection)
    if not files:
        _explain_absence(base, relation, selection)
    check_ends(files)
    return files


def sort_rows(rows: pl.DataFrame, relation: Relation) -> pl.DataFrame:
    """Sort by event time, stream sequence and row of the message. Gives `rows` itself when they are in order."""
    if is_sorted(rows, relation):
        return rows
    return rows.sort(relation.event_time_expr, *relation.order)  # nulls first, as in `is_sorted`


def is_sorted(rows: pl.DataFrame, relation: Relation) -> bool:
    """Whether rows are in the order of event time, stream sequence and row of the message; null comes first."""
    time = rows[relation.event_time[0]] if len(relation.event_time) == 1 else None
    if time is not None and time.null_count() == 0 and not time.is_sorted():
        return False
    sequence, row = (rows[name] for name in relation.order)
    if time is not None and row.max() in (0, None) and sequence.is_sorted():
        return True  # the usual case, found at memory speed: events arrive in order, one a message
    keys = rows.select(relation.event_time_expr.alias("time"), *(pl.col(name).fill_null(-1) for name in relation.order))
    before, equal = pl.lit(value=False), pl.lit(value=True)
    for name in keys.columns:
        before = before | (equal & (pl.col(name).diff() < 0))
        equal = equal & (pl.col(name).diff() == 0)
    return not keys.select(before.any()).item()


def _explain_absence(base: Place, relation: Relation, selection: Selection) -> None:
    """Return when the table has data elsewhere: then the answer is empty. Raise when there is none to have."""
    name = relation.name
    if not has_files(base, relation.keys):
        raise NoDataError(f"{name} has no data: no file below {base}; see `ticklake ls` for what there is")
    if selection.values is not None and not has_files(base, relation.keys, Selection(values=selection.values)):
        asked = ", ".join(sorted(selection.values))
        raise NoDataError(f"{name} has no data for {asked}; see `ticklake ls {name}` for what there is")


def _frame(relation: Relation, files: Sequence[DataFile], root: Place, range_: TimeRange) -> pl.LazyFrame:
    """Rows of the files within the range: file columns, then partition columns."""
    if not files:
        return pl.LazyFrame(schema=relation.polars_schema)
    frame = pl.scan_parquet(
        [file.path for file in files],
        glob=False,
        hive_partitioning=True,
        hive_schema=hive_schema(relation, root),
        schema=_file_schema(relation),
        storage_options=files[0].stored.store.access.polars_options if files[0].stored else None,
    ).select(relation.schema.names)
    time = relation.event_time_expr
    if range_.start_ns is not None:
        frame = frame.filter(time >= range_.start_ns)
    if range_.until_ns is not None:
        frame = frame.filter(time < range_.until_ns)
    return frame


def _file_schema(relation: Relation) -> pl.Schema:
    return pl.Schema({name: dtype for name, dtype in relation.polars_schema.items() if name not in relation.keys})


def _present(
    frame: pl.LazyFrame, relation: Relation, *, columns: Sequence[str] | None, as_datetime: bool
) -> pl.LazyFrame:
    """The asked columns, with times as timestamps beside them when asked."""
    wanted = checked_columns(relation, columns)
    frame = frame.select(wanted)
    return frame.with_columns(_stamps(relation, wanted)) if as_datetime else frame


def _stamps(relation: Relation, columns: Sequence[str]) -> list[pl.Expr]:
    """Beside each time `..._ns` the same as a timestamp."""
    times = [name for name in columns if name.endswith("_ns") and relation.polars_schema[name] == pl.Int64]
    return [
        pl.from_epoch(name, time_unit="ns").dt.replace_time_zone("UTC").alias(f"{name.removesuffix('_ns')}_utc")
        for name in times
    ]
