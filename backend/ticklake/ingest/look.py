"""How the server sees our consumer: what waits there, and what time it has. Messages say so too, if they come."""

from __future__ import annotations

from dataclasses import dataclass

from ticklake.base.clock import Clock
from ticklake.ingest.api import JetStreamApi, parse_time_ns

LOOK_EVERY_S = 3.0
_ROUND_TRIP_MAX_NS = 1_000_000_000  # a slower answer says too little about the time
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ConsumerLook:
    """One answer.

    Attributes:
        pending: messages that wait at the server and were never sent to us.
        ack_pending: messages sent to us and not acked.
        clock_skew_s: the server's clock minus ours, to within half a round trip; None when it cannot be told.
    """

    pending: int
    ack_pending: int
    clock_skew_s: float | None


async def look_at_consumer(api: JetStreamApi, clock: Clock, *, stream: str, consumer: str) -> ConsumerLook | None:
    """Ask; None when there is no such consumer. Raises UnavailableError."""
    before_ns = clock.wall_ns()
    answer = await api.consumer(stream, consumer)
    after_ns = clock.wall_ns()
    if answer is None:
        return None
    server_time, skew_s = answer.get("ts"), None
    if isinstance(server_time, str) and 0 <= after_ns - before_ns <= _ROUND_TRIP_MAX_NS:
        skew_s = (parse_time_ns(server_time) - (before_ns + after_ns) // 2) / _NS
    return ConsumerLook(int(answer.get("num_pending", 0)), int(answer.get("num_ack_pending", 0)), skew_s)
