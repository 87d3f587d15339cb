"""Strategy state on the command line: state ls, show, export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ticklake.base.errors import NoDataError
from ticklake.cli.one import OneOption, show_one
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption
from ticklake.cli.record_store import DsnOption, open_records
from ticklake.files.atomic import replace
from ticklake.files.documents import decode_document, encode_document
from ticklake.stores.protocol import DataStore
from ticklake.stores.state import StateVersion, encode_state

app = typer.Typer(help="State of strategies, in versions.")

StrategyArgument = Annotated[str, typer.Argument(help="The strategy, as in `state ls`.")]
VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="Which version; the newest by default.")]


@app.command()
def ls(
    strategy: Annotated[str | None, typer.Argument(help="List the versions of this strategy.")] = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Which strategies have a state, or which versions of one are kept."""
    with open_records(data, dsn) as store:
        if strategy is None:
            saved = [_read(store, name, None) for name in store.list_strategies()]
        else:
            saved = [_read(store, strategy, version) for version in store.list_state_versions(strategy)]
    rows = [
        {
            "strategy": one.strategy_name,
            "version": one.version,
            "saved_at": one.saved_at.isoformat(),
            "schema": one.schema,
        }
        for one in saved
    ]
    show_rows(rows, output, columns=["strategy", "version", "saved_at", "schema"])


@app.command()
def show(
    strategy: StrategyArgument,
    version: VersionOption = None,
    output: OneOption = Output.JSON,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Print a state for people; `export` keeps the types."""
    with open_records(data, dsn) as store:
        content = encode_document(_read(store, strategy, version).state, plain=True)
    if output is Output.JSON:
        typer.echo(content.decode(), nl=False)
    else:
        show_one(decode_document(content), output)


@app.command()
def export(
    strategy: StrategyArgument,
    to: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="File, JSON with types; stdout without one.")
    ] = None,
    version: VersionOption = None,
    output: OneOption = Output.JSON,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Write a version to a file, with number, time and types; `ticklake.stores.load_json` reads it."""
    with open_records(data, dsn) as store:
        saved = _read(store, strategy, version)
    content = encode_state(saved)
    if to is None and output is Output.JSON:
        typer.echo(content.decode(), nl=False)
        return
    if to is None:
        show_one(decode_document(encode_document(decode_document(content), plain=True)), output)
        return
    replace(to, content)
    typer.echo(f"version {saved.version} of {strategy} to {to}", err=True)


def _read(store: DataStore, strategy: str, version: int | None) -> StateVersion:
    found = store.read_strategy_state(strategy, version=version)
    if found is None:
        wanted = "no state" if version is None else f"no version {version}"
        raise NoDataError(f"{strategy} has {wanted}; see `ticklake state ls`")
    return found
