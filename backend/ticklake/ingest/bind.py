"""Making our consumer at the server: anew at our position, or found again where acks must survive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from ticklake.base.errors import UnavailableError
from ticklake.ingest.api import JetStreamApi, Retention, StreamFacts
from ticklake.ingest.consumer import EXPLICIT_ACK_WAIT_S, explicit_consumer, position_consumer
from ticklake.ingest.resume import Resume

FAR_BEHIND: Final = 250_000  # messages; from here on the books of the server cost more than making the consumer twice
NEAR_THE_END: Final = 20_000  # messages; about what is on its way to us at any time
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Binding:
    """A consumer of ours, as the server has it.

    Attributes:
        is_explicit: every message is acked for itself; else one ack covers all before it.
        is_filtered: it leaves out subjects or keeps no order, so a hole in the sequences need not be a loss.
        takes_acks: False while we are far behind: the server sends faster when it keeps no book of what it sent, and
            our position is the truth anyway. Near the end of the stream the consumer is made anew with acks.
        ack_wait_s: what is not acked for so long is delivered again.
    """

    is_explicit: bool
    is_filtered: bool
    takes_acks: bool
    ack_wait_s: float


async def bind_consumer(
    api: JetStreamApi, name: str, stream: StreamFacts, resume: Resume, *, subjects: Sequence[str], is_late: bool
) -> Binding:
    """Make or find the consumer.

    Args:
        api: of the server.
        name: durable name, ours alone.
        stream: to read; its retention decides the kind of consumer.
        resume: where to begin in a stream that is read by position.
        subjects: of our tables; when the stream carries others too, the consumer filters.
        is_late: acks wait for the commit.

    Raises:
        UnavailableError: the server does not answer, or refuses, or the stream is another one by now.
    """
    is_filtered = not set(stream.subjects) <= set(subjects)
    wanted = subjects if is_filtered else None
    is_explicit = stream.retention is not Retention.LIMITS
    takes_acks = True
    if is_explicit:
        ack_wait_s = await _find_explicit(api, name, stream.name, subjects=wanted, is_late=is_late)
    else:
        begin = resume.start_sequence
        takes_acks = is_late or begin is None or stream.last_sequence - max(begin, stream.first_sequence) < FAR_BEHIND
        config, ack_wait_s = position_consumer(name, resume, subjects=wanted, is_late=is_late, takes_acks=takes_acks)
        await api.delete_consumer(stream.name, name)
        await api.create_consumer(stream.name, config)
    await _check_same(api, stream)
    return Binding(
        is_explicit=is_explicit, is_filtered=is_explicit or is_filtered, takes_acks=takes_acks, ack_wait_s=ack_wait_s
    )


async def _check_same(api: JetStreamApi, before: StreamFacts) -> None:
    """The stream may have been made anew since we looked; then our place in it means nothing."""
    now = await api.stream(before.name)
    if now.created_ns != before.created_ns or now.last_sequence < before.last_sequence:
        raise UnavailableError(f"stream {before.name} was made anew while we made our consumer; looking at it again")


async def _find_explicit(
    api: JetStreamApi, name: str, stream: str, *, subjects: Sequence[str] | None, is_late: bool
) -> float:
    """Find the consumer, or make it; gives its ack wait in seconds."""
    found = await api.consumer(stream, name)
    if found is not None:
        delivered = int(found["delivered"]["stream_seq"])
        newest = (await api.stream(stream)).last_sequence  # asked last: messages may have come meanwhile
        if delivered <= newest:
            return float(found["config"]["ack_wait"]) / _NS
        # After a power cut the server may remember a consumer ahead of its stream: it would stay silent for ever.
        structlog.get_logger().error("ingest.consumer_ahead_of_stream", stream=stream, consumer=delivered)
        await api.delete_consumer(stream, name)
    await api.create_consumer(stream, explicit_consumer(name, subjects=subjects, is_late=is_late))
    return EXPLICIT_ACK_WAIT_S
