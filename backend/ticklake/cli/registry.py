"""Commands that look at the registered datasets: registry ls, show, export, refresh, status."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.entry import Lifecycle
from ticklake.cli.one import OneOption, show_one
from ticklake.cli.output import Output, OutputOption, show_json, show_rows
from ticklake.cli.place import DataOption, find_place

app = typer.Typer(help="Registered datasets.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="From `ticklake registry ls`.")]
_LS_COLUMNS: Final = ("name", "instrument", "tenor", "table", "status", "row_count", "start_date", "end_date", "tags")


def _open(data: DataOption) -> DataRegistry:
    return DataRegistry.of_lake(find_place(data).data_root)


@app.command()
def ls(
    instrument: Annotated[str | None, typer.Option(help="Exactly this instrument.")] = None,
    tenor: Annotated[str | None, typer.Option(help="Exactly this tenor.")] = None,
    table: Annotated[str | None, typer.Option(help="Exactly this table.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="With this tag; repeat for several.")] = None,
    status: Annotated[Lifecycle | None, typer.Option(help="Only datasets with this status.")] = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """List datasets: registered ones, lake tables, feature versions, training sets."""
    registry = _open(data)
    names = registry.list_datasets(instrument, tenor, table=table, tags=tag or (), status=status)
    rows = [registry.get_dataset_info(name) for name in names]
    show_rows(rows, output, columns=_LS_COLUMNS)


@app.command()
def show(name: NameArgument, output: OneOption = Output.JSON, data: DataOption = None) -> None:
    """Print all that is known about one dataset."""
    registry = _open(data)
    show_one({**registry.get_dataset_info(name), "stale": registry.is_stale(name)}, output)


@app.command()
def export(output: OutputOption = Output.JSON, data: DataOption = None) -> None:
    """Print every entry with all its fields."""
    registry = _open(data)
    show_rows([registry.get_dataset_info(name) for name in registry.list_datasets()], output)


@app.command()
def refresh(name: NameArgument, data: DataOption = None) -> None:
    """Read the statistics of one dataset again."""
    entry = _open(data).update_dataset_stats(name)
    show_json(entry.to_dict())


@app.command()
def status(
    name: NameArgument,
    to: Annotated[Lifecycle, typer.Argument(help="The new status.")],
    data: DataOption = None,
) -> None:
    """Change the status of a dataset."""
    entry = _open(data).set_status(name, to)
    typer.echo(f"{name}: {entry.status}", err=True)
