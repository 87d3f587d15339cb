"""StreamFeed: one JetStream stream into one writer, exactly once.

Limits streams are read *by position*: the consumer is made at our own durable position and must deliver in one unbroken
run; at any break, redelivery, reconnect or silence it is made anew at the position. One ack per logged group is a
courtesy to the server (with `ack_after = commit` one per segment, once it is in the lake), left out while we are far
behind. Work-queue and interest streams cannot be read again, so there each message is acked for itself and redeliveries
are recognised by the set of sequences the log holds.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog

from ticklake.base.clock import Clock
from ticklake.base.errors import UnavailableError
from ticklake.base.metrics import Metrics
from ticklake.ingest.api import JetStreamApi, Retention, StreamFacts, StreamMissingError
from ticklake.ingest.bind import NEAR_THE_END, Binding, bind_consumer
from ticklake.ingest.intake import Intake, Taken
from ticklake.ingest.late_acks import LateAcks
from ticklake.ingest.look import look_at_consumer
from ticklake.ingest.order import Ordered, any_order, in_order
from ticklake.ingest.pull import SILENCE_S, PullSession
from ticklake.ingest.resume import ALARMS, NEW_INCARNATION, Finding, Resume, decide
from ticklake.ingest.wire import Wire
from ticklake.sink.feed import BatchWriter, FeedState
from ticklake.sink.lane import Lane

_LOOK_S = 0.5
_BACKOFF_S = (0.25, 5.0)  # first and longest wait between tries: never a hot loop, never a long sleep
_CAUGHT_UP = "caught up"
_SMALL_GROUP = 256  # below this many messages it pays to wait a moment for company


@dataclass(slots=True)
class _Cursor:
    """Where the running consumer is."""

    after_sequence: int
    after_server_ns: int
    consumer_sequence: int = 1
    left_out: list[bytes] = field(default_factory=list)


class StreamFeed:
    """Feeds one writer from one stream."""

    def __init__(
        self,
        wire: Wire,
        writer: BatchWriter,
        *,
        stream: str,
        subjects: Sequence[str],
        consumer: str,
        clock: Clock,
        metrics: Metrics,
        sync_interval_s: float,
        create: dict[str, Any] | None = None,
    ) -> None:
        """Prepare; nothing is sent before `run`.

        Args:
            wire: the connection.
            writer: takes the messages.
            stream: to read.
            subjects: of our tables; when the stream carries others too, the consumer filters.
            consumer: durable name, ours alone.
            clock: of the house.
            metrics: of the service.
            sync_interval_s: how long a small group waits for company before its fsync.
            create: stream configuration to create when the stream is missing; None: report it and wait.
        """
        self.name = f"feed-{writer.name}"
        self._wire = wire
        self._api = JetStreamApi(wire)
        self._writer = writer
        self._stream = stream
        self._subjects = tuple(subjects)
        self._consumer = consumer
        self._clock = clock
        self._metrics = metrics
        self._sync_interval_s = sync_interval_s
        self._create = create
        self._is_closing = asyncio.Event()
        self._wake = asyncio.Event()
        self._has_progress = False
        self._is_late = writer.acks_after_commit
        self._acks = LateAcks(wire, clock=clock, acks_after_commit=self._is_late)
        writer.on_commit(self._acks.committed)
        self.state = FeedState()
        self._log = structlog.get_logger().bind(lane=writer.name, stream=stream)

    def close_intake(self) -> None:
        """Log and ack what has arrived, then return from `run`."""
        self._is_closing.set()
        self._wake.set()

    async def run(self) -> None:
        """Read the stream until closed; heal whatever breaks on the NATS side.

        Raises:
            DiskError: the log failed; no ack left after that.
        """
        failures = 0
        while not self._is_closing.is_set():
            self._has_progress = False
            if not await self._wire.wait_connected(_LOOK_S):
                self.state = replace(self.state, is_bound=False, problem="waiting for the connection")
                continue
            try:
                reason = await self._live()
            except UnavailableError as error:
                reason = str(error)
            if self._is_closing.is_set():
                break
            if reason == _CAUGHT_UP:
                self._log.info("ingest.caught_up")
                continue
            failures = 0 if self._has_progress else failures + 1
            self.state = replace(self.state, is_bound=False, problem=reason)
            wait_s = min(_BACKOFF_S[1], _BACKOFF_S[0] * 2 ** min(failures, 10)) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter
            self._log.warning("ingest.consumer_restarts", reason=reason, wait_s=round(wait_s, 2), failures=failures)
            await self._pause(wait_s)
        self.state = replace(self.state, is_bound=False, problem="stopped")

    async def look(self) -> None:
        """Ask how the server sees our consumer: a stalled one brings nothing. Raises UnavailableError."""
        if not self.state.is_bound:
            return
        found = await look_at_consumer(self._api, self._clock, stream=self._stream, consumer=self._consumer)
        if found is not None and self.state.is_bound:
            self.state = replace(
                self.state, pending=found.pending, ack_pending=found.ack_pending, clock_skew_s=found.clock_skew_s
            )
            self._metrics.consumer_pending.labels(self._writer.name).set(found.pending)
            self._metrics.consumer_ack_pending.labels(self._writer.name).set(found.ack_pending)
            if found.clock_skew_s is not None:
                self._metrics.nats_clock_skew_seconds.set(found.clock_skew_s)

    async def _pause(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await self._is_closing.wait()
        except TimeoutError:
            return  # the usual end of a pause

    async def _live(self) -> str:
        """One life of the consumer. Gives the reason why it ended."""
        generation = self._wire.generation
        stream = await self._stream_facts()
        is_explicit = stream.retention is not Retention.LIMITS
        if is_explicit and not self._writer.lane.tracks_seen:
            await self._writer.track_seen()
        resume = await self._find_position(stream)
        cursor = _Cursor(resume.after_sequence, resume.after_server_ns)
        inbox = f"{self._wire.inbox_prefix}.{self._consumer}.{random.getrandbits(64):016x}"
        intake = Intake(inbox_prefix=inbox.encode())
        self._wake = intake.arrived
        if self._is_closing.is_set():
            intake.arrived.set()  # closed while we looked at the stream: do not wait for a message
        self._writer.on_room(intake.arrived.set)
        number = await self._wire.attach(f"{inbox}.*", intake)
        try:
            binding = await bind_consumer(
                self._api, self._consumer, stream, resume, subjects=self._subjects, is_late=self._is_late
            )
            self._acks.begin(is_floor=not is_explicit, ack_wait_s=binding.ack_wait_s)
            session = PullSession(
                self._wire, intake, stream=self._stream, consumer=self._consumer, inbox=inbox, clock=self._clock
            )
            mode = "explicit" if is_explicit else "position"
            self.state = replace(self.state, mode=mode, is_bound=True, problem="")
            self._log.info(
                "ingest.consumer_bound",
                mode=mode,
                finding=resume.finding.value,
                start_sequence=resume.start_sequence,
                start_ns=resume.start_ns,
                filtered=binding.is_filtered,
                acks=binding.takes_acks,
            )
            while True:
                reason = await self._turn(session, intake, cursor, generation, binding)
                if reason is not None:
                    return reason
        finally:
            await self._wire.detach(number)
            for reply in cursor.left_out:  # else they come only after the ack wait; first unsubscribed, or here again
                await self._wire.publish(reply.decode("ascii"), b"-NAK")

    async def _turn(
        self,
        session: PullSession,
        intake: Intake,
        cursor: _Cursor,
        generation: int,
        binding: Binding,
    ) -> str | None:
        """Wait for messages, log them, ack them, ask for more. Gives a reason when this consumer is over."""
        await self._ask(session)
        if await self._is_silent(session, intake):
            return f"no heartbeat for {SILENCE_S:g} s"
        intake.arrived.clear()
        if self._wire.generation != generation:
            return "reconnected"
        broken = session.read_statuses()
        took = 0
        logging: Awaitable[None] | None = None
        try:
            while intake.messages:
                taken = intake.take()
                took += len(taken)
                session.received(len(taken), taken.payload_bytes)
                await self._ask(session)  # the server goes on while we order and log
                ordered = await self._prepare(taken, cursor, binding)
                if logging is not None:
                    before, logging = logging, None
                    await before
                acks = ordered.acks if binding.takes_acks else ()
                logging = self._acked(acks, self._writer.log(ordered))
                if binding.is_explicit or ordered.broken is not None:  # what comes next depends on what the log holds
                    before, logging = logging, None
                    await before
                if ordered.is_reused:
                    await self._reuse(ordered.reused_sequence)
                if ordered.broken is not None:
                    cursor.left_out = [*ordered.left_out, *(intake.take().replies() if binding.is_explicit else ())]
                    self.state = replace(self.state, redelivered=self.state.redelivered + 1)
                    self._metrics.redelivered_total.labels(self._writer.name).inc(len(taken))
                    return ordered.broken
                self.state = replace(self.state, pending=ordered.pending)
                self._metrics.consumer_pending.labels(self._writer.name).set(ordered.pending)
                if not binding.takes_acks and ordered.pending <= NEAR_THE_END:
                    return _CAUGHT_UP
        finally:
            if logging is not None:
                await logging
        if broken is not None:
            return broken
        if self._is_closing.is_set():
            return "closing"
        if took < _SMALL_GROUP and self._sync_interval_s:
            await asyncio.sleep(self._sync_interval_s)
        return None

    async def _is_silent(self, session: PullSession, intake: Intake) -> bool:
        """Wait for a wake or for the end of our patience; whether it has ended. The server hears that we are at it."""
        await self._acks.renew()
        limits_s = (session.patience_s(), self._acks.renew_in_s, SILENCE_S)
        with suppress(TimeoutError):  # then it is time to look again
            async with asyncio.timeout(min(limit_s for limit_s in limits_s if limit_s is not None)):
                await intake.arrived.wait()
        return session.patience_s() == 0.0

    async def _ask(self, session: PullSession) -> None:
        if self._writer.has_room and not self._is_closing.is_set():
            await session.top_up()

    async def _prepare(self, taken: Taken, cursor: _Cursor, binding: Binding) -> Ordered:
        now_ns = self._clock.wall_ns()
        if binding.is_explicit:
            return await self._writer.prepare(partial(_any_order, taken, now_ns))
        ordered = await self._writer.prepare(partial(_in_order, taken, now_ns, cursor, binding.is_filtered))
        cursor.consumer_sequence = ordered.next_consumer_sequence
        if ordered.group is not None:
            cursor.after_sequence = ordered.group.sequences[-1]
            cursor.after_server_ns = ordered.group.server_ns[-1]
        return ordered

    async def _acked(self, acks: Sequence[bytes], logged: Awaitable[int]) -> None:
        await self._acks.keep(await logged, acks)
        self._has_progress = True

    async def _reuse(self, sequence: int) -> None:
        """A sequence stands for another message now: what we held below the new messages stays, a new life begins.

        Others of them may have lower sequences and come later: they were on their way to somebody else.
        """
        newest_ns = self._writer.lane.seen.newest_ns(sequence)
        first_new = await self._api.first_newer(await self._stream_facts(), newest_ns)
        await self._new_incarnation(
            Finding.REUSED,
            self._writer.lane.incarnation.created_ns,
            after=0,
            after_server_ns=self._writer.lane.position.server_ns,
            known_below=min(sequence, first_new),
        )

    async def _stream_facts(self) -> StreamFacts:
        try:
            return await self._api.stream(self._stream)
        except StreamMissingError:
            if self._create is None:
                raise
        await self._api.create_stream(self._create)
        self._log.info("ingest.stream_created", subjects=self._create.get("subjects"))
        return await self._api.stream(self._stream)

    async def _find_position(self, stream: StreamFacts) -> Resume:
        """Compare our durable position with the stream; open a new incarnation when it is another one."""
        position = self._writer.lane.position
        at_position = None
        if position.sequence and stream.first_sequence <= position.sequence <= stream.last_sequence:
            at_position = await self._api.message(self._stream, position.sequence)
        resume = decide(
            position=position,
            known_created_ns=self._writer.lane.incarnation.created_ns,
            stream=stream,
            at_position=at_position,
        )
        can_expire = stream.retention is Retention.LIMITS  # elsewhere messages go because they were acked
        if resume.lost is not None and can_expire:
            first, last = resume.lost
            self._log.warning(
                "ingest.stream_dropped_unread", first_sequence=first, last_sequence=last, messages=last - first + 1
            )
        if resume.doubled is not None:
            first, last = resume.doubled
            self._log.error("ingest.read_again", first_sequence=first, last_sequence=last, may_be_stored="twice")
        if resume.finding is Finding.HOLE and can_expire:
            self._log.warning("ingest.position_deleted", sequence=position.sequence)
        if resume.finding in NEW_INCARNATION:
            await self._new_incarnation(
                resume.finding,
                stream.created_ns,
                after=resume.after_sequence,
                after_server_ns=resume.after_server_ns,
                known_below=await self._known_below(stream, resume),
            )
        return resume

    async def _known_below(self, stream: StreamFacts, resume: Resume) -> int:
        """Below which sequence the stream in its new life is what we know."""
        if resume.start_sequence is not None or not self._writer.lane.tracks_seen:
            return 0
        return await self._api.first_newer(stream, self._writer.lane.seen.newest_ns())

    async def _new_incarnation(
        self, finding: Finding, created_ns: int, *, after: int, after_server_ns: int, known_below: int
    ) -> None:
        """The sequences from here on are of another life of the stream: say so in the log, then to people."""
        position = self._writer.lane.position
        if finding in ALARMS:
            alarm = f"{finding.value} after sequence {position.sequence} of incarnation {position.incarnation}"
            self.state = replace(self.state, alarm=alarm)
            self._log.error("ingest.incarnation_changed", reason=finding.value, sequence=position.sequence)
        self._metrics.incarnations_total.labels(self._writer.name, finding.value).inc()
        await self._writer.new_incarnation(
            created_ns=created_ns,
            reason=finding.value,
            start_sequence=max(after, 0) + 1,
            start_after_ns=after_server_ns,
            known_below=known_below,
        )


def _in_order(taken: Taken, now_ns: int, cursor: _Cursor, is_filtered: bool, lane: Lane) -> Ordered:
    return in_order(
        taken,
        incarnation=lane.position.incarnation,
        ingest_ns=now_ns,
        after_sequence=cursor.after_sequence,
        after_server_ns=cursor.after_server_ns,
        consumer_sequence=cursor.consumer_sequence,
        is_filtered=is_filtered,
    )


def _any_order(taken: Taken, now_ns: int, lane: Lane) -> Ordered:
    def is_held(sequence: int, server_ns: int) -> bool | None:
        if lane.seen.is_reused(sequence, server_ns=server_ns):
            return None
        return lane.seen.contains(sequence, server_ns=server_ns)

    return any_order(taken, incarnation=lane.position.incarnation, ingest_ns=now_ns, is_held=is_held)
