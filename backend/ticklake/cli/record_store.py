"""What the commands over records share: where the store lies, times on the command line, rows into a file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import polars as pl
import typer

from ticklake.base.errors import RejectedError, UsageError
from ticklake.base.words import count
from ticklake.cli.output import Output, Row, show_rows
from ticklake.cli.place import find_place, shelf
from ticklake.files.atomic import replace
from ticklake.files.documents import encode_document
from ticklake.stores.file_store import FileDataStore
from ticklake.stores.postgres import PostgresDataStore
from ticklake.stores.protocol import DataStore
from ticklake.stores.spans import Moment

FOLDER: Final = "records"
"""Where in the data root the records lie."""

DsnOption = Annotated[
    str | None, typer.Option("--dsn", help="PostgreSQL that holds the records. \\[default: files in DATA/records]")
]
StartOption = Annotated[str | None, typer.Option("--start", help="First time, ISO (2026-01-05, 2026-01-05T14:30Z).")]
FileArgument = Annotated[
    Path | None, typer.Argument(metavar="[FILE]", help="A .parquet, .csv, .json or .ndjson file; stdout without one.")
]
EndOption = Annotated[str | None, typer.Option("--end", help="Last time, included; a date means until its end.")]


@contextmanager
def open_records(data: str | None, dsn: str | None, *, make: bool = False) -> Iterator[DataStore]:
    """The store that the options name.

    Args:
        data: the data root; from the settings when None.
        dsn: a PostgreSQL server instead of files.
        make: create an empty store where there is none, instead of saying so.

    Raises:
        NoDataError: there is no lake.
    """
    if dsn is not None:
        with PostgresDataStore.open(dsn) as store:
            yield store
        return
    folder = find_place(data, make=make).data_root / FOLDER
    if make:
        yield FileDataStore(folder)
        return
    with shelf(folder) as there:
        yield FileDataStore(there)


@contextmanager
def given_file() -> Iterator[None]:
    """Around the reading of a file that the user names: what is wrong with it is wrong with the call.

    Raises:
        UsageError: the file is not what the command takes; the text says where.
    """
    try:
        yield
    except RejectedError as error:
        raise UsageError(str(error)) from error


def moment(text: str | None) -> Moment | None:
    """A date or a time on the command line; a time without a zone is UTC.

    Raises:
        UsageError: the text is neither.
    """
    if text is None:
        return None
    try:
        if len(text) == len("2026-01-05"):
            return date.fromisoformat(text)
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no time; write it as 2026-01-05 or 2026-01-05T14:30:00Z") from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def beginning(text: str | None) -> Moment:
    """`moment`, or the beginning of time."""
    return moment(text) or date.min


def ending(text: str | None) -> Moment:
    """`moment`, or the end of time."""
    return moment(text) or date.max


def shown(row: Row) -> dict[str, Any]:
    """A row with times as ISO text."""
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}


def write_rows(rows: pl.DataFrame | Sequence[Row], path: Path | None, output: Output = Output.JSON) -> None:
    """Write rows to a file in the form that its name asks for, whole or not at all, and say so on stderr.

    Args:
        rows: what to write.
        path: the file; None for stdout.
        output: the form on stdout.

    Raises:
        UsageError: the name ends in none of .parquet, .csv, .json, .ndjson.
    """
    if path is None:
        listed = rows.to_dicts() if isinstance(rows, pl.DataFrame) else rows
        show_rows([shown(row) for row in listed], output)
        return
    replace(path, _encode(rows, path))
    typer.echo(f"{count(len(rows), 'row')} to {path}", err=True)


def _encode(rows: pl.DataFrame | Sequence[Row], path: Path) -> bytes:
    content = io.BytesIO()
    match path.suffix.lower():
        case ".json" | ".ndjson" as suffix:
            listed = rows.to_dicts() if isinstance(rows, pl.DataFrame) else [dict(row) for row in rows]
            if suffix == ".json":
                return encode_document(listed, plain=True)
            return b"".join(encode_document(row, plain=True, indent=None) + b"\n" for row in listed)
        case ".parquet":
            _frame(rows).write_parquet(content)
        case ".csv":
            _frame(rows).write_csv(content)
        case _:
            raise UsageError(f"{path}: what form? end the name in .parquet, .csv, .json or .ndjson")
    return content.getvalue()


def _frame(rows: pl.DataFrame | Sequence[Row]) -> pl.DataFrame:
    if isinstance(rows, pl.DataFrame):
        return rows
    plain = [{name: _cell(value) for name, value in row.items()} for row in rows]
    return pl.DataFrame(plain, infer_schema_length=None)


def _cell(value: Any) -> Any:
    """A value as one cell: what has parts becomes JSON."""
    if value is None or isinstance(value, bool | int | float | str | date):
        return value
    return encode_document(value, plain=True, indent=None).decode()
