"""Commands for trading decisions: ls, show, history, trades, export, check. They change nothing but the index."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer

from ticklake.base.errors import CheckFailedError, NoDataError
from ticklake.base.moments import iso_text, text_ns
from ticklake.base.words import count
from ticklake.cli.one import OneOption, show_one
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption, find_place, shelf
from ticklake.cli.record_store import EndOption, StartOption
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.place import place_of
from ticklake.stores.decision_record import DELETED, REVISION, SAVED_AT, Record, summarize
from ticklake.stores.decision_time import NS_PER_DAY
from ticklake.stores.decisions import DecisionStore

app = typer.Typer(help="Trading decisions and what became of them.")

_FOLDER: Final = ("records", "decisions")
_COLUMNS: Final = ("id", "decided", "asset_pair", "action", "status", "strategy", "revision")

PairOption = Annotated[list[str] | None, typer.Option("--pair", help="Only this instrument; may be repeated.")]
ActionOption = Annotated[list[str] | None, typer.Option("--action", help="Only this action (BUY); may be repeated.")]
StatusOption = Annotated[list[str] | None, typer.Option("--status", help="Only this status; may be repeated.")]
StrategyOption = Annotated[list[str] | None, typer.Option("--strategy", help="Only this strategy; may be repeated.")]
StoreOption = Annotated[
    str | None, typer.Option("--store", help="Folder of the decisions. \\[default: DATA/records/decisions]")
]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="From `ticklake decisions ls`.")]


@app.command()
def ls(
    pair: PairOption = None,
    action: ActionOption = None,
    status: StatusOption = None,
    strategy: StrategyOption = None,
    start: StartOption = None,
    end: EndOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Print so many at most, newest first.")] = 100,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    store: StoreOption = None,
) -> None:
    """List decisions, newest decision first."""
    with _open(data, store) as decisions:
        found = decisions.get_decisions(
            pair, limit + 1, action=action, status=status, strategy=strategy, start=start, end=_until_ns(end)
        )
    show_rows([_shown(record) for record in found[:limit]], output, columns=_COLUMNS)
    if len(found) > limit:
        typer.echo(f"more than {limit} decisions; raise --limit to see them", err=True)


@app.command()
def show(
    decision_id: IdArgument, output: OneOption = Output.JSON, data: DataOption = None, store: StoreOption = None
) -> None:
    """Print one decision with its orders, fills and outcomes."""
    with _open(data, store) as decisions:
        trail = decisions.get_trail(decision_id)
    show_one(
        {
            "decision": trail.decision,
            **{
                name: [{"id": link.link_id, "at": iso_text(link.at_ns), **link.body} for link in links]
                for name, links in (("orders", trail.orders), ("fills", trail.fills), ("outcomes", trail.outcomes))
            },
        },
        output,
    )


@app.command()
def history(
    decision_id: IdArgument, output: OutputOption = Output.TABLE, data: DataOption = None, store: StoreOption = None
) -> None:
    """List the revisions of a decision, oldest first, also of a deleted one."""
    with _open(data, store) as decisions:
        revisions = decisions.get_history(decision_id)
        if not revisions:
            raise NoDataError(f"no decision {decision_id!r} below {decisions.storage_path}; see `decisions ls`")
    rows = [
        {**_shown(record), "saved": record.get(SAVED_AT), "deleted": bool(record.get(DELETED))} for record in revisions
    ]
    if output in (Output.JSON, Output.NDJSON):
        rows = [{**row, "record": record} for row, record in zip(rows, revisions, strict=True)]
        show_rows(rows, output)
        return
    show_rows(rows, output, columns=[*_COLUMNS, "saved", "deleted"])


@app.command()
def trades(
    pair: PairOption = None,
    action: ActionOption = None,
    status: StatusOption = None,
    strategy: StrategyOption = None,
    start: StartOption = None,
    end: EndOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Join so many decisions at most, newest first.")] = 100,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    store: StoreOption = None,
) -> None:
    """Join decision, order, fill and outcome: a row per fill."""
    with _open(data, store) as decisions:
        joined = decisions.join_trades(
            pair, limit, action=action, status=status, strategy=strategy, start=start, end=_until_ns(end)
        )
    show_rows(joined.to_dicts(), output, columns=joined.columns)


@app.command()
def export(
    pair: PairOption = None,
    action: ActionOption = None,
    status: StatusOption = None,
    strategy: StrategyOption = None,
    start: StartOption = None,
    end: EndOption = None,
    output: OneOption = Output.NDJSON,
    data: DataOption = None,
    store: StoreOption = None,
) -> None:
    """Write decisions to stdout, newest first, with all of their fields as plain JSON values."""
    with _open(data, store) as decisions:
        found = decisions.get_decisions(
            pair, None, action=action, status=status, strategy=strategy, start=start, end=_until_ns(end)
        )
    lines = [encode_document(record, plain=True, indent=None) for record in found]
    if output is Output.NDJSON:
        sys.stdout.writelines(line.decode("utf-8") + "\n" for line in lines)
        return
    rows = [decode_document(line) for line in lines]
    show_rows(rows, output, columns=list(dict.fromkeys(name for row in rows for name in row)))


@app.command()
def check(output: OutputOption = Output.TABLE, data: DataOption = None, store: StoreOption = None) -> None:
    """Read every file again and name those that hold no decision. Exit 3 when there are any."""
    with _open(data, store) as decisions:
        decisions.rebuild_index()
        damaged = decisions.unreadable()
    show_rows(
        [{"path": path, "reason": reason} for path, reason in damaged.items()], output, columns=["path", "reason"]
    )
    if damaged:
        raise CheckFailedError(f"{count(len(damaged), 'file')} cannot be read; repair or move what is named above")


@contextmanager
def _open(data: str | None, store: str | None) -> Iterator[DecisionStore]:
    folder = find_place(data).data_root.joinpath(*_FOLDER) if store is None else place_of(store)
    if store is not None and not folder.is_dir():
        raise NoDataError(f"no decisions are stored below {folder}; check --store")
    with shelf(folder) as there, DecisionStore({"storage_path": there}) as decisions:
        yield decisions


def _until_ns(end: str | None) -> int | None:
    """The first nanosecond behind `--end`: a time is included, a date lasts until its end."""
    if end is None:
        return None
    return text_ns(end) + (NS_PER_DAY if len(end.strip()) == len("2026-01-05") else 1)


def _shown(record: Record) -> dict[str, Any]:
    found = summarize(record)
    return {
        "id": found.decision_id,
        "decided": iso_text(found.decision_ns),
        "asset_pair": found.pair,
        "action": found.action,
        "status": found.status,
        "strategy": found.strategy,
        "revision": record.get(REVISION),
    }
