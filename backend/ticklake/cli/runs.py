"""Commands that look at runs: runs ls, show, export, mark-crashed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final

import typer

from ticklake.base.moments import NS_PER_S, short_text, text_ns
from ticklake.base.words import count
from ticklake.catalog.run_record import RunRecord, RunStatus
from ticklake.catalog.runs import RunRegistry
from ticklake.cli.one import OneOption, show_one
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption, find_place

app = typer.Typer(help="Runs: what was executed, with which inputs and code, and how it ended.")

_TABLE_COLUMNS: Final = ("run_id", "kind", "status", "started_at", "seconds", "error")  # what a terminal has room for
_LS_COLUMNS: Final = (
    "run_id", "kind", "status", "started_at", "ended_at", "setup_id", "rule_version", "parent", "commit", "dirty",
    "artifacts", "error",
)  # fmt: skip

KindOption = Annotated[str | None, typer.Option(help="Only runs of this kind.")]
StatusOption = Annotated[RunStatus | None, typer.Option(help="Only runs with this status.")]
SetupOption = Annotated[str | None, typer.Option("--setup", help="Only runs of this setup.")]
RuleOption = Annotated[str | None, typer.Option("--rule-version", help="Only runs of this version of the rules.")]


@app.command()
def ls(
    kind: KindOption = None,
    status: StatusOption = None,
    setup_id: SetupOption = None,
    rule_version: RuleOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Print so many runs at most, newest first.")] = 100,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
) -> None:
    """List runs, newest first; `-o json` has more columns."""
    found = RunRegistry(find_place(data).data_root).find_runs(
        kind=kind, status=status, setup_id=setup_id, rule_version=rule_version, limit=limit + 1
    )
    if output is Output.TABLE:
        show_rows([_short(run) for run in found[:limit]], columns=_TABLE_COLUMNS)
    else:
        rows = [{**_row(run), "artifacts": len(run.artifacts)} for run in found[:limit]]
        show_rows(rows, output, columns=_LS_COLUMNS)
    if len(found) > limit:
        typer.echo(f"more than {limit} runs; raise --limit to see them", err=True)


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="From `ticklake runs ls`.")],
    output: OneOption = Output.JSON,
    data: DataOption = None,
) -> None:
    """Print one run whole."""
    show_one(_row(RunRegistry(find_place(data).data_root).get_run(run_id)), output)


@app.command()
def export(
    kind: KindOption = None, status: StatusOption = None, output: OutputOption = Output.JSON, data: DataOption = None
) -> None:
    """Print every run with all its fields, newest first."""
    found = RunRegistry(find_place(data).data_root).find_runs(kind=kind, status=status)
    show_rows([_row(run) for run in found], output)


@app.command("mark-crashed")
def mark_crashed(data: DataOption = None) -> None:
    """Mark runs whose process has died as crashed; prints their ids."""
    marked = RunRegistry(find_place(data).data_root).mark_crashed()
    for run_id in marked:
        typer.echo(run_id)
    typer.echo(f"{count(len(marked), 'run')} marked", err=True)


def _short(run: RunRecord) -> dict[str, Any]:
    start_ns = text_ns(run.started_at)
    seconds = None if run.ended_at is None else round((text_ns(run.ended_at) - start_ns) / NS_PER_S, 1)
    return {**_row(run), "started_at": short_text(start_ns), "seconds": seconds}


def _row(run: RunRecord) -> dict[str, Any]:
    return asdict(run)
