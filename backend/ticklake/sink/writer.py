"""LaneWriter: logs what its feed brings, flushes what waits, and slows the feed down when the disk cannot follow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from statistics import median
from typing import TypeVar

import structlog

from ticklake.base.clock import Clock
from ticklake.base.errors import CorruptError, OutOfRoomError, TickLakeError
from ticklake.base.metrics import Metrics
from ticklake.base.traces import LaneTraces
from ticklake.files.object_answer import Answer, StoreUnavailableError
from ticklake.lake.batch import EncodedSegment
from ticklake.lake.ledger import LedgerEntry
from ticklake.sink.commits import Commits
from ticklake.sink.feed import Batch, BatchT
from ticklake.sink.lane import Lane
from ticklake.sink.lane_counts import LaneCounts, commit_facts
from ticklake.sink.policy import FlushPolicy
from ticklake.sink.segment import Segment
from ticklake.sink.store_wait import StoreWait

StepT = TypeVar("StepT")
_SYNCS_KEPT, _SYNCS_MIN = 9, 5  # the median of so many: most must be slow, a single hiccup tells nothing
_ROOM_RETRY_S = 1.0  # how often a full disk is tried again: cheap, and an operator frees space in minutes


class LaneWriter:
    """The sink of one lane.

    Threads do the blocking work: one owns the log, one owns commits, two encode. The log goes on while a commit runs.
    An open segment that is full meanwhile is sealed and encoded, too, unless a store or a disk holds that commit up;
    when the next one is full and it still runs, `room` holds the feed back.
    """

    def __init__(
        self,
        lane: Lane,
        policy: FlushPolicy,
        *,
        clock: Clock,
        metrics: Metrics,
        traces: LaneTraces | None = None,
        acks_after_commit: bool = False,
        store_wait: StoreWait | None = None,
        patience_s: float = 10.0,
    ) -> None:
        """Takes finished parts.

        Args:
            lane: log and commits.
            policy: when to flush.
            clock: of the house.
            metrics: of the service.
            traces: of the lane; None: none.
            acks_after_commit: see `BatchWriter`.
            store_wait: what the lane's commits wait with, when the lake lies in a bucket.
            patience_s: how long the last commits may wait for the store; then what waits stays in the log.
        """
        self.lane = lane
        self.name = lane.name
        self.acks_after_commit = acks_after_commit
        self.counts = LaneCounts()
        self.out_of_room_since_ns: int | None = None
        self.last_append_ns = 0
        self.unsynced_since_ns: int | None = None
        self._syncs_s: deque[float] = deque(maxlen=_SYNCS_KEPT)
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._traces = traces
        metrics.begin_lane(lane.name)
        self._order_thread = ThreadPoolExecutor(1, thread_name_prefix=f"order-{lane.name}")
        self._log_thread = ThreadPoolExecutor(1, thread_name_prefix=f"log-{lane.name}")
        self._commit_thread = ThreadPoolExecutor(1, thread_name_prefix=f"commit-{lane.name}")
        self._changed = asyncio.Event()  # something to flush may have come, a commit has ended, or the end is near
        self._commits = Commits(lane, clock=clock, wake=self._changed.set)
        self._sealing = asyncio.Lock()
        self._has_room = True
        self._is_held = False
        self._wake_feed: Callable[[], None] = lambda: None
        self._is_closing = False
        self._has_ended = False
        self._is_left = False  # a commit was called off: the rest stays in the log, too
        self._store_wait = store_wait
        self._patience_s = patience_s
        self._filled_segment = 0  # newest segment that holds a message
        self._after_commit: Callable[[int], Awaitable[None]] | None = None
        self._log = structlog.get_logger().bind(lane=lane.name)

    # --- for the feed -------------------------------------------------------------------------------------------------

    async def prepare(self, make: Callable[[Lane], BatchT]) -> BatchT:
        """Run `make` on the order thread; see `BatchWriter`."""
        return await self._run_on(self._order_thread, make, self.lane)

    def log(self, batch: Batch) -> Awaitable[int]:
        """Log a batch on the log thread, which begins at once; see `BatchWriter`."""
        if batch.duplicates:  # once: logging the group may be tried many times
            self._run_on(self._log_thread, self.lane.note_duplicates, batch.duplicates)
        return self._logged(batch, self._run_on(self._log_thread, self._log_batch, batch))

    async def _logged(self, batch: Batch, attempt: asyncio.Future[tuple[float, int]]) -> int:
        while True:
            try:
                took_s, segment = await attempt
                break
            except OutOfRoomError as error:
                self._enter_out_of_room(error)
                self._policy.ask()  # a commit frees log space
                self._changed.set()
                await asyncio.sleep(_ROOM_RETRY_S)
                attempt = self._run_on(self._log_thread, self._log_batch, batch)
        self._leave_out_of_room()
        self._account(batch, took_s)
        return segment

    def _log_batch(self, batch: Batch) -> tuple[float, int]:
        begin_s = self._clock.monotonic_s()
        self.unsynced_since_ns = self._clock.wall_ns()
        if batch.group is not None:
            self.lane.append(batch.group, missing=tuple(batch.missing), skipped=batch.skipped)
            self._filled_segment = self.lane.live_segment
        self.unsynced_since_ns = None
        took_s = self._clock.monotonic_s() - begin_s
        if self._traces is not None and batch.group is not None:
            self._traces.logged(batch.group, took_s=took_s, now_ns=self._clock.wall_ns())
        return took_s, self._filled_segment

    def _account(self, batch: Batch, took_s: float) -> None:
        count = len(batch.group) if batch.group is not None else 0
        missing = sum(last - first + 1 for first, last in batch.missing)
        self.counts.received += count + batch.duplicates
        self.counts.duplicates += batch.duplicates
        self.counts.missing += missing
        self._metrics.messages_received_total.labels(self.name).inc(count + batch.duplicates)
        self._metrics.duplicates_total.labels(self.name).inc(batch.duplicates)
        self._metrics.missing_total.labels(self.name).inc(missing)
        if batch.group is None:
            return
        self._metrics.received_bytes_total.labels(self.name).inc(batch.group.offsets[-1] - count)  # without newlines
        self._metrics.wal_fsync_seconds.labels(self.name).observe(took_s)
        self._syncs_s.append(took_s)
        now_s = self._clock.monotonic_s()
        self.last_append_ns = self._clock.wall_ns()
        self._policy.note(batch.group, now_s)
        if self._policy.is_full:
            self._set_room(False)
        if self._policy.messages == count or self._policy.due_in_s(now_s) == 0:
            self._changed.set()  # the first of a segment starts the timer; a due one must not wait for it

    async def new_incarnation(
        self, *, created_ns: int, reason: str, start_sequence: int, start_after_ns: int, known_below: int = 0
    ) -> None:
        """Close the open segment and go on in a new life of the stream; what waited is committed first."""
        await self._seal(
            partial(
                self.lane.new_incarnation,
                created_ns=created_ns,
                reason=reason,
                start_sequence=start_sequence,
                start_after_ns=start_after_ns,
                known_below=known_below,
            )
        )
        await self._commits.settle()

    async def track_seen(self) -> None:
        """Keep every durable sequence from here on; what waited is committed first."""
        await self._seal(self.lane.track_seen)
        await self._commits.settle()

    @property
    def has_room(self) -> bool:
        """Whether more may be asked for."""
        return self._has_room and not self._is_held

    def on_room(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there is room again."""
        self._wake_feed = wake

    def on_commit(self, tell: Callable[[int], Awaitable[None]]) -> None:
        """Await `tell` with its number when a segment has been committed."""
        self._after_commit = tell

    def hold(self, is_held: bool) -> None:
        """Ask for no more while the disk is below its watermark; what is here is still written out."""
        was_held, self._is_held = self._is_held, is_held
        if was_held and not is_held and self._has_room:  # said every second; only the change is news to the feed
            self._wake_feed()

    def _set_room(self, has_room: bool) -> None:
        if has_room and not self._has_room:
            self._wake_feed()
        self._has_room = has_room

    # --- for the house ------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Flush now what waits (SIGUSR1). Returns at once."""
        self._policy.ask()
        self._changed.set()

    def close_intake(self) -> None:
        """The feed has ended: flush what is left, then `run` returns. While a store is down the log keeps it."""
        self._is_closing = True
        if self._store_wait is not None:
            self._store_wait.last_try()
            asyncio.get_running_loop().call_later(self._patience_s, self._store_wait.call_off)
        self.flush()

    @property
    def sync_s(self) -> float:
        """What an append and its fdatasync take: the median of the last few; 0 while there are too few."""
        return median(self._syncs_s) if len(self._syncs_s) >= _SYNCS_MIN else 0.0

    @property
    def commit_s(self) -> float:
        """How long the commit under way takes already, in seconds; 0 when there is none."""
        return self._commits.commit_s

    @property
    def waiting_since_s(self) -> float | None:
        """Monotonic time of the oldest message that is only in the log; None when nothing waits."""
        return self._policy.first_s

    async def run(self) -> None:
        """Flush whenever it is due, until `close_intake`; then flush all and close the log.

        Raises:
            DiskError, CorruptError: the lake or the log failed; what was acked is in the log.
        """
        try:
            try:
                await self._flush_until_closed()
            except StoreUnavailableError as error:
                while not self._is_closing:  # called off, yet the feed may still have something for the log
                    self._changed.clear()
                    await self._changed.wait()
                self._log.warning(
                    "sink.left_in_log",
                    messages=self.lane.waiting_messages,
                    error=str(error),
                    next_step="none: the next start brings it into the lake",
                )
            try:
                await self._run_on(self._log_thread, self.lane.close)
            except OutOfRoomError as error:  # all is in files by now; only the mark of a graceful end is missing
                self._log.warning("sink.closed_without_mark", error=str(error), next_step="none: nothing is lost")
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of store, log and threads as they are, without waiting; what was acked is in the log.

        How `run` ends, however it ends. By hand only for a writer that never ran. Safe to call twice.
        """
        if self._has_ended:
            return
        self._has_ended = True
        if self._store_wait is not None:
            self._store_wait.call_off()
        self._commits.close()
        self._log_thread.submit(self.lane.abandon)  # behind what that thread is writing
        for thread in (self._order_thread, self._log_thread, self._commit_thread):
            thread.shutdown(wait=False)

    def _run_on(self, thread: ThreadPoolExecutor, step: Callable[..., StepT], *args: object) -> asyncio.Future[StepT]:
        """Begin a step on one of our threads."""
        if self._has_ended:
            raise TickLakeError(f"{self.name}: its writer has ended; see why in the log above, then start again")
        return asyncio.get_running_loop().run_in_executor(thread, partial(step, *args))

    async def _flush_until_closed(self) -> None:
        while True:
            is_busy = self._commits.is_busy
            if not is_busy:
                await self._commits.settle()  # raises what ended it
            due_in_s = self._policy.due_in_s(self._clock.monotonic_s())
            if due_in_s is None and self._is_closing:
                await self._commits.settle()
                return
            may_go_ahead = (self._policy.is_full or self._is_closing) and not self._commits.is_held_up
            if due_in_s == 0 and (may_go_ahead or not is_busy):
                await self._seal(self.lane.rotate)
                continue
            self._changed.clear()
            with suppress(TimeoutError):  # the timer is the other way to get due
                async with asyncio.timeout(due_in_s or None):  # due while a commit runs: the batch grows meanwhile
                    await self._changed.wait()

    async def _seal(self, seal: Callable[[], Segment | None]) -> None:
        """Seal the open segment on the log thread. It is encoded at once, and committed behind the one before."""
        async with self._sealing:
            if self._is_left:
                raise StoreUnavailableError(
                    f"{self.name}: the store is down, the rest is in the log", reason=Answer.UNKNOWN
                )
            oldest_s = self._policy.first_s
            segment = await self._until_there_is_room(lambda: self._run_on(self._log_thread, seal))
            self._policy.flushed(self._clock.monotonic_s())
            self._set_room(self.out_of_room_since_ns is None)
            if segment is None:
                if not self._commits.is_busy:  # else the commit under way tells whether there is room
                    self._leave_out_of_room()
                return
            begin_s = self._clock.monotonic_s()
            await self._commits.add(segment, partial(self._commit, segment, begin_s, oldest_s))

    async def _commit(self, segment: Segment, begin_s: float, oldest_s: float | None, encoded: EncodedSegment) -> None:
        """Commit the oldest sealed segment on the commit thread, and tell."""
        commit = partial(self.lane.commit, segment, encoded)
        try:
            entry = await self._until_there_is_room(
                lambda: self._run_on(self._commit_thread, commit),
                on_failure=self._metrics.commit_total.labels("out_of_room").inc,
            )
        except StoreUnavailableError:
            raise  # called off: the next start goes on with it
        except TickLakeError as error:
            self._metrics.commit_total.labels("conflict" if isinstance(error, CorruptError) else "failed").inc()
            raise
        self._leave_out_of_room()
        self._report(entry, segment, took_s=self._clock.monotonic_s() - begin_s, oldest_s=oldest_s)
        if self._after_commit is not None:
            await self._after_commit(segment.number)

    async def _until_there_is_room(
        self, step: Callable[[], asyncio.Future[StepT]], *, on_failure: Callable[[], object] = lambda: None
    ) -> StepT:
        while True:
            try:
                return await step()
            except StoreUnavailableError:
                self._is_left = True
                raise
            except OutOfRoomError as error:
                on_failure()
                self._enter_out_of_room(error)
                await asyncio.sleep(_ROOM_RETRY_S)

    def _enter_out_of_room(self, error: OutOfRoomError) -> None:
        self._set_room(False)
        if self.out_of_room_since_ns is None:
            self.out_of_room_since_ns = self._clock.wall_ns()
            self._metrics.out_of_room_total.inc()
            self._log.warning(
                "sink.out_of_room", error=str(error), next_step="free disk space; intake resumes by itself"
            )

    def _leave_out_of_room(self) -> None:
        if self.out_of_room_since_ns is not None:
            self.out_of_room_since_ns = None
            self._log.info("sink.room_again")
        if not self._policy.is_full:
            self._set_room(True)

    def _report(self, entry: LedgerEntry, segment: Segment, *, took_s: float, oldest_s: float | None) -> None:
        now_ns = self._clock.wall_ns()
        row_count, file_bytes = sum(entry.rows.values()), sum(file.bytes for file in entry.files)
        if self._traces is not None:
            self._traces.committed(segment, rows=row_count, file_bytes=file_bytes, took_s=took_s, now_ns=now_ns)
        lag_s = max(0.0, self._clock.monotonic_s() - oldest_s) if oldest_s is not None else 0.0
        self.counts.add(entry, now_ns=now_ns, lag_s=lag_s)
        for table, rows in entry.rows.items():
            self._metrics.rows_stored_total.labels(table).inc(rows)
        for reason, rows in entry.reasons.items():
            self._metrics.messages_rejected_total.labels(self.name, reason).inc(rows)
        for file in entry.files:
            self._metrics.files_total.labels(file.table).inc()
            self._metrics.file_bytes_total.labels(file.table).inc(file.bytes)
        self._metrics.flush_seconds.labels(self.name).observe(took_s)
        self._metrics.flush_rows_total.labels(self.name).inc(row_count)
        self._metrics.end_to_end_lag_seconds.labels(self.name).set(lag_s)
        self._metrics.commit_total.labels("ok").inc()
        self._metrics.job_last_success_timestamp_seconds.labels("commit").set(now_ns / 1e9)
        level = self._log.warning if entry.quarantined_rows else self._log.info
        level("sink.segment_committed", **commit_facts(entry), bytes=file_bytes, took_ms=round(took_s * 1000, 1))
