"""Results on stdout in the form that was asked for: a table for people, JSON, CSV, NDJSON or Markdown for programs."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, TextIO

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ticklake.base.moments import iso_text
from ticklake.schema.table import TIME_MAX_NS, TIME_MIN_NS

_PIPE_COLUMNS = 10_000
_NAMES = re.compile(r"(^|_)(id|seq|sequence|position|number|version|incarnation|row|port|year)$")
"""Columns whose numbers name something: a sequence with commas in it cannot be given to another command."""

Row = Mapping[str, Any]


class Output(StrEnum):
    """Form of a result."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"
    MARKDOWN = "markdown"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result on stdout.")]


def show_rows(
    rows: Iterable[Row],
    output: Output = Output.TABLE,
    *,
    columns: Sequence[str] | None = None,
    title: str | None = None,
    stream: TextIO | None = None,
) -> None:
    """Print rows.

    Args:
        rows: one mapping per row; a missing key counts as null.
        output: the form.
        columns: which keys, in which order; by default the keys of the first row.
        title: printed above a table, nowhere else.
        stream: where to; default stdout.
    """
    stream = stream or sys.stdout
    rows = list(rows)
    columns = list(columns or (rows[0] if rows else ()))
    if output is Output.TABLE:
        _show_table(rows, columns, title, stream)
    elif output is Output.CSV:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(name), null="") for name in columns] for row in rows)
    elif output is Output.MARKDOWN:
        for cells in (
            columns,
            ["---"] * len(columns),
            *([_cell(row.get(name), null="") for name in columns] for row in rows),
        ):
            stream.write("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n")
    elif output is Output.NDJSON:
        for row in rows:
            stream.write(_json({name: row.get(name) for name in columns}) + "\n")
    else:
        show_json([{name: row.get(name) for name in columns} for row in rows], stream=stream)


def show_json(value: Any, *, stream: TextIO | None = None) -> None:
    """Print one value as indented JSON."""
    text = msgspec.json.format(_json(value), indent=2)
    (stream or sys.stdout).write(text + "\n")


def _show_table(rows: Sequence[Row], columns: Sequence[str], title: str | None, stream: TextIO) -> None:
    numbers = {
        name
        for name in columns
        if all(isinstance(row.get(name), int | float | None) for row in rows)
        and any(row.get(name) is not None for row in rows)
    }
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    times = {name for name in numbers if name.endswith("_ns") and all(_is_time(row.get(name)) for row in rows)}
    for name in columns:
        # A number or a name cut in half is a lie: fold long text, never cut it.
        table.add_column(Text(name), justify="right" if name in numbers - times else "left", overflow="fold")
    for row in rows:
        table.add_row(*[Text(_shown(row.get(name), name, numbers, times)) for name in columns])
    if stream.isatty():
        Console(file=stream, highlight=False).print(table)
        return
    # Off a terminal a row is a line, however long, without padding: grep and diff want it so.
    page = io.StringIO()
    Console(file=page, width=_PIPE_COLUMNS, highlight=False).print(table)
    stream.writelines(line.rstrip() + "\n" for line in page.getvalue().splitlines())


def table_cell(value: Any, number: str | None, *, null: str = "") -> str:
    """A value as people read it.

    Args:
        value: what to show.
        number: name of a column of numbers: digits come in groups, unless the numbers name something; else None.
        null: for a missing value.
    """
    if number and isinstance(value, int) and not isinstance(value, bool) and not _NAMES.search(number):
        return f"{value:,}"
    return _cell(value, null=null)


def _shown(value: Any, name: str, numbers: set[str], times: set[str]) -> str:
    if name in times and value is not None:
        return iso_text(value)
    return table_cell(value, name if name in numbers else None, null="-")


def _is_time(value: Any) -> bool:
    return value is None or (isinstance(value, int) and TIME_MIN_NS <= value < TIME_MAX_NS)


def _cell(value: Any, *, null: str) -> str:
    if value is None:
        return null
    if isinstance(value, bool):
        return "true" if value else "false"
    plain = msgspec.to_builtins(value, enc_hook=str)  # a date, say, as text
    if isinstance(plain, str | int | float):
        text = str(plain)
        return text if text.isprintable() else repr(text)
    return _json(value)


def _json(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
