"""`ticklake config show`: every setting with value, unit, origin and meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ticklake.base.settings import load_settings
from ticklake.base.settings_explain import explain
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.sink.tier import make_catalog

app = typer.Typer(help="Settings: value, unit, origin.")


@app.callback()
def _group() -> None:
    """Settings: value, unit, origin."""


@app.command()
def show(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with settings.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print every setting. Secrets are masked; what is wrong is named and ends with exit code 78."""
    settings = load_settings(config=config)
    make_catalog(settings)  # the tables of the user, as `serve` will read them
    rows = [line._asdict() for line in explain(settings)]
    columns = ("key", "value", "unit", "origin") if output is Output.TABLE else None
    show_rows(rows, output, columns=columns)
