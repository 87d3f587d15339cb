"""TierWriter: all lanes of one tier, from their state folder to their feeds. BronzeWriter and GoldWriter are this."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
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
from ticklake.schema.lookup import BUILTIN_TABLES, TableCatalog
from ticklake.schema.table import Shape, TableSpec
from ticklake.schema.user_tables import parse_user_tables
from ticklake.sink.encode import SegmentEncoder
from ticklake.sink.feed import Bus, Feed
from ticklake.sink.lane import Lane
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.recovery import RecoveryReport
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

    @property
    @abstractmethod
    def flush_settings(self) -> FlushSettings:
        """The tier's own micro-batch settings."""

    async def open(self) -> None:
        """Open the lanes: lock the state folder, publish what a crash left in the logs, make the writers and feeds.

        Raises:
            RetryableError: another writer holds the state folder.
            CorruptError: a log is damaged; run `ticklake wal verify`.
        """
        if self._state is None:
            self._state = await asyncio.to_thread(
                StateFolder.open, str(self._settings.writer_state_dir()), writer_id=self._settings.writer_id
            )
        state = self._state
        encode = SegmentEncoder(self._catalog, decode_limits(self._settings))
        files = LocalFiles()
        for stream, tables in self._catalog.streams().items():
            if tables[0].tier != self.tier:
                continue
            lane = await asyncio.to_thread(
                Lane.open,
                files=files,
                state_folder=str(self._settings.writer_state_dir()),
                data_root=str(self._settings.data_root),
                identity=self.identity,
                epoch=state.epoch,
                stream=stream,
                encode=encode,
                clock=self._clock,
            )
            self.recoveries.append(lane.recovery)
            self._metrics.job_last_success_timestamp_seconds.labels("recovery").set(self._clock.wall_ns() / 1e9)
            traces = self._traces.lane(lane.name)
            writer = LaneWriter(lane, self._policy(), clock=self._clock, metrics=self._metrics, traces=traces)
            self.writers.append(writer)
            self.feeds.append(self._bus.feed(writer, stream=stream, subjects=lane_subjects(tables)))

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
