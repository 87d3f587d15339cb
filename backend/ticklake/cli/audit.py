"""The audit log on the command line: audit ls, show, export, verify, head."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from ticklake.base.errors import CheckFailedError, UsageError
from ticklake.base.words import count
from ticklake.cli.one import OneOption
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption
from ticklake.cli.record_store import (
    DsnOption,
    EndOption,
    FileArgument,
    StartOption,
    moment,
    open_records,
    shown,
    write_rows,
)
from ticklake.stores.audit_chain import ChainHead
from ticklake.stores.audit_records import AuditKind
from ticklake.stores.protocol import DataStore

app = typer.Typer(help="What strategies decided and ordered: append-only, chained by hashes.")

KindArgument = Annotated[AuditKind, typer.Argument(help="Which log.")]
StrategyOption = Annotated[str | None, typer.Option("--strategy", help="Only this strategy.")]


@app.command()
def ls(output: OutputOption = Output.TABLE, data: DataOption = None, dsn: DsnOption = None) -> None:
    """How long each log is, and whether it is whole."""
    with open_records(data, dsn) as store:
        reports = [store.verify_audit(kind) for kind in AuditKind]
    rows = [
        {"log": report.kind, "lines": report.lines, "whole": report.is_ok, "head": str(report.head)}
        for report in reports
    ]
    show_rows(rows, output, columns=["log", "lines", "whole", "head"])


@app.command()
def show(
    kind: KindArgument,
    start: StartOption = None,
    end: EndOption = None,
    strategy: StrategyOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Print so many lines at most, the last ones.")] = 100,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Print decisions, or orders with their results, in the order of logging."""
    with open_records(data, dsn) as store:
        rows = _rows(store, kind, start, end, strategy)
    show_rows([shown(row) for row in rows[-limit:]], output)
    if len(rows) > limit:
        typer.echo(f"the last {limit:,} of {len(rows):,} lines; raise --limit to see more", err=True)


@app.command()
def export(
    kind: KindArgument,
    to: FileArgument = None,
    start: StartOption = None,
    end: EndOption = None,
    strategy: StrategyOption = None,
    output: OneOption = Output.JSON,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Write a log, or a range of it, to a file."""
    with open_records(data, dsn) as store:
        write_rows(_rows(store, kind, start, end, strategy), to, output)


@app.command()
def verify(
    kind: Annotated[AuditKind | None, typer.Argument(help="Which log; both by default.")] = None,
    anchor: Annotated[
        str | None, typer.Option(help="A head printed earlier by `audit head`: still in the log?")
    ] = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Find every line that was changed, removed or reordered. Exit 3 when there is one."""
    if anchor is not None and kind is None:
        raise UsageError("an anchor belongs to one log; say `audit verify decisions --anchor ...`, or orders")
    kept = None if anchor is None else ChainHead.parse(anchor)
    with open_records(data, dsn) as store:
        reports = [store.verify_audit(one, anchor=kept) for one in ([kind] if kind else AuditKind)]
    rows = [
        {"log": report.kind, "where": problem.where, "problem": problem.what}
        for report in reports
        for problem in report.problems
    ]
    show_rows(rows, output, columns=["log", "where", "problem"])
    for report in reports:
        typer.echo(f"{report.kind}: {count(report.lines, 'line')}, {count(len(report.problems), 'problem')}", err=True)
    if rows:
        raise CheckFailedError(f"{len(rows)} places do not fit the chain; compare them with a copy of the log")


@app.command()
def head(kind: KindArgument, data: DataOption = None, dsn: DsnOption = None) -> None:
    """Print the end of a log. Keep it elsewhere: `verify --anchor` then finds even a log rewritten as a whole."""
    with open_records(data, dsn) as store:
        typer.echo(str(store.verify_audit(kind).head))


def _rows(
    store: DataStore, kind: AuditKind, start: str | None, end: str | None, strategy: str | None
) -> list[dict[str, Any]]:
    first, last = moment(start), moment(end)
    if kind is AuditKind.DECISIONS:
        decisions = store.read_decisions(first, last, strategy_name=strategy)
        return [
            {"seq": one.seq, "timestamp": one.timestamp, "strategy": one.strategy_name, **asdict(one.decision)}
            for one in decisions
        ]
    return [
        {
            "seq": one.seq,
            "timestamp": one.timestamp,
            "strategy": one.strategy_name,
            **asdict(one.order),
            **asdict(one.result),
        }
        for one in store.read_orders(first, last, strategy_name=strategy)
    ]
