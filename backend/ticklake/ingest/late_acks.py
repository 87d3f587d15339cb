"""Acks that wait until what they cover is in the lake (`ack_after = commit`), and how the server is kept patient."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from ticklake.base.clock import Clock
from ticklake.ingest.wire import Wire

ACK, WORKING = b"+ACK", b"+WPI"


class LateAcks:
    """The acks of one feed, by the segment of the log that must be committed before they may leave.

    Without `acks_after_commit` every ack leaves at once.
    """

    def __init__(self, wire: Wire, *, clock: Clock, acks_after_commit: bool) -> None:
        self._wire = wire
        self._clock = clock
        self._is_late = acks_after_commit
        self._is_floor = True
        self._ack_wait_s = float("inf")
        self._waiting: dict[int, list[bytes]] = {}
        self._committed = 0
        self._renewed_s = clock.monotonic_s()

    def begin(self, *, is_floor: bool, ack_wait_s: float) -> None:
        """A consumer is ours.

        Args:
            is_floor: it was made anew and one ack covers all before it; else it is the old one, every ack counts, and
                what is not acked in time comes again.
            ack_wait_s: its time.
        """
        self._is_floor, self._ack_wait_s = is_floor, ack_wait_s
        if is_floor:  # those that wait belong to the consumer before it, whose sequences mean nothing now
            self._waiting.clear()

    async def keep(self, segment: int, acks: Sequence[bytes]) -> None:
        """Messages are in the log, the newest of them in `segment`; see `BatchWriter.log`."""
        if not self._is_late or segment <= self._committed:
            await self._send(acks, ACK)
        elif self._is_floor:
            self._waiting[segment] = list(acks[-1:]) or self._waiting.get(segment, [])
        else:
            if not self._waiting:
                self._renewed_s = self._clock.monotonic_s()
            self._waiting.setdefault(segment, []).extend(acks)

    async def committed(self, segment: int) -> None:
        """Everything up to this segment is in the lake."""
        self._committed = max(self._committed, segment)
        for number in [number for number in self._waiting if number <= segment]:
            await self._send(self._waiting.pop(number), ACK)

    @property
    def renew_in_s(self) -> float | None:
        """Seconds until the server must hear that we are at it; None when nothing waits for an ack of its own."""
        if self._is_floor or not self._waiting:
            return None
        return max(0.0, self._renewed_s + self._ack_wait_s / 2 - self._clock.monotonic_s())

    async def renew(self) -> None:
        """Say so, when it is time: else it would deliver all of them again."""
        if self.renew_in_s == 0.0:
            self._renewed_s = self._clock.monotonic_s()
            await self._send(list(chain.from_iterable(self._waiting.values())), WORKING)

    async def _send(self, replies: Sequence[bytes], what: bytes) -> None:
        for reply in replies:
            await self._wire.publish(reply.decode("ascii"), what)
