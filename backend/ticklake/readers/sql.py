"""One SQL question to the lake, answered by DuckDB inside this process: only SELECT, only the lake's own files.

Tables are named as everywhere: `futures.trades`, `levels.signals`, `raw`, `quarantine`. Each one that the question
mentions becomes a view over exactly the files that exist now; DuckDB prunes them by the partition columns (`symbol`,
`date`, `hour`). The engine may open these files and nothing else: no network, no extensions, no writing. Objects of a
bucket it reads through us (`object_files`). That is a guard against mistakes, not a sandbox for strangers: do not run
questions of people you would not give a shell.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import duckdb
import polars as pl
import pyarrow as pa

from ticklake.base.errors import TickLakeError, UsageError
from ticklake.base.words import names_near
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.side_by_side import REQUESTS_MAX
from ticklake.readers.footer import find_culprit, name_the_culprit
from ticklake.readers.listing import DataFile, check_ends, list_files
from ticklake.readers.relation import Relation

if TYPE_CHECKING:  # an extra
    from ticklake.readers.object_files import ListedFiles

_LOCKED: Final = (
    "SET temp_directory = ''",  # a question that does not fit into memory fails instead of filling the disk
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",  # `FROM frame` must not find the caller's variables
    "SET enable_external_access = false",
    "SET lock_configuration = true",  # last: nothing above can be undone
)
_WHOLE_TYPES: Final = (pl.Decimal(38, 0),)  # what DuckDB's 128-bit sums of integers come back as
_MISTAKES: Final = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.DataError,
    duckdb.OutOfMemoryException,
)  # the question's fault for sure; everything else may come from a damaged file
_NO_TABLE: Final = re.compile(r'Catalog Error: Table with name "?(.+?)"? does not exist')
_INT64: Final = (-(2**63), 2**63 - 1)
_INTERVAL: Final = str(pa.month_day_nano_interval())
_PAUSE_S: Final = 0.1  # so long may Ctrl-C go unheard
_DIGITS_38: Final = 10**38


def run_sql(root: Place, relations: Iterable[Relation], query: str) -> pl.DataFrame:
    """The rows a SELECT gives.

    Shape:  as the query says. Sums of int64 columns come back as Int64 where they fit. Timestamps are UTC.

    Args:
        root: the data root.
        relations: the tables that may be mentioned.
        query: one SELECT (or WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW).

    Raises:
        UsageError: not one single SELECT, DuckDB does not understand it, or its answer is no frame.
        CorruptError: a file that the query reads is empty, cut or foreign; the text names it.
        StoreUnavailableError: the lake lies in a bucket whose store does not answer, or does not let us in.
    """
    with duckdb.connect(":memory:") as connection:
        _check_is_question(connection, query)
        connection.execute("SET TimeZone = 'UTC'")
        objects = _serve_objects(connection) if isinstance(root, ObjectPath) else None
        bound: dict[str, tuple[Relation, list[DataFile]]] = {}
        known = list(relations)
        for relation in known:
            if _is_mentioned(relation.name, query):
                bound[relation.name] = (relation, _bind(connection, root, relation, objects))
        paths = [file.path for _, files in bound.values() for file in files]
        connection.execute(f"SET allowed_paths = {text_list(paths)}")
        for setting in _LOCKED:
            connection.execute(setting)
        try:
            result = _ask(connection, query)
        except duckdb.Error as error:
            names = [relation.name for relation in known]
            raise (objects and objects.failure) or _explain(error, bound.values(), names) from error
    frame = _frame(result)
    return frame.with_columns(_narrowed(column) for column in frame.iter_columns() if column.dtype in _WHOLE_TYPES)


def text(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


def text_list(values: Sequence[str]) -> str:
    """A SQL list of string literals."""
    return "[" + ", ".join(map(text, values)) + "]"


def name(identifier: str) -> str:
    """A quoted SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def hive_types(relation: Relation) -> str:
    """The fixed types of the partition columns, as DuckDB's `hive_types` wants them."""
    kinds = {"date": "DATE", "hour": "TINYINT"}
    return "{" + ", ".join(f"{text(key)}: {kinds.get(key, 'VARCHAR')}" for key in relation.keys) + "}"


