"""Where to go on in a stream, and whether it is still the stream we knew. Pure.

Our own durable position is the truth; the server's ack floor is only a courtesy. A NATS server that lost its unsynced
tail hands out sequence numbers a second time, so a position is a sequence *and* the server time and the checksum of the
message there. Behind a loss reading goes on by time, which doubles nothing; when the clock of the server went back as
well, time tells nothing, and all of the stream is read again: rather twice than never.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ticklake.ingest.api import MessageFacts, StreamFacts
from ticklake.wal.state import Position


class Finding(Enum):
    """What the stream looks like, seen from our position."""

    FIRST = "first"  # we never read it
    SAME = "same"  # the message at our position is the one we know
    EXPIRED = "expired"  # our message is gone by limits or purge; what follows is intact
    HOLE = "position_deleted"  # only our message was deleted
    RECREATED = "stream_recreated"
    REGRESSED = "stream_regressed"  # the stream ends before our position: the server lost messages
    REUSED = "sequence_reused"  # another message stands at our position


NEW_INCARNATION = frozenset({Finding.FIRST, Finding.RECREATED, Finding.REGRESSED, Finding.REUSED})
ALARMS = frozenset({Finding.RECREATED, Finding.REGRESSED, Finding.REUSED})


@dataclass(frozen=True, slots=True)
class Resume:
    """How to make the consumer.

    Attributes:
        finding: what we saw.
        start_sequence: deliver from this stream sequence on; None: use `start_ns`.
        start_ns: deliver messages the server received at or after this time (UTC ns).
        after_sequence: messages up to this sequence that are not newer than `after_server_ns` are duplicates; -1
            when the sequences to come cannot be told beforehand.
        after_server_ns: server time of the last message we hold.
        lost: sequences that the stream dropped before we read them, inclusive; None when none.
        doubled: sequences that are read again although we may hold some of their messages, inclusive; None when none.
    """

    finding: Finding
    start_sequence: int | None
    start_ns: int | None
    after_sequence: int
    after_server_ns: int
    lost: tuple[int, int] | None = None
    doubled: tuple[int, int] | None = None


def decide(
    *, position: Position, known_created_ns: int, stream: StreamFacts, at_position: MessageFacts | None
) -> Resume:
    """Decide from our position (`sequence` 0: nothing read yet) and what the server says.

    Args:
        position: last message that is durable with us.
        known_created_ns: creation time of the stream when we read it; 0 when we never did, or a repair lost it.
        stream: the stream now.
        at_position: the message the server holds at our sequence, None if it holds none (or the sequence is 0).
    """
    sequence, server_ns = position.sequence, position.server_ns
    is_same = at_position is not None and _is_at(at_position, position)
    is_known = known_created_ns == stream.created_ns
    if known_created_ns == 0:  # of a stream that is not younger than what we hold of it, a repaired log tells enough
        is_known = is_same or 0 < stream.created_ns <= server_ns
    before_first = max(stream.first_sequence - 1, 0)  # what expired before we came was never ours to lose
    if not is_known:
        finding = Finding.RECREATED if known_created_ns or server_ns else Finding.FIRST
        return Resume(finding, start_sequence=1, start_ns=None, after_sequence=before_first, after_server_ns=0)
    if server_ns == 0:  # a life of the stream that was opened and not read yet
        return Resume(Finding.SAME, sequence + 1, start_ns=None, after_sequence=sequence, after_server_ns=0)
    if sequence == 0:  # a new incarnation of which we hold nothing yet: what we hold of the old one is older
        return Resume(Finding.SAME, None, server_ns + 1, after_sequence=-1, after_server_ns=server_ns)
    if stream.last_sequence < sequence:
        return Resume(Finding.REGRESSED, None, server_ns + 1, after_sequence=-1, after_server_ns=server_ns)
    if is_same:
        return Resume(Finding.SAME, sequence + 1, None, sequence, server_ns)
    if at_position is not None and at_position.server_ns > server_ns:
        return Resume(Finding.REUSED, None, server_ns + 1, after_sequence=-1, after_server_ns=server_ns)
    if at_position is not None:  # a new message with an old time: any before it may be new as well
        doubled = (before_first + 1, sequence)
        return Resume(Finding.REUSED, 1, None, after_sequence=before_first, after_server_ns=0, doubled=doubled)
    if stream.first_sequence > sequence:
        lost = (sequence + 1, stream.first_sequence - 1) if stream.first_sequence > sequence + 1 else None
        return Resume(Finding.EXPIRED, sequence + 1, None, sequence, server_ns, lost)
    return Resume(Finding.HOLE, None, server_ns, sequence, server_ns)


def _is_at(message: MessageFacts, position: Position) -> bool:
    """Whether it is the message that we know."""
    return (message.server_ns, message.payload_crc32c) == (position.server_ns, position.payload_crc32c)
