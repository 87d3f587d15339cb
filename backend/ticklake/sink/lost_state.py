"""The day the state folder is gone: what the ledger knows is enough to go on behind the last commit, exactly once.

A new writer begins at the position that the newest ledger entry of each stream carries. It has a new identity, because
the log of the old one may have held segments under numbers that would come again. Files that the old one put into
the tables without entering them in the books are moved away: their messages are behind that position and come again.

    nothing at all       ─▶ `plan_rebuild`: read the ledger, look for files without an entry; changes nothing
    mark RECOVERING      ─▶ move files ─▶ record ─▶ IDENTITY, one log segment per lane ─▶ mark removed
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Final

from ticklake.base.clock import Clock
from ticklake.base.errors import ConfigError, CorruptError, NoDataError, UsageError
from ticklake.files.atomic import replace
from ticklake.files.lease import RECOVERING, FolderLock, StateFolder
from ticklake.files.local import LocalFiles
from ticklake.files.place import Place
from ticklake.lake.layout import LEDGER_FOLDER, QUARANTINE_FOLDER, ledger_folder, ledger_name
from ticklake.lake.ledger import LedgerEntry, decode_entry
from ticklake.lake.orphans import RECOVERED_FOLDER, Orphan, find_orphans, last_segments, ledger_writers, move_orphan
from ticklake.schema.lookup import TableCatalog
from ticklake.sink.progress import Progress
from ticklake.wal.log import Wal

_READERS: Final = 16  # ledger entries read at once; a bucket answers in milliseconds, one after the other in minutes

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class FoundLane:
    """What the ledger knows about one stream.

    Attributes:
        stream: its name.
        writers: who wrote it, the lost one among them.
        progress: end of the committed run in the newest life of the stream.
        committed_ns: wall clock of the newest commit.
    """

    stream: str
    writers: tuple[str, ...]
    progress: Progress
    committed_ns: int

    @property
    def lane(self) -> str:
        """Lower-case name of the stream."""
        return self.stream.lower()


@dataclass(frozen=True, slots=True)
class RebuildPlan:
    """What `rebuild_state` will do.

    Attributes:
        lanes: by name.
        orphans: files that no ledger entry names.
    """

    lanes: tuple[FoundLane, ...]
    orphans: tuple[Orphan, ...]

    @property
    def identities(self) -> tuple[str, ...]:
        """Of all earlier writers."""
        writers = [writer for lane in self.lanes for writer in lane.writers] + [file.writer for file in self.orphans]
        return tuple(sorted({writer.partition("-")[0] for writer in writers}))


def check_not_lost(root: Place, state_folder: str, stream: str, identity: str) -> None:
    """Refuse to begin a stream from its start in a lake that holds it already: all of it would be stored twice.

    Asks for a listing only when the lane has no log yet.

    Raises:
        CorruptError: other writers have committed this stream; the state folder was lost, or is another one.
        StoreUnavailableError: try again.
    """
    lane = stream.lower()
    if LocalFiles().list(f"{state_folder}/wal/{lane}"):
        return
    others = [name for name in ledger_writers(root) if name.partition("-")[2] == lane and name != f"{identity}-{lane}"]
    if others:
        raise CorruptError(
            f"{state_folder} knows nothing of stream {stream}, but the lake at {root} has it from {', '.join(others)}: "
            "reading it from its start would store it twice. Point TICKLAKE_STATE_DIR to the state folder of that "
            "writer; if it is lost, stop every other writer and run `ticklake recover`"
        )


def plan_rebuild(root: Place, tables: TableCatalog, *, tell: Tell) -> RebuildPlan:
    """Read what a new state folder needs from the lake. Changes nothing.

    Args:
        root: the lake; nobody may write to it meanwhile.
        tables: to know where data files lie.
        tell: takes a line of progress now and then.

    Raises:
        NoDataError: the ledger is empty: there is nothing to go on from.
        CorruptError: an entry cannot be read, or an older program wrote it, which did not book its position.
        StoreUnavailableError: run again.
    """
    tell(f"reading the ledger of {root}")
    last = last_segments(root)
    if not last:
        raise NoDataError(f"{root / LEDGER_FOLDER}: no entry; a service with a new state folder begins by itself")
    newest = _read_entries(root, last.items())
    by_stream: dict[str, list[LedgerEntry]] = {}
    for entry in newest:
        by_stream.setdefault(entry.stream, []).append(entry)
    lanes = tuple(_find_lane(root, stream, entries, tell) for stream, entries in sorted(by_stream.items()))
    folders = ["bronze", QUARANTINE_FOLDER, *sorted({table.folder for table in tables if table.tier != "bronze"})]
    tell(f"looking for files without an entry in {', '.join(folders)}")
    return RebuildPlan(lanes, tuple(find_orphans(root, folders, last)))


def rebuild_state(
    plan: RebuildPlan, root: Place, state_folder: str, *, writer_id: str | None, clock: Clock, tell: Tell
) -> str:
    """Make the state folder and move the orphans away. Gives the new identity. A crash is mended by doing it again.

    Args:
        plan: of `plan_rebuild`, with nobody writing since.
        root: the lake.
        state_folder: absolute path; missing, empty, or left half made by an earlier try.
        writer_id: identity to use; None: a new one is drawn.
        clock: stamps the record.
        tell: takes a line of progress now and then.

    Raises:
        UsageError: the folder holds a log: it is not lost.
        ConfigError: `writer_id` has written to this lake before: its file names would come again.
        RetryableError: the folder is in use, or the store does not answer.
        DiskError: stop.
    """
    if writer_id in plan.identities:
        raise ConfigError(
            f"writer_id {writer_id!r} has written to {root} before, and its file names would come again; "
            "set TICKLAKE_WRITER_ID to another one, or leave it out"
        )
    files = LocalFiles()
    _begin(files, state_folder, clock)
    with StateFolder.open(state_folder, clock=clock, writer_id=writer_id, is_recovering=True) as state:
        if state.identity in plan.identities:
            raise CorruptError(f"identity {state.identity} was drawn a second time; run it again")
        moved = _move_all(root, plan.orphans, state.identity, tell)
        record = _record(plan, state.identity, moved, now_ns=clock.wall_ns())
        replace(root / RECOVERED_FOLDER / f"{state.identity}.json", record)
        for lane in plan.lanes:
            tell(f"{lane.stream}: goes on behind sequence {lane.progress.position.sequence}")
            _make_log(files, f"{state.path}/wal/{lane.lane}", lane, epoch=state.epoch)
        files.unlink(f"{state.path}/{RECOVERING}")
        files.sync_folder(state.path)
        return state.identity


def check_lost(state_folder: str) -> None:
    """Raise UsageError when the folder holds a log or a decided commit, and no half-made recovery."""
    files = LocalFiles()
    if files.exists(f"{state_folder}/{RECOVERING}"):
        return
    held = [
        f"{kind}/{lane}/{name}"
        for kind in ("wal", "staging")
        for lane in files.list(f"{state_folder}/{kind}")
        for name in files.list(f"{state_folder}/{kind}/{lane}")
    ]
    if held:
        raise UsageError(
            f"{state_folder} is not lost: it holds {held[0]}{' and more' if len(held) > 1 else ''}. Start the service "
            "with it; `ticklake wal verify` says whether its log is whole. To give it up, move it away first"
        )


def _find_lane(root: Place, stream: str, newest: Sequence[LedgerEntry], tell: Tell) -> FoundLane:
    for entry in newest:
        if entry.reached is None:
            path = root / ledger_folder(entry.writer) / ledger_name(entry.segment)
            raise CorruptError(
                f"{path}: an older program wrote it and did not book where the stream was; start a service with an "
                "empty lake and move the old one aside, or restore the state folder"
            )
    # A writer that was begun anew on another life of the stream counts its lives from one again.
    life_ns = max(_created_ns(entry.reached or {}) for entry in newest)
    entries = [entry for entry in newest if _created_ns(entry.reached or {}) == life_ns]
    if any(entry.reached and entry.reached["seen"] for entry in entries):  # a work queue: every entry counts
        tell(f"{stream}: reading every entry, because it is a work queue")
        writers = {entry.writer for entry in entries}
        folders = [root / ledger_folder(writer) for writer in sorted(writers)]
        names = [(folder.name, int(path.stem)) for folder in folders for path in folder.glob("*.json")]
        entries = [entry for entry in _read_entries(root, names) if entry.stream == stream and entry.reached]
    progress = Progress()
    for entry in entries:
        progress.take_document(entry.reached or {})
    progress.tracks_seen = bool(progress.seen)
    return FoundLane(
        stream,
        writers=tuple(sorted(entry.writer for entry in newest)),
        progress=progress,
        committed_ns=max(entry.committed_ns for entry in newest),
    )


def _created_ns(reached: Mapping[str, Any]) -> int:
    return int(reached["incarnation"][1])


def _read_entries(root: Place, segments: Iterable[tuple[str, int]]) -> list[LedgerEntry]:
    def read(segment: tuple[str, int]) -> LedgerEntry:
        path = root / ledger_folder(segment[0]) / ledger_name(segment[1])
        return decode_entry(path.read_bytes(), path=str(path))

    with ThreadPoolExecutor(_READERS, thread_name_prefix="ledger") as pool:
        return list(pool.map(read, segments))


def _begin(files: LocalFiles, folder: str, clock: Clock) -> None:
    """Mark the folder as half made, and clear what an earlier try made."""
    files.make_folder(folder)
    lock = FolderLock.acquire(folder, clock=clock)
    try:
        check_lost(folder)
        if not files.exists(f"{folder}/{RECOVERING}"):
            files.create(f"{folder}/{RECOVERING}").close()
            files.sync_folder(folder)
        for lane in files.list(f"{folder}/wal"):
            for name in files.list(f"{folder}/wal/{lane}"):
                files.unlink(f"{folder}/wal/{lane}/{name}")
            files.sync_folder(f"{folder}/wal/{lane}")
        if files.exists(f"{folder}/IDENTITY"):
            files.unlink(f"{folder}/IDENTITY")
            files.sync_folder(folder)
    finally:
        lock.release()


def _move_all(root: Place, orphans: Sequence[Orphan], identity: str, tell: Tell) -> dict[str, str]:
    moved = {}
    for number, orphan in enumerate(orphans, 1):
        moved[orphan.path] = move_orphan(root, orphan, identity=identity)
        tell(f"moved {number} of {len(orphans)} files without an entry")
    return moved


def _record(plan: RebuildPlan, identity: str, moved: Mapping[str, str], *, now_ns: int) -> bytes:
    """What was done, as a JSON document for people and programs."""
    document = {
        "format": "ticklake.recovered/1",
        "identity": identity,
        "recovered_ns": now_ns,
        "earlier_identities": list(plan.identities),
        "lanes": [
            {"stream": lane.stream, "writers": list(lane.writers), "position": asdict(lane.progress.position)}
            for lane in plan.lanes
        ],
        "moved": [{**asdict(orphan), "now": moved[orphan.path]} for orphan in plan.orphans],
    }
    return json.dumps(document, indent=1).encode() + b"\n"


def _make_log(files: LocalFiles, folder: str, lane: FoundLane, *, epoch: int) -> None:
    files.make_folder(folder)
    state = lane.progress.to_state(lane=lane.lane, stream=lane.stream, duplicates=0)
    Wal.open(files, folder, number=1, epoch=epoch, state=state, salt_source=os.urandom).close()