def _check_is_question(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    try:
        statements = connection.extract_statements(query)
    except duckdb.Error as error:
        raise UsageError(f"no SQL that DuckDB understands: {error}") from error
    if len(statements) != 1 or statements[0].type is not duckdb.StatementType.SELECT:
        kinds = ", ".join(statement.type.name for statement in statements) or "nothing"
        raise UsageError(f"the lake answers one SELECT at a time and changes nothing; this is {kinds}")


def _is_mentioned(table: str, query: str) -> bool:
    """Whether the question can mean the table. Too often yes is harmless: a view more."""
    folded = query.casefold()
    return all(part.casefold() in folded for part in table.split("."))


def _serve_objects(connection: duckdb.DuckDBPyConnection) -> ListedFiles:
    """Let the engine read objects that we list, and wait for many at a time."""
    from ticklake.readers.object_files import ListedFiles  # an extra

    files = ListedFiles()
    connection.register_filesystem(files)
    connection.execute(f"SET threads = {REQUESTS_MAX}")
    return files


def _bind(
    connection: duckdb.DuckDBPyConnection, root: Place, relation: Relation, objects: ListedFiles | None
) -> list[DataFile]:
    """Make the table's view over the files that exist now."""
    files = list_files(root / relation.folder, relation.keys)
    check_ends(files)
    if objects is not None:
        objects.add(files)
    schema, _, table = relation.name.rpartition(".")
    if schema:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name(schema)}")
    target = f"{name(schema)}.{name(table)}" if schema else name(table)
    if not files:
        connection.register("no_rows", _plain(relation.schema).empty_table())
        connection.execute(f"CREATE TABLE {target} AS SELECT * FROM no_rows")  # noqa: S608 - quoted
        connection.unregister("no_rows")
        return []
    columns = ", ".join(map(name, relation.schema.names))
    source = (
        f"read_parquet({text_list([file.path for file in files])}, hive_partitioning = true, "
        f"hive_types = {hive_types(relation)}, union_by_name = false)"
    )
    try:
        connection.execute(f"CREATE VIEW {target} AS SELECT {columns} FROM {source}")  # noqa: S608 - quoted
    except duckdb.Error as error:
        raise (objects and objects.failure) or name_the_culprit(files, relation, error) from error
    return files


def _plain(schema: pa.Schema) -> pa.Schema:
    """The same columns, all of them nullable."""
    return pa.schema([field.with_nullable(True) for field in schema])


def _explain(
    error: duckdb.Error, bound: Iterable[tuple[Relation, list[DataFile]]], names: Sequence[str]
) -> TickLakeError:
    """A mistake in the question is a UsageError; any other complaint may be a damaged file."""
    if missing := _NO_TABLE.match(str(error)):
        if missing[1] in names:  # DuckDB takes the first of three words for a database
            schema, _, table = missing[1].rpartition(".")
            return UsageError(f"a table of more than two words has quotes in SQL: {name(schema)}.{table}")
        return UsageError(f"no table is named {missing[1]!r}; {names_near(missing[1], names)}")
    if isinstance(error, duckdb.PermissionException):
        return UsageError(f"the lake's SQL reads the lake's tables and nothing else: {error}")
    if not isinstance(error, _MISTAKES):
        for relation, files in bound:
            if culprit := find_culprit(files, relation):
                return culprit
    return UsageError(f"{error}; correct the query")


def _ask(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """The answer, found by another thread: a long question hears nothing of Ctrl-C in the thread that it runs in."""
    with ThreadPoolExecutor(1) as aside:
        answer = aside.submit(lambda: connection.sql(query).to_arrow_table())
        try:
            while not answer.done():
                wait([answer], timeout=_PAUSE_S)
        except KeyboardInterrupt:
            while not answer.done():  # again and again: a question that has not begun yet forgets it
                connection.interrupt()
                wait([answer], timeout=_PAUSE_S)
            raise
        return answer.result()


def _frame(result: pa.Table) -> pl.DataFrame:
    """The answer as a frame, if it can be one.

    Raises:
        UsageError: two columns have one name, or a column is an interval.
    """
    if twice := [column for column, count in Counter(result.column_names).items() if count > 1]:
        raise UsageError(f"more than one column of the answer is called {twice[0]!r}; name them apart with AS")
    for field in result.schema:
        if _INTERVAL in str(field.type):  # also inside a list or a struct
            raise UsageError(
                f"column {field.name!r} is an INTERVAL, which frames do not know; subtract times in ns (`..._ns`), or "
                "write CAST(... AS VARCHAR)"
            )
    frame = pl.from_arrow(result)
    assert isinstance(frame, pl.DataFrame)
    return frame


def _narrowed(column: pl.Series) -> pl.Series:
    """A column of 128-bit whole numbers as Int64 when all of them fit.

    Raises:
        UsageError: it holds a number of more than 38 digits, whose last one is lost on the way here.
    """
    low, high = column.min(), column.max()
    if not isinstance(low, Decimal) or not isinstance(high, Decimal):
        return column.cast(pl.Int64)  # no number at all
    if max(-low, high) >= _DIGITS_38:
        raise UsageError(f"column {column.name!r} holds a whole number of more than 38 digits; CAST(... AS DOUBLE)")
    return column.cast(pl.Int64) if low >= _INT64[0] and high <= _INT64[1] else column
