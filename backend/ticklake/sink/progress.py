"""How far a stream is: life, position and, where needed, every sequence. Every segment header repeats it."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ticklake.base.errors import UsageError
from ticklake.schema.messages import MessageGroup
from ticklake.wal.seen import SeenRange, SeenSet
from ticklake.wal.segment import payload_crc32c
from ticklake.wal.state import Incarnation, Position, SegmentState


@dataclass(slots=True)
class Progress:
    """How far a stream is. Owned by the thread that appends."""

    incarnation: Incarnation = field(default_factory=Incarnation)
    position: Position = field(default_factory=Position)
    seen: SeenSet = field(default_factory=SeenSet)
    tracks_seen: bool = False

    def check(self, group: MessageGroup) -> None:
        """Refuse a group that does not come next.

        Raises:
            UsageError: it is of another incarnation, or not above the position.
        """
        expected = self.incarnation.number if group.sequences else 0
        if group.incarnation != expected:
            raise UsageError(
                f"a group of incarnation {group.incarnation}, expected {expected}; call new_incarnation first"
            )
        if group.sequences and not self.tracks_seen and group.sequences[0] <= self.position.sequence:
            raise UsageError(
                f"sequence {group.sequences[0]} is not above position {self.position.sequence}; "
                "drop duplicates before the log"
            )

    def take_group(self, group: MessageGroup) -> None:
        """Move behind a durable group. A group of core NATS has no sequences and moves nothing."""
        if not group.sequences:
            return
        index = _newest(group.sequences)
        reached = Position(
            group.incarnation,
            group.sequences[index],
            group.server_ns[index],
            payload_crc32c(group.payload(index)),
        )
        if reached > self.position:
            self.position = reached
        if self.tracks_seen:
            self.seen.add_many(group.sequences, group.server_ns)

    def take(self, incarnation: Incarnation, position: Position, seen: Sequence[SeenRange]) -> None:
        """Join what a segment header or a decision says. The newer incarnation wins whole."""
        if incarnation.number > self.incarnation.number:
            self.incarnation, self.position, self.seen = incarnation, position, SeenSet()
        elif incarnation.number < self.incarnation.number:
            return
        self.position = max(self.position, position)
        for first, last, newest_ns in seen:
            self.seen.add_range(first, last, newest_ns=newest_ns)

    def to_state(self, *, lane: str, stream: str, duplicates: int) -> SegmentState:
        """What the header of a segment that begins now repeats; `duplicates` are carried over into it."""
        return SegmentState(
            lane=lane,
            stream=stream,
            incarnation=self.incarnation,
            position=self.position,
            seen=self.seen.ranges(),
            duplicates=duplicates,
            tracks_seen=self.tracks_seen,
        )

    def to_document(self, seen: Sequence[SeenRange]) -> dict[str, Any]:
        """What a decision carries as `reached`; `seen` are the ranges of its batch."""
        incarnation, position = self.incarnation, self.position
        return {
            "incarnation": [incarnation.number, incarnation.created_ns, incarnation.reason],
            "position": [position.incarnation, position.sequence, position.server_ns, position.payload_crc32c],
            "seen": [list(seen_range) for seen_range in seen],
        }

    def take_document(self, document: Mapping[str, Any]) -> None:
        """Join what `to_document` wrote."""
        seen = [(first, last, newest_ns) for first, last, newest_ns in document["seen"]]
        self.take(Incarnation(*document["incarnation"]), Position(*document["position"]), seen)


def _newest(sequences: array[int]) -> int:
    """Index of the highest sequence; the last one unless a work queue delivered out of order."""
    return int(np.frombuffer(sequences, np.int64).argmax())
