"""`ticklake tables`: the tables the service knows, from the same definitions that decode and store their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ticklake.base.errors import UsageError
from ticklake.base.settings import load_settings
from ticklake.cli.output import Output, OutputOption, show_json, show_rows
from ticklake.schema.json_schema import json_schema
from ticklake.schema.table import Column, TableSpec
from ticklake.sink.tier import make_catalog

_LIST_COLUMNS = ("table", "subject", "folder", "partition_by", "event_time", "columns", "doc")
_SHOW_COLUMNS = ("column", "type", "unit", "null", "wire", "doc")


def tables(
    name: Annotated[str | None, typer.Argument(help="Show the columns of this table, such as futures.trades.")] = None,
    as_json_schema: Annotated[
        bool, typer.Option("--json-schema", help="Print the JSON Schema of one message of the table.")
    ] = False,
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with user tables.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """The tables the service knows: columns, types, units, null rules."""
    catalog = make_catalog(load_settings(config=config))
    if as_json_schema:
        if name is None:
            raise UsageError("name a table, as in `ticklake tables futures.trades --json-schema`")
        show_json(json_schema(catalog.get(name)))
        return
    if name is None:
        columns = _LIST_COLUMNS if output in (Output.TABLE, Output.MARKDOWN) else None
        show_rows([_summary(table, output) for table in catalog], output, columns=columns)
        return
    table = catalog.get(name)
    rows = [_describe(column, table) for column in (*_partition_only(table), *table.stored_columns)]
    if output is Output.JSON:
        show_json(_summary(table, output) | {"columns": rows})
        return
    if output is Output.TABLE:
        typer.echo(f"{table.schema_id}  {table.doc}")
        typer.echo(f"subject {table.subject}, stream {table.stream}, folder {table.folder}/{_folders(table)}\n")
    show_rows(rows, output, columns=_SHOW_COLUMNS if output in (Output.TABLE, Output.MARKDOWN) else None)


def _summary(table: TableSpec, output: Output) -> dict[str, Any]:
    is_nested = output in (Output.JSON, Output.NDJSON)
    return {
        "table": table.name,
        "schema": table.schema_id,
        "tier": table.tier,
        "subject": table.subject,
        "stream": table.stream,
        "folder": table.folder,
        "partition_by": list(table.partition_by) if is_nested else ", ".join(table.partition_by),
        "event_time": table.event_time,
        "columns": len(table.stored_columns),
        "doc": table.doc,
    }


def _describe(column: Column, table: TableSpec) -> dict[str, Any]:
    in_folder = column.name in table.partition_by
    return {
        "column": column.name,
        "type": str(column.kind.arrow),
        "unit": column.unit,
        "null": column.null,
        "wire": column.keys[0],
        "in": "folder" if in_folder else "file",
        "doc": column.doc,
    }


def _partition_only(table: TableSpec) -> list[Column]:
    return [column for column in table.columns if column.name in table.partition_by]


def _folders(table: TableSpec) -> str:
    return "/".join(f"{name}=..." for name in table.partition_by)
