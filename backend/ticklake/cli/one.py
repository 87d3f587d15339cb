"""One thing on stdout: as a JSON object, or as its fields, one per row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ticklake.cli.output import Output, show_json, show_rows

OneOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result on stdout.")]


def show_one(fields: Mapping[str, Any], output: Output = Output.JSON) -> None:
    """Print a mapping whole: JSON as it is, other forms with a row per field."""
    if output is Output.JSON:
        show_json(dict(fields))
    else:
        rows = [{"field": name, "value": value} for name, value in fields.items()]
        show_rows(rows, output, columns=("field", "value"))
