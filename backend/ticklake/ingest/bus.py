"""NatsBus: the one connection of the service. Heals itself, notices a dead reader, and feeds the writers."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence

import nats.errors
import structlog

from ticklake.base.clock import Clock
from ticklake.base.errors import ConfigError, UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.base.redact import redact_url
from ticklake.base.settings_groups import NatsSettings
from ticklake.ingest.client import LakeClient, PlaintextRefusedError
from ticklake.ingest.connection import INBOX_PREFIX, SERVER_VERSION_MIN, Callbacks
from ticklake.ingest.core_feed import CoreFeed
from ticklake.ingest.dial import connect_once, words
from ticklake.ingest.intake import Intake
from ticklake.ingest.look import LOOK_EVERY_S
from ticklake.ingest.stream_feed import StreamFeed
from ticklake.ingest.streams import stream_config
from ticklake.sink.feed import BatchWriter, Feed

_REQUEST_TIMEOUT_S = 5.0
_WATCH_S = 1.0
_STUCK_S = 10.0  # a reconnect that has not begun to dial by then waits for the dead socket to close
_RETRY_S = (0.5, 5.0)
_REFUSALS = ("authorization", "authentication", "credentials", "certificate")  # in what servers say, in any case


class NatsBus:
    """A `Bus` and a `Wire` over nats-py.

    Run it as a worker: it connects, and connects anew for ever. `connect` is for programs that want to wait for it.
    """

    name = "nats"

    def __init__(
        self, settings: NatsSettings, *, clock: Clock, metrics: Metrics, sync_interval_s: float = 0.002
    ) -> None:
        """Prepare; nothing is sent before `connect` or `run`.

        Args:
            settings: where NATS is and who we are there.
            clock: of the house.
            metrics: of the service.
            sync_interval_s: how long a small group of messages waits for company before its fsync.
        """
        self.generation = 0
        self.inbox_prefix = INBOX_PREFIX
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._sync_interval_s = sync_interval_s
        self._client: LakeClient | None = None
        self._refusal = ""
        self._server_version: str | None = None
        self._reconnects = 0
        self._since_ns = clock.wall_ns()
        self._feeds: list[StreamFeed] = []
        self._looked_s = 0.0
        self._is_closing = asyncio.Event()
        self._has_connection = asyncio.Event()
        self._log = structlog.get_logger().bind(url=redact_url(settings.url))

    # --- Wire ---------------------------------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether frames can flow now."""
        return self._client is not None and bool(self._client.is_connected)

    async def wait_connected(self, timeout_s: float) -> bool:
        """Wait so long for the connection to stand. Gives whether it does."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_connection.wait()
        except TimeoutError:
            return False  # that is the answer
        return True

    async def request(self, subject: str, payload: bytes) -> bytes:
        """Send and wait for one answer. Raises UnavailableError."""
        client = self._connected()
        try:
            answer = await client.request(subject, payload, timeout=_REQUEST_TIMEOUT_S)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise UnavailableError(f"{subject}: {error or type(error).__name__}") from error
        return bytes(answer.data)

    async def publish(self, subject: str, payload: bytes, reply: str = "") -> None:
        """Send without an answer; a lost connection shows elsewhere."""
        if self._client is None:
            return
        try:
            await self._client.publish(subject, payload, reply=reply)
        except (nats.errors.Error, OSError) as error:
            self._log.debug("ingest.publish_failed", subject=subject, error=str(error))

    async def attach(self, subject: str, intake: Intake) -> int:
        """Subscribe into an intake, and wait until the server knows. Raises UnavailableError."""
        client, number = self._connected(), None
        try:
            number = await client.attach(subject, intake)
            await client.round_trip()
        except (nats.errors.Error, OSError) as error:
            if number is not None:
                await self.detach(number)
            raise UnavailableError(f"cannot subscribe to {subject}: {error}") from error
        return number

    async def detach(self, number: int) -> None:
        """Unsubscribe."""
        if self._client is None:
            return
        try:
            await self._client.detach(number)
        except (nats.errors.Error, OSError) as error:
            self._log.debug("ingest.detach_failed", error=str(error))

    def _connected(self) -> LakeClient:
        if self._client is None or not self._client.is_connected:
            raise UnavailableError(f"not connected to NATS at {redact_url(self._settings.url)}; is the server running?")
        return self._client

    # --- Bus ----------------------------------------------------------------------------------------------------------

    def feed(self, writer: BatchWriter, *, stream: str, subjects: Sequence[str]) -> Feed:
        """A feed into `writer`: of the stream, or in core mode of the subjects."""
        if self._settings.mode == "core":
            return CoreFeed(
                self,
                writer,
                subjects=subjects,
                clock=self._clock,
                metrics=self._metrics,
                sync_interval_s=self._sync_interval_s,
            )
        feed = StreamFeed(
            self,
            writer,
            stream=stream,
            subjects=subjects,
            consumer=f"ticklake-{writer.lane.writer}",
            clock=self._clock,
            metrics=self._metrics,
            sync_interval_s=self._sync_interval_s,
            create=stream_config(stream, subjects) if self._settings.create_streams else None,
        )
        self._feeds.append(feed)
        return feed

    @property
    def facts(self) -> Mapping[str, object]:
        """For the status page; see `Bus`."""
        return {
            "connected": self.is_connected,
            "url": redact_url(self._settings.url),
            "server_version": self._server_version,
            "since_ns": self._since_ns,
            "reconnects": self._reconnects,
            "refusal": self._refusal,
            "fast_lane": self._client.stock_reason or "" if self._client else "",
        }

    async def connect(self) -> None:
        """Connect once.

        Raises:
            UnavailableError: nobody answers, or the server refuses us.
            ConfigError: the server is too old, or a key file is unusable.
        """
        callbacks = Callbacks(self._on_error, self._on_disconnect, self._on_reconnect, self._on_closed)
        try:
            client = await connect_once(self._settings, callbacks, name=f"ticklake@{socket.gethostname()}")
        except UnavailableError as error:
            self._refusal = words(error.__cause__) if _is_refusal(error.__cause__) else ""
            raise
        version = client.connected_server_version
        if (version.major, version.minor) < SERVER_VERSION_MIN:
            await client.close()
            raise ConfigError(f"NATS server {version.major}.{version.minor} is too old; 2.10 or newer is needed")
        self._client = client
        self._refusal = ""
        self._server_version = f"{version.major}.{version.minor}.{version.patch}"
        self._mark(connected=True)
        self._log.info("ingest.connected", server_version=self._server_version, stock_parser=client.stock_reason)

    async def close(self) -> None:
        """Send what is buffered (acks among it) and let go."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            if client.is_connected:
                await client.flush(timeout=2)
        except (nats.errors.Error, OSError, TimeoutError) as error:
            self._log.warning("ingest.last_acks_unsent", error=str(error))  # harmless: the position is ours
        finally:
            await client.close()

    # --- Worker -------------------------------------------------------------------------------------------------------

    def close_intake(self) -> None:
        """End `run`."""
        self._is_closing.set()

    async def run(self) -> None:
        """Connect, stay connected, until `close_intake`."""
        wait_s = _RETRY_S[0]
        self._metrics.nats_connected.set(int(self.is_connected))
        while not self._is_closing.is_set():
            if self._client is None or self._client.is_closed:
                try:
                    await self.connect()
                    wait_s = _RETRY_S[0]
                except UnavailableError as error:
                    self._log.warning("ingest.connect_failed", error=str(error), wait_s=wait_s)
                    await self._wait(wait_s)
                    wait_s = min(_RETRY_S[1], wait_s * 2)
                    continue
            await self._watch(self._client)
            await self._look()
            await self._wait(_WATCH_S)
        await self.close()

    async def _wait(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._is_closing.wait()
        except TimeoutError:
            return  # the usual end of a wait

    async def _watch(self, client: LakeClient | None) -> None:
        """The client's own checks miss two things: a read loop that died, and a reconnect stuck on the old socket."""
        if client is None:
            return
        if client.is_reader_dead():
            self._log.error("ingest.reader_dead", next_step="reconnecting")
            await client.force_reconnect()
        elif not client.is_connected and self._clock.wall_ns() - self._since_ns > _STUCK_S * 1e9:
            client.abort_stuck_socket()

    async def _look(self) -> None:
        """A consumer that brings nothing is either up to date or stalled; only the server knows."""
        now_s = self._clock.monotonic_s()
        if not self.is_connected or now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        for feed in self._feeds:
            try:
                await feed.look()
            except UnavailableError as error:  # a part that needs an answer says so itself
                self._log.debug("ingest.look_failed", feed=feed.name, error=str(error))

    async def _on_error(self, error: Exception) -> None:
        self._log.warning("ingest.nats_error", error=words(error))

    async def _on_disconnect(self) -> None:
        self._mark(connected=False)
        if self._client is not None:  # else we closed it ourselves
            self._log.warning("ingest.disconnected")

    async def _on_reconnect(self) -> None:
        self._reconnects += 1
        self._metrics.nats_reconnects_total.inc()
        self._mark(connected=True)
        self._log.info("ingest.reconnected", reconnects=self._reconnects)

    async def _on_closed(self) -> None:
        self._mark(connected=False)

    def _mark(self, *, connected: bool) -> None:
        self.generation += 1
        self._since_ns = self._clock.wall_ns()
        self._metrics.nats_connected.set(int(connected))
        if connected:
            self._has_connection.set()
        else:
            self._has_connection.clear()
        if self._client is not None:
            for intake in self._client.intakes.values():
                intake.arrived.set()  # the feeds look at the generation at once


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the server is there and will not have us, which no waiting mends."""
    if isinstance(error, PlaintextRefusedError | ssl.SSLError):
        return True
    return any(word in str(error).lower() for word in _REFUSALS)
