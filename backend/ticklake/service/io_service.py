"""IOService: the daemon. Recovers, runs the writers, shows its health, and stops in order."""

from __future__ import annotations

import asyncio
import faulthandler
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Protocol

import structlog

from ticklake.base.clock import Clock
from ticklake.base.errors import ConfigError
from ticklake.base.lifecycle import Worker, call_on_signals, run_workers, stop_on_signals
from ticklake.base.metrics import Metrics
from ticklake.base.settings import Settings
from ticklake.files.lease import StateFolder
from ticklake.files.object_answer import StoreUnavailableError
from ticklake.service.notify import Notifier
from ticklake.service.snapshot import ServicePhase, Snapshot
from ticklake.service.status import Phase, Status
from ticklake.service.watch import Watch
from ticklake.sink.feed import Bus
from ticklake.sink.tier import TierWriter

_START_LOOK_S = 5.0


class BusWorker(Bus, Worker, Protocol):
    """A bus that keeps itself connected while it runs."""


class Face(Protocol):
    """Shows the service to the outside; the HTTP server is one."""

    async def start(self) -> object:
        """Begin to answer."""
        ...

    async def stop(self) -> None:
        """Answer no more."""
        ...


class IOService:
    """NATS in, Parquet out, until told to stop.

    The stop ladder: feeds take no more and log what has arrived; writers flush and commit it; the bus sends the last
    acks and closes; the HTTP face goes last. Whatever does not fit into the grace time is in the log.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        version: str,
        state: StateFolder,
        bus: BusWorker,
        tiers: tuple[TierWriter, ...],
        metrics: Metrics,
        notifier: Notifier,
        clock: Clock,
        make_face: Callable[[Callable[[], Status]], Face] | None = None,
        reload_level: Callable[[], str] | None = None,
    ) -> None:
        """Takes finished parts; `assemble.build_service` makes them.

        Args:
            settings: of the service.
            version: of the program.
            state: the locked state folder; closed by `run`.
            bus: the connection.
            tiers: the writers, not yet open.
            metrics: of the service.
            notifier: tells the service manager how we are.
            clock: of the house.
            make_face: makes the HTTP face from a source of status; None: no HTTP.
            reload_level: on SIGHUP, reads the settings anew, turns the log level and gives it.
        """
        self._settings = settings
        self._state = state
        self._bus = bus
        self._tiers = tiers
        self._notifier = notifier
        self._clock = clock
        self._reload_level = reload_level
        now_ns = clock.wall_ns()
        self._phase = ServicePhase("starting", now_ns, now_ns, clock.monotonic_s())
        self.snapshot = Snapshot(settings, version=version, bus=bus, tiers=tiers, clock=clock, phase=self._phase)
        self._watch = Watch(self.snapshot, tiers=tiers, metrics=metrics, notifier=notifier)
        self._face = make_face(self.snapshot.take) if make_face is not None else None
        self._stop = asyncio.Event()
        self._log = structlog.get_logger()

    @property
    def status(self) -> Status:
        """The service now."""
        return self.snapshot.take()

    def stop(self) -> None:
        """Begin to stop; `run` returns when everything is in the lake. Safe to call twice."""
        self._stop.set()

    def flush(self) -> None:
        """Flush now what waits (SIGUSR1)."""
        for tier in self._tiers:
            tier.flush_all()

    async def run(self, *, handle_signals: bool = True, on_ready: Callable[[], None] | None = None) -> None:
        """Work until `stop` or a signal.

        Args:
            handle_signals: TERM and INT stop, a second one leaves at once; HUP reloads the log level, USR1 flushes,
                USR2 prints every thread and task to stderr.
            on_ready: called once the logs are recovered and the writers run.

        Raises:
            ExceptionGroup: a part failed; what was acked is in the log.
            TickLakeError: the start failed: a damaged log, a wrong setting.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._state.close)
            if handle_signals:
                stack.enter_context(stop_on_signals(self._stop))
                stack.enter_context(call_on_signals(self._signal_actions()))
            if self._face is not None:
                await self._face.start()
                stack.push_async_callback(self._face.stop)
            self._notifier.status("replaying the log")
            if not await self._open_tiers():
                self._log.info("service.stopped_before_ready", next_step="none: the next start goes on with the log")
                return
            self._enter("running")
            self._notifier.ready()
            self._log.info("service.started", recovered_messages=self.status.recovery.messages)
            if on_ready is not None:
                on_ready()
            await self._run_workers()
        self._log.info("service.stopped")

    async def _open_tiers(self) -> bool:
        """Publish what the log has and make the writers. False: told to stop while an object store did not answer."""
        watcher = asyncio.ensure_future(self._watch_start())
        try:
            for tier in self._tiers:
                await tier.open()
        except BaseException as error:
            for tier in self._tiers:
                tier.abandon()
            if isinstance(error, StoreUnavailableError) and self._stop.is_set():
                return False
            raise
        finally:
            watcher.cancel()
        return True

    async def _watch_start(self) -> None:
        """Let the service manager wait as long as log and store make us wait; stop waiting when told to stop."""
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(_START_LOOK_S):
                    await self._stop.wait()
            except TimeoutError:
                downs = [wait.down for tier in self._tiers for wait in tier.store_waits]
                down = next(filter(None, downs), None)
                replay = self.status.recovery
                done = f"replaying the log: {replay.segments_done} of {replay.segments_found} segments are in the lake"
                self._notifier.status(done if down is None else f"{down.reason}: {down.text}")
                self._notifier.extend_timeout(3 * _START_LOOK_S)
        for tier in self._tiers:
            tier.stop_waiting()

    async def _run_workers(self) -> None:
        feeds: list[Worker] = [feed for tier in self._tiers for feed in tier.feeds]
        writers: list[Worker] = [writer for tier in self._tiers for writer in tier.writers]
        async with asyncio.TaskGroup() as group:
            announcer = group.create_task(self._announce_stop(), name="announce-stop")
            try:
                await run_workers(
                    [*feeds, *writers, self._bus, self._watch], stop=self._stop, grace_s=self._settings.shutdown_grace_s
                )
            finally:
                announcer.cancel()

    async def _announce_stop(self) -> None:
        await self._stop.wait()
        self._enter("stopping")
        for tier in self._tiers:
            tier.stop_waiting()
        self._notifier.stopping()
        self._notifier.extend_timeout(self._settings.shutdown_grace_s)
        self._log.info("service.stopping", grace_s=self._settings.shutdown_grace_s)

    def _enter(self, phase: Phase) -> None:
        self._phase.phase = phase
        self._phase.since_ns = self._clock.wall_ns()

    def _signal_actions(self) -> Mapping[signal.Signals, Callable[[], None]]:
        return {signal.SIGHUP: self._reload, signal.SIGUSR1: self.flush, signal.SIGUSR2: self._dump}

    def _reload(self) -> None:
        if self._reload_level is not None:
            try:
                level = self._reload_level()
            except ConfigError as error:  # a typo in the file must not stop a running service
                self._log.error(
                    "service.reload_refused", error=str(error), next_step="mend the file, send SIGHUP again"
                )
                return
            self._log.info("service.reloaded", log_level=level)

    def _dump(self) -> None:
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        for task in asyncio.all_tasks():
            task.print_stack(file=sys.stderr)
