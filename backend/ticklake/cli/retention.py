"""Commands that make room: retention ls, show, run, export. Nothing goes without `run --apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from ticklake.base.errors import CheckFailedError
from ticklake.base.words import count
from ticklake.catalog.retention import KINDS, Retention, RetentionReport
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption, StateOption, find_place
from ticklake.stores.retention import record_shelves

app = typer.Typer(
    help="What may be deleted, and why not: tables, features, training sets, artifacts, runs, records, cache, logs; "
    "never the audit."
)

_COLUMNS: Final = ("kind", "path", "bytes", "verdict", "deletes", "detail")
_FOREVER_DAYS: Final = 1e9
_RECORD_KINDS: Final = ("decisions", "events", "bars", "fundamentals", "series")

KindArgument = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help=f"One of {', '.join((*KINDS, *_RECORD_KINDS))}, or a folder of the lake: bronze/futures/trades; "
        "or one training set: training_sets/NAME.",
    ),
]
AgeOption = Annotated[float | None, typer.Option("--max-age-days", min=0, help="Delete what is older.")]
CountOption = Annotated[int | None, typer.Option("--max-count", min=0, help="Delete the oldest beyond so many.")]
BytesOption = Annotated[int | None, typer.Option("--max-bytes", min=0, help="Delete the oldest beyond this size.")]
KeepOption = Annotated[int, typer.Option("--keep-last", min=0, help="Keep so many of the youngest in any case.")]
PinOption = Annotated[list[str] | None, typer.Option("--pin", help="Keep what matches (`*` and `?`); repeatable.")]


@app.command()
def ls(output: OutputOption = Output.TABLE, data: DataOption = None, state: StateOption = None) -> None:
    """List the kinds: how many files, how large, how many of them somebody needs."""
    report = _look_at_all(data, state)
    rows = [
        {
            "kind": kind,
            "files": len(items),
            "bytes": sum(item.candidate.bytes for item in items),
            "referenced": sum(item.verdict == "referenced" for item in items),
            "in_use": sum(item.verdict == "in_use" for item in items),
        }
        for kind, items in report.decided.items()
    ]
    show_rows(rows, output)


@app.command()
def show(
    kind: KindArgument,
    max_age_days: AgeOption = None,
    max_count: CountOption = None,
    max_bytes: BytesOption = None,
    keep_last: KeepOption = 0,
    pin: PinOption = None,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    state: StateOption = None,
) -> None:
    """Print what would go and what would stay, file by file, with the reason. Deletes nothing."""
    policy = RetentionPolicy(kind, max_age_days, max_count, max_bytes, keep_last, tuple(pin or ()))
    _print(_open(data, state).purge([policy]), output)


@app.command("run")
def run_(
    kind: KindArgument,
    max_age_days: AgeOption = None,
    max_count: CountOption = None,
    max_bytes: BytesOption = None,
    keep_last: KeepOption = 0,
    pin: PinOption = None,
    apply: Annotated[bool, typer.Option("--apply", help="Really delete; without it this is `show`.")] = False,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    state: StateOption = None,
) -> None:
    """Delete what the limits allow, with `--apply`; the report is kept in catalog/retention."""
    policy = RetentionPolicy(kind, max_age_days, max_count, max_bytes, keep_last, tuple(pin or ()))
    report = _open(data, state).purge([policy], dry_run=not apply)
    _print(report, output)
    if report.failed:
        raise CheckFailedError(
            f"{count(len(report.failed), 'file')} could not be deleted; see the detail, then run again"
        )


@app.command()
def export(output: OutputOption = Output.JSON, data: DataOption = None, state: StateOption = None) -> None:
    """Print every file that retention looks at, with who needs it."""
    show_rows(_look_at_all(data, state).rows(), output, columns=_COLUMNS)


def _open(data: str | None, state: Path | None) -> Retention:
    place = find_place(data, state)
    return Retention(place.data_root, state_dir=place.state_dir, shelves=record_shelves(place.data_root))


def _look_at_all(data: str | None, state: Path | None) -> RetentionReport:
    retention = _open(data, state)
    return retention.purge([RetentionPolicy(kind, max_age_days=_FOREVER_DAYS) for kind in retention.kinds])


def _print(report: RetentionReport, output: Output) -> None:
    show_rows(report.rows(), output, columns=_COLUMNS)
    verb = "would be deleted" if report.dry_run else "deleted"
    typer.echo(f"{count(len(report.deleted), 'file')} {verb}, {report.freed_bytes:,} bytes", err=True)
