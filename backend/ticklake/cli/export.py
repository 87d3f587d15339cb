"""Commands that make the lake readable for others: export delta."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption, find_place
from ticklake.readers.delta import export_delta

app = typer.Typer(help="The lake for other engines: a Delta log over its finished files.")


@app.callback()
def _group() -> None:
    """Keeps `delta` a command of its own, though it is the only one."""


@app.command()
def delta(
    table: Annotated[str, typer.Argument(help="Table (futures.trades), or `quarantine`.")],
    to: Annotated[
        str | None,
        typer.Option("--to", help="Root of the Delta table. \\[default: DATA/delta/TABLE]", metavar="FOLDER|URI"),
    ] = None,
    absolute: Annotated[
        bool, typer.Option("--absolute", help="Name files by absolute URIs instead of linking them beside the log.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """Bring a Delta log over a table's files up to date, for Spark, Trino and Databricks. No data is copied."""
    lake = find_place(data).open()
    done = export_delta(lake.data_root, lake.relation(table), to=to, absolute=absolute, dry_run=dry_run)
    show_rows([dataclasses.asdict(done)], output)
    if dry_run:
        typer.echo("nothing was changed: --dry-run", err=True)
