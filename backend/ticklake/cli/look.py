"""Commands that look at the lake and change nothing: ls, sql, recipe, verify."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, Final

import pyarrow as pa
import typer

from ticklake.base.clock import format_time
from ticklake.base.errors import CheckFailedError, UsageError
from ticklake.base.moments import short_text
from ticklake.cli.output import Output, OutputOption, show_json, show_rows
from ticklake.cli.place import DataOption, StateOption, find_place
from ticklake.cli.recipes import Engine, write_recipe
from ticklake.files.object_path import ObjectPath
from ticklake.readers.lake import Lake
from ticklake.readers.quarantine import NAME as QUARANTINE
from ticklake.readers.relation import Relation
from ticklake.readers.report import VerifyReport
from ticklake.readers.summary import Holding, partitions, total
from ticklake.readers.verify import verify_lake

_DEEP: Final = (
    "Decode every page and compare rows, folders, footers. In a bucket only this reads the bytes; without it the size "
    "and the checksum stored with each object are compared with the books."
)


class SqlOutput(StrEnum):
    """Form of a query result."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    NDJSON = "ndjson"
    MARKDOWN = "markdown"
    ARROW = "arrow"


def ls(
    table: Annotated[str | None, typer.Argument(help="Table (futures.trades) or folder of one.")] = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """What the lake holds: tables, or the partitions of one table."""
    lake = find_place(data).open()
    if table is None:
        names = [spec.name for spec in lake.catalog.tables] + [QUARANTINE]
        holdings = [(name, partitions(lake.data_root, lake.relation(name))) for name in names]
        found = [(name, parts) for name, parts in holdings if parts]
        rows = [{**_shown(total(name, parts), "table", output), "partitions": len(parts)} for name, parts in found]
        show_rows(rows, output, columns=["table", "partitions", "files", "rows", "bytes", "first_event", "last_event"])
        if not rows:
            typer.echo(f"nothing stored yet below {lake.data_root}", err=True)
        return
    relation, below = _relation_below(lake, table)
    parts = [part for part in partitions(lake.data_root, relation) if f"{part.name}/".startswith(below)]
    columns = ["partition", "files", "rows", "bytes", "first_event", "last_event"]
    show_rows([_shown(part, "partition", output) for part in parts], output, columns=columns)


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over tables named as in `ticklake ls`.")],
    output: Annotated[SqlOutput, typer.Option("--output", "-o", help="Form of the result on stdout.")] = (
        SqlOutput.TABLE
    ),
    data: DataOption = None,
) -> None:
    """Ask the lake in SQL: `ticklake sql "SELECT symbol, count(*) FROM futures.trades GROUP BY symbol"`."""
    rows = find_place(data).open().sql(query)
    if output is SqlOutput.ARROW:
        if sys.stdout.isatty():
            raise UsageError("an Arrow stream is no text: redirect stdout to a file or a program")
        stream = rows.to_arrow(compat_level=None)
        with pa.ipc.new_stream(sys.stdout.buffer, stream.schema) as writer:
            writer.write_table(stream)
        return
    show_rows(rows.iter_rows(named=True), Output(output.value), columns=rows.columns)


def recipe(
    engine: Annotated[Engine, typer.Argument(help="What the snippet is for.")],
    table: Annotated[str, typer.Argument(help="Table (futures.trades).")],
    data: DataOption = None,
) -> None:
    """Print a Python snippet that reads a table without ticklake."""
    lake = find_place(data).open()
    typer.echo(write_recipe(engine, lake.relation(table), lake.data_root), nl=False)


def verify(
    table: Annotated[str | None, typer.Argument(help="Check the files of this table only.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help=_DEEP)] = False,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    state: StateOption = None,
) -> None:
    """Prove that the books balance and every file is whole. Exit 3 when anything is off, naming it.

    As JSON the whole report; as CSV, NDJSON or Markdown the problems, one a row.
    """
    place = find_place(data, state)
    state_dir = place.state_dir if place.state_dir and place.state_dir.is_dir() else None
    if state is not None and state_dir is None:
        raise UsageError(f"no state folder at {place.state_dir}; check --state")
    report = verify_lake(place.data_root, state_dir, table, deep, tables=place.open().catalog.tables)
    if state_dir is None:
        where = f"no state folder at {place.state_dir}" if place.state_dir else "no state folder was named (--state)"
        typer.echo(f"waiting is unknown: {where}; only the lake was checked", err=True)
    if output is Output.JSON:
        show_json(report.to_dict())
    elif output is Output.TABLE:
        _show_report(report, reads_bytes=not isinstance(place.data_root, ObjectPath))
    else:
        problems = [asdict(problem) for problem in report.problems]
        show_rows(problems, output, columns=["code", "path", "what", "next_step"])
    if not report.is_ok:
        count = max(len(report.problems), 1)
        raise CheckFailedError(
            "1 problem found; it names its next step"
            if count == 1
            else f"{count} problems found; each names its next step"
        )


def _show_report(report: VerifyReport, *, reads_bytes: bool) -> None:
    counts = ["received", "stored", "quarantined", "duplicates", "waiting", "missing", "rows", "retired"]
    books = [
        {
            "stream": book.stream,
            "received": book.received,
            "stored": book.stored,
            "quarantined": book.quarantined,
            "duplicates": book.duplicates,
            "waiting": book.waiting,
            "missing": book.missing,
            "rows": book.stored_rows,
            "retired": book.retired_rows,
            "balanced": book.is_balanced,
        }
        for book in report.books
    ]
    show_rows(books, columns=["stream", *counts, "balanced"])
    how = "every byte checked" if reads_bytes else "sizes and stored checksums compared; --deep reads the bytes"
    how = "every page decoded" if report.is_deep else how
    typer.echo(f"\n{report.files:,} files, {report.rows:,} rows, {report.bytes:,} bytes: {how}")
    if report.pending:
        typer.echo(f"{len(report.pending)} files of a commit under way were left out")
    if report.leaving:
        typer.echo(f"{len(report.leaving)} files are about to be retired; the next `ticklake retention run` goes on")
    for problem in report.problems:
        typer.echo(str(problem))
    if report.is_ok:
        typer.echo("ok: received = stored + quarantined + duplicates + waiting, and nothing is off")


def _relation_below(lake: Lake, name: str) -> tuple[Relation, str]:
    """The table, and the beginning of the partition folders that are asked for."""
    path = name.strip("/")
    for spec in lake.catalog.tables:
        if f"{path}/".startswith(f"{spec.folder}/"):
            below = path[len(spec.folder) + 1 :]
            return lake.relation(spec.name), f"{below}/" if below else ""
    return lake.relation(name), ""


def _shown(holding: Holding, label: str, output: Output) -> dict[str, Any]:
    moment = short_text if output is Output.TABLE else format_time  # a terminal has no room for nine digits
    return {
        label: holding.name,
        "files": holding.files,
        "rows": holding.rows,
        "bytes": holding.bytes,
        "first_event": None if holding.first_ns is None else moment(holding.first_ns),
        "last_event": None if holding.last_ns is None else moment(holding.last_ns),
    }
