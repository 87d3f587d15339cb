"""Commands for the log: what is in it, whether it is whole, and how to go on after damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ticklake.base.clock import SystemClock
from ticklake.base.errors import CorruptError, NoDataError, RetryableError
from ticklake.base.settings import load_settings
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption, StateOption
from ticklake.files.lease import FolderLock
from ticklake.files.local import LocalFiles
from ticklake.wal.repair import SegmentRepair, SegmentVerdict, repair_folder, verify_folder

app = typer.Typer(help="The log.")

_TRIES_MAX: Final = 5  # a running daemon removes segments while we read them
_COLUMNS: Final = (
    "lane",
    "segment",
    "bytes",
    "valid_bytes",
    "groups",
    "messages",
    "first_sequence",
    "last_sequence",
    "tail",
    "closed",
)


@app.command()
def ls(output: OutputOption = Output.TABLE, data: DataOption = None, state: StateOption = None) -> None:
    """List the segments of every lane: what waits for its commit."""
    show_rows([row for row, _ in _verdicts(_state(data, state))], output, columns=_COLUMNS)


@app.command()
def verify(output: OutputOption = Output.TABLE, data: DataOption = None, state: StateOption = None) -> None:
    """Check every frame of every segment. Exit 65 when one that was synced is bad. Changes nothing."""
    found = list(_verdicts(_state(data, state)))
    show_rows([{**row, "reason": verdict.reason} for row, verdict in found], output, columns=[*_COLUMNS, "reason"])
    _refuse_damage(verdict for _, verdict in found)


@app.command()
def repair(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what is damaged; exit 65 if anything is.")
    ] = False,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    state: StateOption = None,
) -> None:
    """Make a damaged log readable again: keep every good frame, keep a copy, name what is lost.

    Refuses while a daemon runs on the state folder.
    """
    state_dir = _state(data, state)
    if dry_run:
        verify(output, data, state)
        return
    lock = FolderLock.acquire(str(state_dir), clock=SystemClock())
    repairs: list[tuple[str, SegmentRepair]] = []
    try:
        for lane in _lanes(state_dir):
            repairs += [(lane, fixed) for fixed in repair_folder(LocalFiles(), lane)]
    finally:  # what was lost in one lane is told also when the next one cannot be repaired
        lock.release()
        show_rows([_repaired(lane, fixed) for lane, fixed in repairs], output)
    if not repairs:
        typer.echo("nothing to repair", err=True)


def _state(data: str | None, state: Path | None) -> Path:
    """The state folder. Raises NoDataError when it holds no log: an empty answer would look like a clean one."""
    state_dir = load_settings(data_root=data, state_dir=state).writer_state_dir()
    if not _lanes(state_dir):
        raise NoDataError(f"no log below {state_dir}; check --state")
    return state_dir


def _lanes(state_dir: Path) -> list[str]:
    root = f"{state_dir}/wal"
    return [f"{root}/{lane}" for lane in LocalFiles().list(root)]


def _verdicts(state_dir: Path) -> Iterator[tuple[dict[str, Any], SegmentVerdict]]:
    for folder in _lanes(state_dir):
        for verdict in _look(folder):
            yield _row(folder, verdict), verdict


def _look(folder: str) -> list[SegmentVerdict]:
    for _ in range(_TRIES_MAX):
        try:
            return verify_folder(LocalFiles(), folder)
        except FileNotFoundError:
            continue  # committed and removed while we read; look again
    raise RetryableError(f"{folder}: segments come and go faster than they can be read; try again")


def _row(folder: str, verdict: SegmentVerdict) -> dict[str, Any]:
    return {
        "lane": Path(folder).name,
        "segment": verdict.segment,
        "bytes": verdict.size_bytes,
        "valid_bytes": verdict.valid_bytes,
        "groups": verdict.groups,
        "messages": verdict.messages,
        "first_sequence": verdict.first_sequence,
        "last_sequence": verdict.last_sequence,
        "tail": verdict.tail.value,
        "closed": verdict.is_closed,
    }


def _repaired(folder: str, repair: SegmentRepair) -> dict[str, Any]:
    return {
        "lane": Path(folder).name,
        "segment": repair.segment,
        "damage_at_byte": repair.offset_bytes,
        "reason": repair.reason,
        "kept_groups": repair.kept_groups,
        "lost_groups": repair.lost_groups,
        "lost_bytes": repair.lost_bytes,
        "lost_sequences": [list(lost) for lost in repair.lost_sequences],
        "kept_copy": repair.kept_copy,
    }


def _refuse_damage(verdicts: Iterator[SegmentVerdict]) -> None:
    bad = [verdict for verdict in verdicts if not verdict.is_good]
    if bad:
        first = bad[0]
        raise CorruptError(
            f"{first.path}: damage at byte {first.valid_bytes}: {first.reason}; "
            f"{len(bad)} damaged segments in all. Stop the daemon, then run `ticklake wal repair`"
        )
