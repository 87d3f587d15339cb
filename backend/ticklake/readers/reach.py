"""Do the books reach as far as the logs and the records of recoveries say? Both speak of what was committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ticklake.files.place import Place
from ticklake.lake.layout import LEDGER_FOLDER
from ticklake.lake.ledger import LedgerEntry
from ticklake.lake.orphans import RECOVERED_FOLDER
from ticklake.readers.report import Problem
from ticklake.readers.sequences import created_ns, seen_of
from ticklake.readers.waiting import LaneLog
from ticklake.wal.seen import SeenRange, SeenSet

_RESTORE = "restore the newest ledger entries and files from a copy"


class _Position(msgspec.Struct):
    incarnation: int
    sequence: int


class _Lane(msgspec.Struct):
    stream: str
    writers: list[str]
    position: _Position


class _Record(msgspec.Struct):
    """What we need of a record that `ticklake recover` left."""

    lanes: list[_Lane]


def check_log(log: LaneLog, entries: Iterable[LedgerEntry]) -> Iterator[Problem]:
    """Everything that was reached before the oldest segment of a log has left it for the lake.

    Args:
        log: of one lane; read before the ledger.
        entries: of all writers. One that `ticklake recover` made stands on the entries of those before it.
    """
    begin = log.begin
    if begin is None:
        return
    own = [entry for entry in entries if entry.stream == begin.stream and entry.last_seq is not None]
    if begin.seen:
        absent = _first_absent(begin.seen, own)
        if absent is not None:
            what = f"the log knows sequences {absent[0]} to {absent[1]} to be committed, but no ledger entry has them"
            yield Problem("sequence_gap", log.stream, what, _RESTORE)
        return
    position = begin.position
    if not (position.sequence and position.server_ns):
        return  # a life of the stream of which nothing was taken yet: its sequence is only where to begin
    created = begin.incarnation.created_ns if begin.incarnation.number == position.incarnation else 0
    reached = _reached(
        (entry for entry in own if not created or created_ns(entry) in (0, created)), position.incarnation
    )
    if position.sequence > reached:
        end = f"the ledger ends at {reached}" if reached else "the ledger has no entry of it"
        what = f"the log knows sequence {position.sequence} to be committed, but {end}"
        yield Problem("sequence_gap", log.stream, what, _RESTORE)


def check_recoveries(root: Place, entries: Sequence[LedgerEntry]) -> Iterator[Problem]:
    """The entries that a recovery went on from are still there."""
    for path in _records(root):
        relative = f"{RECOVERED_FOLDER}/{path.name}"
        try:
            record = msgspec.json.decode(path.read_bytes(), type=_Record)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            yield Problem("ledger_unreadable", relative, str(error), "restore the record from a copy")
            continue
        for lane in record.lanes:
            own = [entry for entry in entries if entry.writer in lane.writers]
            gone = sorted(set(lane.writers) - {entry.writer for entry in own})
            if gone:
                what = f"{lane.stream} went on behind the entries of {', '.join(gone)}, but there are none of it"
                yield Problem("sequence_gap", relative, what, f"restore {LEDGER_FOLDER}/{gone[0]} and its files")
                continue
            reached = _reached(own, lane.position.incarnation)
            if lane.position.sequence > reached:
                what = (
                    f"{lane.stream} went on behind sequence {lane.position.sequence}, but its entries end at {reached}"
                )
                yield Problem("sequence_gap", relative, what, _RESTORE)


def _records(root: Place) -> list[Place]:
    folder = root / RECOVERED_FOLDER
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
    return [folder / name for name in names if name.endswith(".json")]


def _reached(entries: Iterable[LedgerEntry], incarnation: int) -> int:
    """The highest committed sequence of a life of the stream; 0 without any."""
    return max((entry.last_seq or 0 for entry in entries if entry.incarnation == incarnation), default=0)


def _first_absent(wanted: Iterable[SeenRange], entries: Iterable[LedgerEntry]) -> tuple[int, int] | None:
    """The first sequences that no entry has, whatever its life: a log carries what it has seen into the next one."""
    held = SeenSet()
    for entry in entries:
        for first, last in seen_of(entry) or [(entry.first_seq or 0, entry.last_seq or 0)]:
            held.add_range(first, last, newest_ns=0)
    ranges = held.ranges()
    at = 0
    for first, last, _ in wanted:
        while at < len(ranges) and ranges[at][1] < first:
            at += 1
        begin, end = ranges[at][:2] if at < len(ranges) else (last + 1, last)
        if begin > first:
            return first, min(last, begin - 1)
        if end < last:
            behind = ranges[at + 1][0] if at + 1 < len(ranges) else last + 1
            return end + 1, min(last, behind - 1)
    return None
