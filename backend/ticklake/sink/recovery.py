"""What a start does with the segments of the life before: publish first, trust afterwards.

A tail that can be read may still not be on the disk (killed between write and sync, or after a failed sync). So nothing
is derived from it before its rows are durable in the lake:

1. each old segment, oldest first: a decision found in staging is finished by linking, without one it is staged anew;
2. only then a new segment is opened, with the position reached: the larger of log and decisions;
3. only then the old segments are removed, and after them their staging.

A crash at any point runs it again with the same outcome. Steps 2 and 3 are in `Lane.open`.

Encoding touches no disk, so the next segments are encoded on other threads while one is published; all that is durable
still happens here, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from ticklake.base.errors import CorruptError
from ticklake.files.protocol import Files
from ticklake.lake.batch import EncodedSegment
from ticklake.lake.intent import Intent
from ticklake.lake.ledger import LedgerEntry
from ticklake.lake.publish import Publisher
from ticklake.schema.messages import MessageGroup
from ticklake.sink.progress import Progress
from ticklake.wal.log import LoggedSegment, read_log
from ticklake.wal.segment import segment_number

_AHEAD = 2  # segments being encoded while one is published: as many as the encoder may use cores


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What a start found and did.

    Attributes:
        segments: old segments in the log.
        messages: messages in them that were not in the lake yet, or only decided on.
        torn_bytes: bytes of writes that were never synced and are cut off; nobody was promised anything.
        finished_intents: commits that had been decided and were only finished.
        entries: the books of what was committed now.
        seconds: how long it took.
    """

    segments: int = 0
    messages: int = 0
    torn_bytes: int = 0
    finished_intents: int = 0
    entries: tuple[LedgerEntry, ...] = ()
    seconds: float = 0.0


@dataclass(slots=True)
class Replay:
    """How far a start is with one log; watched from other threads.

    Attributes:
        found: segments in the log.
        done: of these, in the lake by now.
    """

    found: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class OldLog:
    """The log of the life before, published.

    Attributes:
        numbers: its segments; to be retired once a new one is open.
        duplicates: counted in segments without a message, so not yet in any ledger entry.
        report: for people; `seconds` is not filled in.
    """

    numbers: tuple[int, ...]
    duplicates: int
    report: RecoveryReport


@dataclass(frozen=True, slots=True)
class _Old:
    """A segment on its way: its decision if there is one, else its files, soon."""

    logged: LoggedSegment
    groups: tuple[MessageGroup, ...]
    intent: Intent | None
    encoded: Future[EncodedSegment] | None


def publish_old_log(
    files: Files,
    folder: str,
    *,
    publisher: Publisher,
    progress: Progress,
    encode: Callable[[LoggedSegment], EncodedSegment],
    commit: Callable[[LoggedSegment, EncodedSegment], LedgerEntry],
    replay: Replay,
) -> OldLog:
    """Bring every old segment into the lake and `progress` behind all of them.

    Args:
        files: the disk.
        folder: the lane's log.
        publisher: commits segments.
        progress: fresh; moved along.
        encode: turns a segment that has groups into files; runs on other threads.
        commit: decides and finishes a segment that has groups and no decision.
        replay: kept up to date.

    Raises:
        CorruptError: bytes that were synced are bad or gone; a person decides.
        OutOfRoomError: run again when there is room.
        DiskError: stop.
        StoreUnavailableError: called off while the store did not answer; run again.
    """
    replay.found, replay.done = sum(segment_number(name) is not None for name in files.list(folder)), 0
    numbers: list[int] = []
    entries: list[LedgerEntry] = []
    messages = torn_bytes = finished = duplicates = 0
    for old in _encoded_ahead(read_log(files, folder), publisher, encode):
        segment = old.logged
        numbers.append(segment.number)
        torn_bytes += segment.torn_bytes
        header = segment.scan.header
        if header is not None:
            progress.tracks_seen = progress.tracks_seen or header.state.tracks_seen
            progress.take(header.state.incarnation, header.state.position, header.state.seen)
        messages += sum(map(len, old.groups))
        if old.intent is not None:
            entries.append(publisher.finish(old.intent))
            progress.take_document(old.intent.reached)
            finished += 1
            duplicates = 0  # counted in the entry
        elif old.encoded is not None:
            entries.append(commit(segment, old.encoded.result()))
            duplicates = 0
        else:
            duplicates = max(duplicates, segment.scan.duplicates)
        for group in old.groups:
            progress.take_group(group)
        replay.done += 1
    if not numbers and publisher.has_entries():
        raise CorruptError(
            f"{folder}: the log is empty although the ledger shows that it was used; restore the state folder, "
            "or run `ticklake recover` to make it anew from the ledger"
        )
    report = RecoveryReport(
        segments=len(numbers),
        messages=messages,
        torn_bytes=torn_bytes,
        finished_intents=finished,
        entries=tuple(entries),
    )
    return OldLog(tuple(numbers), duplicates, report)


def _encoded_ahead(
    segments: Iterator[LoggedSegment], publisher: Publisher, encode: Callable[[LoggedSegment], EncodedSegment]
) -> Iterator[_Old]:
    """The segments in order, a few of them being encoded already while the caller publishes one.

    What is found bad in a segment is raised only when all before it have been given.
    """
    waiting: deque[_Old] = deque()
    failure: CorruptError | None = None
    with ThreadPoolExecutor(_AHEAD, thread_name_prefix="recover") as pool:
        while True:
            while failure is None and len(waiting) <= _AHEAD:
                try:
                    segment = next(segments, None)
                except CorruptError as error:
                    failure = error
                    break
                if segment is None:
                    break
                groups = tuple(frame.group for frame in segment.scan.frames if frame.group is not None)
                intent = publisher.find_intent(segment.number)
                is_open = intent is None and bool(groups)
                waiting.append(_Old(segment, groups, intent, pool.submit(encode, segment) if is_open else None))
            if not waiting:
                break
            yield waiting.popleft()
    if failure is not None:
        raise failure
