"""TierWriter: all lanes of one tier, from their state folder to their feeds. BronzeWriter and GoldWriter are this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import structlog

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.lifecycle import Worker, run_workers
from ticklake.base.metrics import Metrics
from ticklake.base.settings import Settings
from ticklake.base.settings_groups import FlushSettings
from ticklake.base.traces import NoTraces, Traces
from ticklake.decode.limits import DecodeLimits
from ticklake.files.lease import StateFolder
from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, lake_place
from ticklake.lake.landing import BucketLake
from ticklake.schema.lookup import BUILTIN_TABLES, TableCatalog
from ticklake.schema.table import Shape, TableSpec
from ticklake.schema.user_tables import parse_user_tables
from ticklake.sink.encode import SegmentEncoder
from ticklake.sink.feed import Bus, Feed
from ticklake.sink.lane import Lane
from ticklake.sink.lost_state import check_not_lost
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.recovery import RecoveryReport, Replay
from ticklake.sink.store_check import check_store
from ticklake.sink.store_wait import StoreWait
from ticklake.sink.writer import LaneWriter


class TierWriter(ABC):
    """Writes every table of one tier.

    Use it inside a service through `open` and `workers`, or alone through `start` and `stop`.
    """

    tier: ClassVar[str]

    def __init__(
        self,
        bus: Bus,
        *,
        settings: Settings | None = None,
        state: StateFolder | None = None,
        catalog: TableCatalog | None = None,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare; nothing is opened before `open` or `start`.

        Args:
            bus: brings the messages; connected by whoever made it.
            settings: where the lake is and when to flush; None: the defaults, without looking at the environment.
            state: the state folder, when somebody else holds its lock; None: opened and locked here.
            catalog: tables; None: the built-in ones and those of the settings.
            metrics: of the service; None: our own.
            traces: where spans go; None: nowhere.
            clock: None: the machine's.
        """
        self._bus = bus
        self._settings = settings or Settings()
        self._state = state
        self._owns_state = state is None
        self._catalog = catalog or make_catalog(self._settings)
        self._metrics = metrics or Metrics(version="embedded")
        self._traces = traces or NoTraces()
        self._clock = clock or SystemClock()
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._log = structlog.get_logger().bind(tier=self.tier)
        self.writers: list[LaneWriter] = []
        self.feeds: list[Feed] = []
        self.recoveries: list[RecoveryReport] = []
        self.replays: list[Replay] = []
        self.store_waits: list[StoreWait] = []
        self._is_stopping = False

    @property
    @abstractmethod
    def flush_settings(self) -> FlushSettings:
        """The tier's own micro-batch settings."""

    async def open(self) -> None:
        """Open the lanes: lock the state folder, publish what a crash left in the logs, make the writers and feeds.

        One that fails or is cancelled lets go of all it had opened; it may be called again.

        Raises:
            RetryableError: another writer holds the state folder.
            CorruptError: a log is damaged; run `ticklake wal verify`.
            ConfigError: the bucket has no conditional writes, or a setting is wrong.
            OutOfRoomError: a log cannot be published for lack of room; free some and open again.
            DiskError: stop.
            StoreUnavailableError: told to stop while the store did not answer.
        """
        opened: list[tuple[LaneWriter, Sequence[TableSpec]]] = []
        try:
            await self._open(opened)
        except BaseException:
            self.writers = [writer for writer, _ in opened]
            self.abandon()
            raise
        self.writers = [writer for writer, _ in opened]
        self.feeds = [
            self._bus.feed(writer, stream=writer.lane.stream, subjects=lane_subjects(tables))
            for writer, tables in opened
        ]

    async def _open(self, opened: list[tuple[LaneWriter, Sequence[TableSpec]]]) -> None:
        if self._state is None:
            self._state = await asyncio.to_thread(
                StateFolder.open, str(self._settings.writer_state_dir()), writer_id=self._settings.writer_id
            )
        encode = SegmentEncoder(self._catalog, decode_limits(self._settings))
        files, root = LocalFiles(), lake_place(self._settings)
        streams = {stream: tables for stream, tables in self._catalog.streams().items() if self._is_ours(tables)}
        if isinstance(root, ObjectPath):
            root.store.observe = self._observe
            await asyncio.to_thread(self._new_wait(self.tier).run, [partial(check_store, root)])
        for stream, tables in streams.items():
            await self._check_not_lost(root, self._state.path, stream)
            wait = self._new_wait(stream.lower()) if isinstance(root, ObjectPath) else None
            lane = await self._open_lane(files, root, self._state, stream, encode, wait)
            self.recoveries.append(lane.recovery)
            self._metrics.job_last_success_timestamp_seconds.labels("recovery").set(self._clock.wall_ns() / 1e9)
            writer = LaneWriter(
                lane,
                self._policy(),
                clock=self._clock,
                metrics=self._metrics,
                traces=self._traces.lane(lane.name),
                acks_after_commit=self._settings.ack_after == "commit",
                store_wait=wait,
                patience_s=self._settings.shutdown_grace_s / (2 * len(streams) + 2),
            )
            opened.append((writer, tables))

    async def _open_lane(
        self,
        files: LocalFiles,
        root: Place,
        state: StateFolder,
        stream: str,
        encode: SegmentEncoder,
        wait: StoreWait | None,
    ) -> Lane:
        replay = Replay()
        self.replays.append(replay)
        opening = asyncio.get_running_loop().run_in_executor(
            None,
            partial(
                Lane.open,
                files=files,
                state_folder=state.path,
                data_root=_lane_root(root, wait),
                identity=state.identity,
                epoch=state.epoch,
                stream=stream,
                encode=encode,
                clock=self._clock,
                replay=replay,
            ),
        )
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:  # the thread goes on: the folder must not be given back while it does
            if wait is not None:
                wait.call_off()
            await asyncio.wait([opening])
            if opening.exception() is None:
                opening.result().abandon()
            raise

    async def _check_not_lost(self, root: Place, state_folder: str, stream: str) -> None:
        if self._settings.nats.mode == "core":
            return  # nothing can be read twice
        check = partial(check_not_lost, root, state_folder, stream, self.identity)
        if isinstance(root, ObjectPath):
            await asyncio.to_thread(self._new_wait(stream.lower()).run, [check])
        else:
            await asyncio.to_thread(check)

    def _is_ours(self, tables: Sequence[TableSpec]) -> bool:
        return tables[0].tier == self.tier

    def _new_wait(self, name: str) -> StoreWait:
        wait = StoreWait(name, clock=self._clock, metrics=self._metrics)
        self.store_waits.append(wait)
        if self._is_stopping:
            wait.last_try()
        return wait

    def _observe(self, operation: str, result: str, seconds: float) -> None:
        self._metrics.storage_request_seconds.labels(operation, result).observe(seconds)

    def stop_waiting(self) -> None:
        """The end is near: repeat nothing that a store does not answer; the log keeps what is not in the lake."""
        self._is_stopping = True
        for wait in self.store_waits:
            wait.last_try()

    def _policy(self) -> FlushPolicy:
        flush = self.flush_settings

        def rule_of(subject: bytes) -> FlushRule:
            table = self._catalog.match(subject)
            rows = table.flush_rows if table is not None and table.flush_rows else flush.flush_rows
            seconds = table.flush_seconds if table is not None and table.flush_seconds else flush.flush_seconds
            return FlushRule(rows, seconds)

        return FlushPolicy(
            rule_of, interval_min_s=flush.flush_interval_min_s, bytes_max=int(self._settings.wal.segment_bytes_max)
        )

    @property
    def identity(self) -> str:
        """Of this writer, as in file names; empty before `open`."""
        return self._state.identity if self._state is not None else ""

    @property
    def workers(self) -> Sequence[Worker]:
        """Feeds first, then the writers they feed: the order in which they drain."""
        return [*self.feeds, *self.writers]

    def flush_all(self) -> None:
        """Flush now what waits. Returns at once."""
        for writer in self.writers:
            writer.flush()

    def abandon(self) -> None:
        """Let go of what `open` has opened and nobody runs. It may be opened again."""
        for wait in self.store_waits:
            wait.call_off()
        for writer in self.writers:
            writer.abandon()
        self.writers, self.feeds = [], []
        self.recoveries, self.replays, self.store_waits = [], [], []
        self.close()

    async def start(self) -> None:
        """Open, then run in the background until `stop`."""
        await self.open()
        ladder = run_workers(self.workers, stop=self._stop, grace_s=self._settings.shutdown_grace_s)
        self._running = asyncio.get_running_loop().create_task(ladder, name=f"{self.tier}-writer")

    async def stop(self) -> None:
        """Take no more, log and commit what is here, ack it, let go. Returns when all of it is in the lake.

        Raises:
            ExceptionGroup: a part failed, earlier or now; what was acked is in the log.
        """
        self._stop.set()
        self.stop_waiting()
        try:
            if self._running is not None:
                await self._running
        finally:
            self._running = None
            self.close()

    def close(self) -> None:
        """Give the state folder back, if it is ours."""
        if self._owns_state and self._state is not None:
            self._state.close()
            self._state = None


def _lane_root(root: Place, wait: StoreWait | None) -> str | BucketLake:
    """The lake as a lane wants it."""
    if wait is None or not isinstance(root, ObjectPath):
        return str(root)
    return BucketLake(root, persist=wait.commit, ask=wait.run)


def make_catalog(settings: Settings) -> TableCatalog:
    """The built-in tables and the user's. Raises ConfigError."""
    return TableCatalog([*BUILTIN_TABLES, *parse_user_tables(settings.tables)])


def decode_limits(settings: Settings) -> DecodeLimits:
    """The decoder's bounds."""
    return DecodeLimits(
        payload_bytes_max=int(settings.limits.payload_bytes_max),
        future_max_s=settings.limits.future_max_s,
        partitions_max=settings.limits.partitions_max,
    )


def lane_subjects(tables: Sequence[TableSpec]) -> list[str]:
    """The subjects a lane must hear: a catch-all covers the others below it, else each table's, with one more token."""
    covers = [table.subject for table in tables if table.shape is Shape.RAW]
    subjects = list(covers)
    for table in tables:
        if table.shape is not Shape.RAW and not any(table.subject.startswith(cover[:-1]) for cover in covers):
            subjects += [table.subject, f"{table.subject}.*"]
    return subjects
