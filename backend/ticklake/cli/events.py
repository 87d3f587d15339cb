"""Events on the command line: events ls, show, export."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from ticklake.cli.one import OneOption
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption
from ticklake.cli.record_store import (
    DsnOption,
    EndOption,
    FileArgument,
    StartOption,
    beginning,
    ending,
    open_records,
    shown,
    write_rows,
)

app = typer.Typer(help="Events by time and type.")

TypeOption = Annotated[list[str] | None, typer.Option("--type", help="Only events of this type; may be repeated.")]


@app.command()
def ls(output: OutputOption = Output.TABLE, data: DataOption = None, dsn: DsnOption = None) -> None:
    """How many events of each day and type there are."""
    with open_records(data, dsn) as store:
        counts = store.count_events()
    rows = [{"day": day, "type": kind, "events": count} for (day, kind), count in counts.items()]
    show_rows(rows, output, columns=["day", "type", "events"])


@app.command()
def show(
    start: StartOption = None,
    end: EndOption = None,
    types: TypeOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Print so many events at most, the last ones.")] = 100,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Print events in the order of their times."""
    with open_records(data, dsn) as store:
        events = store.read_events(beginning(start), ending(end), types or None)
    columns = ["timestamp", "type", "symbol", "source", "ingested_at", "payload"]
    show_rows([shown(asdict(event)) for event in events[-limit:]], output, columns=columns)
    if len(events) > limit:
        typer.echo(f"the last {limit:,} of {len(events):,} events; raise --limit to see more", err=True)


@app.command()
def export(
    to: FileArgument = None,
    start: StartOption = None,
    end: EndOption = None,
    types: TypeOption = None,
    output: OneOption = Output.JSON,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Write events to a file, or to stdout."""
    with open_records(data, dsn) as store:
        write_rows(
            [asdict(event) for event in store.read_events(beginning(start), ending(end), types or None)], to, output
        )
