"""`ticklake recover`: the state folder is lost; make a new one from the ledger, so that the service goes on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ticklake.base.clock import SystemClock
from ticklake.base.settings import load_settings
from ticklake.base.words import count
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption, StateOption, find_place
from ticklake.sink.lost_state import FoundLane, RebuildPlan, check_lost, plan_rebuild, rebuild_state
from ticklake.sink.tier import make_catalog

_COLUMNS = ("stream", "incarnation", "position", "server_time", "last_commit", "work_queue", "writers")
_WORK_QUEUE = "of a work queue before the service starts, of an interest stream once it runs"


def recover(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    state: StateOption = None,
) -> None:
    """Rebuild a lost state folder from the lake.

    Stop every writer of this lake first. Each stream goes on behind its last commit, so a stream that still has the
    messages behind it loses nothing. Of a work queue and of core NATS, what was acked and not committed is gone
    (with TICKLAKE_ACK_AFTER=commit there is no such message). Files of a commit that did not come to its end are moved
    to catalog/recovered; their messages come again.

    Refuses while the state folder is in use or holds a log.
    """
    settings = load_settings(data_root=data, state_dir=state)
    root, state_dir = find_place(data, state).data_root, str(settings.writer_state_dir())
    check_lost(state_dir)
    plan = plan_rebuild(root, make_catalog(settings), tell=_tell)
    if dry_run:
        _show(plan, output)
        _tell(f"would make {state_dir} and move {count(len(plan.orphans), 'file')} without an entry")
        for orphan in plan.orphans:
            _tell(f"  {orphan.path}")
        return
    identity = rebuild_state(plan, root, state_dir, writer_id=settings.writer_id, clock=SystemClock(), tell=_tell)
    _show(plan, output)
    _tell(f"made {state_dir} with identity {identity}; start the service")
    for lane in plan.lanes:
        old = ", ".join(f"ticklake-{writer}" for writer in lane.writers)
        when = _WORK_QUEUE if lane.progress.tracks_seen else "they are of no use any more"
        _tell(f"consumers of earlier writers on {lane.stream}: {old}; remove them with `nats consumer rm`: {when}")


def _tell(line: str) -> None:
    typer.echo(line, err=True)


def _show(plan: RebuildPlan, output: Output) -> None:
    show_rows([_row(lane) for lane in plan.lanes], output, columns=_COLUMNS)


def _row(lane: FoundLane) -> dict[str, Any]:
    position = lane.progress.position
    return {
        "stream": lane.stream,
        "incarnation": lane.progress.incarnation.number,
        "position": position.sequence,
        "server_time": _time(position.server_ns),
        "last_commit": _time(lane.committed_ns),
        "work_queue": lane.progress.tracks_seen,
        "writers": ", ".join(lane.writers),
    }


def _time(at_ns: int) -> str | None:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds") if at_ns else None
