"""`ticklake nats`: the streams on the server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ticklake.assemble import build_bus
from ticklake.base.errors import CheckFailedError
from ticklake.base.settings import Settings, load_settings
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.ingest.api import JetStreamApi
from ticklake.ingest.streams import StreamReport, init_stream, stream_config
from ticklake.sink.tier import lane_subjects, make_catalog

app = typer.Typer(help="Streams on the server.")


@app.callback()
def _group() -> None:
    """Streams on the server."""


@app.command()
def init(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file with settings and tables.")] = None,
    nats_url: Annotated[str | None, typer.Option("--nats-url", help="NATS server, several by comma.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only compare; create nothing.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create the streams that are missing. Existing ones are compared field by field and never changed.

    Exit code 3 when an existing stream differs, or (with --dry-run) when one is missing.
    """
    settings = load_settings(config=config, nats__url=nats_url)
    reports = asyncio.run(_init(settings, apply=not dry_run))
    rows = [
        {"stream": report.name, "outcome": report.outcome, "field": field, "wanted": wanted, "found": found}
        for report in reports
        for field, (wanted, found) in (report.differences or {"": ("", "")}).items()
    ]
    show_rows(rows, output)
    bad = [report.name for report in reports if report.outcome in ("differs", "missing")]
    if bad:
        raise CheckFailedError(
            f"{', '.join(bad)}: not as the lake would make them; `nats stream edit` changes a stream, nothing here does"
        )


async def _init(settings: Settings, *, apply: bool) -> list[StreamReport]:
    bus = build_bus(settings)
    await bus.connect()
    try:
        api = JetStreamApi(bus)
        streams = make_catalog(settings).streams()
        return [
            await init_stream(api, stream_config(name, lane_subjects(tables)), apply=apply)
            for name, tables in streams.items()
        ]
    finally:
        await bus.close()
