"""A lane: one stream's way through the house. Messages go into its log, segments of the log go into the lake.

Three threads share a lane: one puts messages in order and looks at what is durable, one appends and rotates, one
commits. What the last two change is behind one lock; a slow commit never holds up an append. Segments may be encoded
on further threads.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import replace

from ticklake.base.clock import Clock
from ticklake.base.errors import DiskError, OutOfRoomError, UsageError
from ticklake.files.placement import PlacedFiles
from ticklake.lake.batch import EncodedSegment, Encoder
from ticklake.lake.intent import Intent
from ticklake.lake.landing import BucketLake
from ticklake.lake.ledger import LedgerEntry
from ticklake.lake.publish import open_publisher
from ticklake.schema.messages import MessageGroup, Skipped
from ticklake.sink.progress import Progress
from ticklake.sink.recovery import RecoveryReport, Replay, publish_old_log
from ticklake.sink.room import BALLAST_BYTES, Ballast, put_off
from ticklake.sink.sealed import SealedSegments
from ticklake.sink.segment import LiveSegment, Segment, ledger_entry, logged_segment
from ticklake.wal.frame import SECTOR_BYTES, Range
from ticklake.wal.log import SaltSource, Wal, retire
from ticklake.wal.seen import SeenSet
from ticklake.wal.state import Incarnation, Position, SegmentState


class Lane:
    """One stream: its log, its position, its commits. Open with `Lane.open`.

    Attributes:
        name: lower-case name of the stream.
        stream: name of the stream.
        writer: `{identity}-{lane}`, in every file name.
        recovery: what the start found and did.
    """

    def __init__(
        self,
        *,
        files: PlacedFiles,
        state_folder: str,
        data_root: str | BucketLake,
        identity: str,
        epoch: int,
        stream: str,
        encode: Encoder,
        clock: Clock,
        salt_source: SaltSource,
        track_seen: bool,
        sector_bytes: int,
        ballast_bytes: int,
    ) -> None:
        self.stream = stream
        self.name = stream.lower()
        self.writer = f"{identity}-{self.name}"
        self.recovery = RecoveryReport()
        self._files = files
        self._encode = encode
        self._clock = clock
        self._epoch = epoch
        self._salt_source = salt_source
        self._sector_bytes = sector_bytes
        self._log_folder = f"{state_folder}/wal/{self.name}"
        self._progress = Progress(tracks_seen=track_seen)
        self._lock = threading.Lock()
        self._failure: DiskError | None = None
        self._sealed = SealedSegments(files, self._log_folder, lane=self.name, lock=self._lock)
        self._decided: dict[int, Intent] = {}
        self._live = LiveSegment()
        self._unlogged_duplicates = 0
        self._publisher = open_publisher(
            files, state_folder, data_root, log_folder=self._log_folder, lane=self.name, writer=self.writer
        )
        self._ballast = Ballast(files, state_folder, name=f"ballast-{self.name}", size_bytes=ballast_bytes)
        self._wal: Wal

    @classmethod
    def open(
        cls,
        *,
        files: PlacedFiles,
        state_folder: str,
        data_root: str | BucketLake,
        identity: str,
        epoch: int,
        stream: str,
        encode: Encoder,
        clock: Clock,
        salt_source: SaltSource = os.urandom,
        track_seen: bool = False,
        sector_bytes: int = SECTOR_BYTES,
        ballast_bytes: int = BALLAST_BYTES,
        replay: Replay | None = None,
    ) -> Lane:
        """Publish what the life before left behind, then open a new segment. See `sink.recovery`.

        Args:
            files: the disk; shared between lanes.
            state_folder: absolute path; locked by us (`files.lease.StateFolder`).
            data_root: the lake: an absolute path, or a bucket.
            identity: eight hex digits from the state folder.
            epoch: number of this start, from the state folder.
            stream: name of the stream, such as `MARKET_DATA`.
            encode: turns messages into files.
            clock: stamps ledger entries.
            salt_source: gives n random bytes.
            track_seen: keep every durable sequence, for streams that cannot be read again from a position.
            sector_bytes: what the disk writes as a whole.
            ballast_bytes: reserve for commits on a full disk; 0: none.
            replay: told how far it is.

        Raises:
            CorruptError: bytes that were synced are bad or gone; a person decides.
            OutOfRoomError: try again when there is room; nothing was lost.
            DiskError: stop.
        """
        lane = cls(
            files=files,
            state_folder=state_folder,
            data_root=data_root,
            identity=identity,
            epoch=epoch,
            stream=stream,
            encode=encode,
            clock=clock,
            salt_source=salt_source,
            track_seen=track_seen,
            sector_bytes=sector_bytes,
            ballast_bytes=ballast_bytes,
        )
        lane._ballast.aid(lambda: lane._recover(replay or Replay()))
        lane._ballast.make()
        return lane

    @property
    def position(self) -> Position:
        """The last message that is durable. A consumer resumes behind it.

        With `sequence` 0 there is no message of this incarnation yet: begin behind `server_ns`, or with the first
        message of the stream if that is 0 as well.
        """
        return self._progress.position

    @property
    def incarnation(self) -> Incarnation:
        """The stream's present life. Number 0: never seen; call `new_incarnation` before the first JetStream group."""
        return self._progress.incarnation

    @property
    def seen(self) -> SeenSet:
        """Every durable sequence of this incarnation; empty unless opened with `track_seen`. For the order thread."""
        return self._progress.seen

    @property
    def tracks_seen(self) -> bool:
        """Whether every durable sequence is kept."""
        return self._progress.tracks_seen

    @property
    def waiting_messages(self) -> int:
        """Messages in the log that are not committed yet."""
        with self._lock:
            return self._live.messages + self._sealed.messages

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the log."""
        with self._lock:
            return self._wal.end_bytes + self._sealed.size_bytes

    @property
    def live_segment(self) -> int:
        """Number of the live segment. For the log thread."""
        return self._wal.number

    @property
    def live_messages(self) -> int:
        """Messages in the live segment: what the next `rotate` seals."""
        return self._live.messages

    def append(self, group: MessageGroup, *, missing: Sequence[Range] = (), skipped: Skipped | None = None) -> None:
        """Put a group into the log. Durable on return: now its messages may be acked.

        Args:
            group: messages above `position`, of the present incarnation (or of core NATS, without sequences).
            missing: (first, last) sequences, up to the group's last one, that the stream no longer had.
            skipped: what a filtered consumer passed over on the way to the group's last message.

        Raises:
            OutOfRoomError: the log is as before; try the same group again when there is room.
            DiskError: stop without acks. The lane refuses all further work.
            UsageError: the group is not above `position` or of another incarnation.
        """
        self._check_alive()
        self._progress.check(group)
        try:
            self._wal.append(group, missing=missing, duplicates=self._unlogged_duplicates, skipped=skipped)
            self._wal.sync()
        except DiskError as error:
            self._fail(error)
            raise
        with self._lock:
            self._live.take(group, missing, self._unlogged_duplicates, skipped)
            self._unlogged_duplicates = 0
        self._progress.take_group(group)

    def note_duplicates(self, messages: int) -> None:
        """Count messages that were dropped because they are durable already. Durable with the next group or `close`."""
        self._unlogged_duplicates += messages

    def rotate(self) -> Segment | None:
        """Seal the live segment and begin the next one, durably. None when the live one holds no message.

        Raises:
            OutOfRoomError: nothing changed; try again.
            DiskError: stop.
        """
        self._check_alive()
        if not self._live.groups:
            return None
        return self._begin_segment()

    def new_incarnation(
        self, *, created_ns: int, reason: str, start_sequence: int = 0, start_after_ns: int = 0, known_below: int = 0
    ) -> Segment | None:
        """Begin a new life of the stream, durably: sequences may be used again from here on.

        Args:
            created_ns: when the server says the stream was created.
            reason: `first`, `recreated`, `sequence_reused`, ...
            start_sequence: first sequence wanted; 0: decided by `start_after_ns`.
            start_after_ns: begin behind that server time; 0: with the first message.
            known_below: what we hold below that sequence is still in the stream; 0: nothing is.

        Returns:
            The sealed segment of the life before, if it held messages: commit it.
        """
        self._check_alive()
        number = self.incarnation.number + 1
        before = replace(self._progress)
        self._progress.incarnation = Incarnation(number, created_ns, reason)
        self._progress.position = Position(number, max(start_sequence - 1, 0), start_after_ns, 0)
        self._progress.seen = self._progress.seen.below(known_below)
        try:
            return self._begin_segment(before)
        except (OutOfRoomError, DiskError):
            self._progress = before
            raise

    def track_seen(self) -> Segment | None:
        """Keep every durable sequence from here on, durably: the stream cannot be read again from a position.

        Returns:
            The sealed segment, if it held messages: commit it.
        """
        self._check_alive()
        before = replace(self._progress)
        self._progress.tracks_seen = True
        try:
            return self._begin_segment(before)
        except OutOfRoomError:
            self._progress = before
            raise

    def encode(self, segment: Segment) -> EncodedSegment:
        """The files of a sealed segment. Touches no disk: for any thread, also while an older segment is committed."""
        number, life = segment.number, segment.incarnation
        return self._encode(segment.groups, writer=self.writer, segment=number, stream=self.stream, incarnation=life)

    def commit(self, segment: Segment, encoded: EncodedSegment | None = None) -> LedgerEntry:
        """Bring the oldest sealed segment into the lake, then drop it from the log. Durable on return.

        Args:
            segment: as `rotate` gave it.
            encoded: its files, when `encode` has made them already.

        Raises:
            OutOfRoomError: the segment is kept; call again when there is room.
            CorruptError: another file has one of our names; stop.
            DiskError: stop.
            StoreUnavailableError: called off; the segment is kept, and the next start goes on with it.
            UsageError: another segment is older.
        """
        self._check_alive()
        if self._sealed.oldest is not segment:
            raise UsageError(f"{self.name}: segment {segment.number} is not the oldest sealed one; commit in order")
        try:
            entry = self._ballast.aid(lambda: self._publish(segment, encoded))
            self._sealed.remove_oldest()
            self._decided.pop(segment.number, None)
            self._tidy(segment.number)
        except DiskError as error:
            self._fail(error)
            raise
        return entry

    def abandon(self) -> None:
        """Let go of the log as it is, after a failure. Nothing may be appended any more. For the log thread."""
        self._wal.abandon()

    def close(self) -> None:
        """Mark the log as gracefully ended and let go of it. What waits is committed by the next start.

        Raises:
            OutOfRoomError: only the mark is missing; close again when there is room, or leave it at that.
        """
        if self._failure is not None:
            self._wal.abandon()
            return
        self._wal.close(duplicates=self._unlogged_duplicates)

    def _recover(self, replay: Replay) -> None:
        begin_s = self._clock.monotonic_s()
        self._progress = Progress(tracks_seen=self._progress.tracks_seen)
        old = publish_old_log(
            self._files,
            self._log_folder,
            publisher=self._publisher,
            progress=self._progress,
            encode=lambda logged: self.encode(logged_segment(logged, Progress())),
            commit=lambda logged, encoded: self._publish(logged_segment(logged, self._progress), encoded),
            replay=replay,
        )
        self._wal = Wal.open(
            self._files,
            self._log_folder,
            number=max(old.numbers, default=0) + 1,
            epoch=self._epoch,
            state=self._state(duplicates=old.duplicates),
            salt_source=self._salt_source,
            sector_bytes=self._sector_bytes,
        )
        self._live = LiveSegment(duplicates=old.duplicates)
        try:
            retire(self._files, self._log_folder, old.numbers)
            for number in self._publisher.staged_segments():
                self._publisher.clean(number)
        except BaseException:
            self._wal.abandon()
            raise
        self.recovery = replace(old.report, seconds=self._clock.monotonic_s() - begin_s)

    def _begin_segment(self, ended: Progress | None = None) -> Segment | None:
        """Rotate the log; `ended` is the progress of the sealed segment when it is not the present one."""
        with self._lock:
            number, size_bytes = self._wal.number, self._wal.end_bytes
        carried = 0 if self._live.groups else self._live.duplicates
        try:
            state = self._state(duplicates=carried)
            self._ballast.aid(lambda: self._wal.rotate(state))  # only the commit of what is sealed here frees the log
            if not self._live.groups:
                self._sealed.add_empty(number)
                return None
        except DiskError as error:
            self._fail(error)
            raise
        with self._lock:
            self._live.duplicates += self._unlogged_duplicates
            self._unlogged_duplicates = 0
            segment = self._live.seal(number, size_bytes, ended or self._progress)
            self._sealed.add(segment)
            self._live = LiveSegment()
        return segment

    def _tidy(self, committed: int) -> None:
        """Remove the staging of what is committed, and take the reserve back. Neither undoes a commit."""
        with put_off(self.name):
            for number in self._publisher.staged_segments():
                if number <= committed:
                    self._publisher.clean(number)
        self._ballast.make()

    def _publish(self, segment: Segment, encoded: EncodedSegment | None = None) -> LedgerEntry:
        intent = self._decided.get(segment.number)
        if intent is None:
            encoded = encoded or self.encode(segment)
            entry = ledger_entry(
                segment, encoded, writer=self.writer, stream=self.stream, committed_ns=self._clock.wall_ns()
            )
            intent = self._publisher.decide(encoded, entry, reached=segment.reached)
            self._decided[segment.number] = intent
        return self._publisher.finish(intent)

    def _state(self, *, duplicates: int) -> SegmentState:
        return self._progress.to_state(lane=self.name, stream=self.stream, duplicates=duplicates)

    def _check_alive(self) -> None:
        if self._failure is not None:
            raise DiskError(f"{self.name}: stopped after a disk error; start again") from self._failure

    def _fail(self, error: DiskError) -> None:
        self._failure = self._failure or error
