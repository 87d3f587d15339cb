"""The log on its own, for programs that want durable events and nothing else of the house."""

from __future__ import annotations

import dataclasses
import os
import threading
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import OutOfRoomError, UsageError
from ticklake.files.lease import FolderLock
from ticklake.files.local import LocalFiles
from ticklake.files.protocol import Files
from ticklake.schema.messages import MessageGroup, payload_pieces
from ticklake.wal.frame import SECTOR_BYTES
from ticklake.wal.log import LoggedSegment, SaltSource, Wal, read_log, retire
from ticklake.wal.state import Position, SegmentState

SEGMENT_BYTES_MAX = 32 * 1024 * 1024  # a restart reads one segment at a time into memory

_BYTES, _JSON = b"bytes", b"json"  # stand where a message has its subject

Event = bytes | dict[str, Any]  # an event is whatever its program made of it


class WALManager:
    """A write-ahead log of events in one folder. Thread-safe; one process at a time.

    Events are numbered 1, 2, ... `append` only remembers; `flush` makes everything so far durable with one sync.

    Example:
        with WALManager("/var/lib/desk/wal") as wal:
            wal.append({"symbol": "ESZ5", "price": 5000.25})
            wal.flush()
            for event in wal.replay():
                print(event)
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        files: Files | None = None,
        clock: Clock | None = None,
        salt_source: SaltSource = os.urandom,
        sector_bytes: int = SECTOR_BYTES,
    ) -> None:
        """Open or create the log.

        Args:
            folder: made when missing.
            segment_bytes_max: a segment that has grown so long, in bytes, is followed by a new one.
            files: the disk; a real one when left out, and then the folder is locked.
            clock: stamps groups and the lock.
            salt_source: gives n random bytes.
            sector_bytes: what the disk writes as a whole, in bytes.

        Raises:
            RetryableError: another process has the folder.
            ConfigError: we may not write into the folder.
            WalCorruptError: bytes that were flushed are bad or gone.
            OutOfRoomError: try again when there is room.
            DiskError: stop.
        """
        self._folder = str(Path(folder).absolute())
        self._clock = clock or SystemClock()
        self._files = files or LocalFiles()
        self._segment_bytes_max = segment_bytes_max
        self._mutex = threading.RLock()
        self._buffer: list[tuple[bytes, bytes]] = []
        self._is_closed = False
        self._last_flushed = 0
        self._truncated = 0
        self._ends: dict[int, int] = {}  # number of each segment on disk -> its last event, or that of those before it
        self._files.make_folder(self._folder)
        self._lock = FolderLock.acquire(self._folder, clock=self._clock) if files is None else None
        try:
            self._wal = self._open_log(salt_source, sector_bytes)
        except BaseException:
            self._release()
            raise

    @property
    def last_flushed(self) -> int:
        """Number of the last durable event; 0 before the first."""
        return self._last_flushed

    def append(self, event: Mapping[str, Any] | bytes | object) -> int:
        """Remember an event until the next `flush`, and get its number. Not durable.

        Args:
            event: bytes, kept as they are; or a mapping or dataclass, kept as JSON and replayed as a dict of what JSON
                has words for: keys and times come back as text, bytes as base64, NaN and infinities as None. Where that
                is not enough, append bytes of your own (`ticklake.stores` keeps types in its documents).

        Raises:
            UsageError: the event cannot be written as JSON, or the log is closed.
        """
        kind, payload = _encode(event)
        with self._mutex:
            self._check_open()
            self._buffer.append((kind, payload))
            return self._last_flushed + len(self._buffer)

    def flush(self) -> int:
        """Make every appended event durable; the number of the last one.

        Raises:
            OutOfRoomError: no event is lost; flush again when there is room.
            DiskError: stop; what was not flushed before may be gone.
            UsageError: the log is closed.
        """
        with self._mutex:
            self._check_open()
            if self._buffer:
                self._wal.append(_group(self._buffer, self._last_flushed + 1, self._clock.wall_ns()))
                self._wal.sync()
                self._last_flushed += len(self._buffer)
                self._buffer.clear()
                if self._wal.end_bytes >= self._segment_bytes_max:
                    self._rotate(self._truncated)
            return self._last_flushed

    def replay(self) -> Iterator[Event]:
        """Every event that is durable when the first is asked for and was not truncated, in order.

        Also those of earlier lives of the program. Truncating meanwhile is fine, here and in other threads.

        Raises:
            WalCorruptError: bytes that were flushed are bad or gone.
            DiskError: a segment cannot be read.
        """
        return (event for _, event in self.replay_numbered())

    def replay_numbered(self) -> Iterator[tuple[int, Event]]:
        """Like `replay`, each event with its number: what `truncate` takes. Raises as `replay`."""
        after, until = self._truncated, self._last_flushed
        segments = read_log(self._files, self._folder, is_kept=self._ends.__contains__)
        while (segment := self._next_of(segments)) is not None:
            for frame in segment.scan.frames:
                if frame.group is None:
                    continue
                for index, number in enumerate(frame.group.sequences):
                    if after < number <= until:  # an event is twice on disk when a start was cut short
                        after = number
                        yield number, _decode(frame.group, index)

    def truncate(self, through: int) -> None:
        """Forget the events up to number `through`, durably; files that hold nothing else are removed.

        Raises:
            UsageError: `through` is beyond the last flushed event, or the log is closed.
            OutOfRoomError: nothing is forgotten; call again when there is room.
            DiskError: stop; they are forgotten or not.
        """
        with self._mutex:
            self._check_open()
            if through > self._last_flushed:
                raise UsageError(f"truncate({through}): the last flushed event is {self._last_flushed}; flush first")
            if through > self._truncated:
                self._rotate(through)
                self._truncated = through
            done = [
                number for number, end in self._ends.items() if end <= self._truncated and number < self._wal.number
            ]
            if done:
                retire(self._files, self._folder, done)
            for number in done:
                del self._ends[number]

    def close(self) -> None:
        """Flush, mark the log as gracefully ended, let go of the folder. A second call does nothing.

        Raises:
            OutOfRoomError: the log is still open and no event is lost; close again when there is room, or `abandon`.
            DiskError: what was not flushed before may be gone. The folder is let go all the same.
        """
        with self._mutex:
            if self._is_closed:
                return
            try:
                self.flush()
                self._wal.close()
            except OutOfRoomError:
                raise
            except BaseException:
                self.abandon()
                raise
            self._is_closed = True
            self._release()

    def abandon(self) -> None:
        """Let go of the folder at once; events that were not flushed are forgotten. Safe to repeat."""
        with self._mutex:
            self._is_closed = True
            self._wal.abandon()
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _open_log(self, salt_source: SaltSource, sector_bytes: int) -> Wal:
        """Open a new segment. A tail that can be read may not be on the disk, so it is written once more first."""
        number, unsure, groups = 0, [], []
        for segment in read_log(self._files, self._folder):
            number = segment.number
            if segment.scan.header is not None:
                self._truncated = max(self._truncated, segment.scan.header.state.position.sequence)
            found = [frame.group for frame in segment.scan.frames if frame.group is not None]
            self._last_flushed = max([self._last_flushed, *(group.sequences[-1] for group in found)])
            self._ends[number] = self._last_flushed
            if not segment.scan.is_closed and not segment.is_followed:
                unsure.append(number)
                groups += found
        self._last_flushed = max(self._last_flushed, self._truncated)
        wal = Wal.open(
            self._files,
            self._folder,
            number=number + 1,
            epoch=0,
            state=_state(self._truncated),
            salt_source=salt_source,
            sector_bytes=sector_bytes,
        )
        try:
            for group in groups:
                wal.append(group)
            wal.sync()
            retire(self._files, self._folder, unsure)
        except BaseException:
            wal.abandon()
            raise
        for gone in unsure:
            del self._ends[gone]
        self._ends[wal.number] = self._last_flushed
        return wal

    def _rotate(self, truncated: int) -> None:
        """Begin the next segment, which says durably up to where events are forgotten."""
        self._ends[self._wal.number] = self._last_flushed
        self._wal.rotate(_state(truncated))
        self._ends[self._wal.number] = self._last_flushed

    def _next_of(self, segments: Iterator[LoggedSegment]) -> LoggedSegment | None:
        """The next segment, read while nobody writes to it or removes it."""
        with self._mutex:
            return next(segments, None)

    def _check_open(self) -> None:
        if self._is_closed:
            raise UsageError(f"{self._folder}: the log is closed; open a new WALManager")

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()


def _state(truncated: int) -> SegmentState:
    return SegmentState(lane="", stream="", position=Position(sequence=truncated))


def _encode(event: object) -> tuple[bytes, bytes]:
    if isinstance(event, bytes):
        return _BYTES, event
    if not isinstance(event, Mapping) and not (dataclasses.is_dataclass(event) and not isinstance(event, type)):
        raise UsageError(f"append({type(event).__name__}): expected bytes, a mapping or a dataclass")
    try:
        return _JSON, msgspec.json.encode(dict(event) if isinstance(event, Mapping) else event)
    except (TypeError, msgspec.MsgspecError) as error:
        raise UsageError(f"append: {error}; convert the value, or append bytes of your own") from error


def _decode(group: MessageGroup, index: int) -> Event:
    payload = group.payload(index)
    if group.subjects[group.subject_codes[index]] == _BYTES:
        return payload
    event: dict[str, Any] = msgspec.json.decode(payload)
    return event


def _group(events: list[tuple[bytes, bytes]], first: int, now_ns: int) -> MessageGroup:
    offsets = array("I", [0])
    for _, payload in events:
        offsets.append(offsets[-1] + len(payload) + 1)
    return MessageGroup(
        incarnation=0,
        ingest_ns=now_ns,
        subjects=(_BYTES, _JSON),
        subject_codes=array("H", [kind == _JSON for kind, _ in events]),
        sequences=array("q", range(first, first + len(events))),
        server_ns=array("q", [now_ns]) * len(events),
        headers={},
        offsets=offsets,
        pieces=payload_pieces([payload for _, payload in events]),
    )
