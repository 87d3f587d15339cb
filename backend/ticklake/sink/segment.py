"""One segment of the log in memory: while it fills, when it is full, and as an entry in the books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ticklake.base.errors import UsageError
from ticklake.lake.batch import EncodedSegment
from ticklake.lake.ledger import LedgerEntry
from ticklake.schema.messages import MessageGroup, Skipped
from ticklake.sink.progress import Progress
from ticklake.wal.frame import Range
from ticklake.wal.log import LoggedSegment
from ticklake.wal.seen import SeenSet


@dataclass(frozen=True, slots=True)
class Segment:
    """A full segment of the log, waiting for its commit.

    Attributes:
        number: its number in the log.
        incarnation: the one life of the stream that its messages belong to; 0 for core NATS.
        groups: its messages, in order.
        missing: (first, last) sequences that the stream no longer had.
        skipped: what a filtered consumer passed over; None when nothing.
        duplicates: messages that were dropped while it was filled.
        messages: how many messages its groups hold.
        size_bytes: bytes in the log.
        reached: how far the stream is once it is committed.
    """

    number: int
    incarnation: int
    groups: tuple[MessageGroup, ...]
    missing: tuple[Range, ...]
    skipped: Skipped | None
    duplicates: int
    messages: int
    size_bytes: int
    reached: dict[str, Any]  # the lane's own words, see `Progress`


class LiveSegment:
    """What the live segment holds so far."""

    def __init__(self, *, duplicates: int = 0) -> None:
        self.groups: list[MessageGroup] = []
        self.missing: list[Range] = []
        self.skipped: Skipped | None = None
        self.duplicates = duplicates
        self.messages = 0

    def take(
        self, group: MessageGroup, missing: Sequence[Range], duplicates: int, skipped: Skipped | None = None
    ) -> None:
        """Add a durable group and what came with it."""
        self.groups.append(group)
        self.missing += missing
        if skipped is not None:
            before = self.skipped or Skipped(skipped.after, 0)
            self.skipped = Skipped(before.after, before.sequences + skipped.sequences)
        self.duplicates += duplicates
        self.messages += len(group)

    def seal(self, number: int, size_bytes: int, progress: Progress) -> Segment:
        """The finished segment; `progress` is how far the stream is behind its last group."""
        seen = SeenSet()
        if progress.tracks_seen:
            for group in self.groups:
                seen.add_many(group.sequences, group.server_ns)
        return Segment(
            number=number,
            incarnation=self.groups[0].incarnation,
            groups=tuple(self.groups),
            missing=tuple(self.missing),
            skipped=self.skipped,
            duplicates=self.duplicates,
            messages=self.messages,
            size_bytes=size_bytes,
            reached=progress.to_document(seen.ranges()),
        )


def logged_segment(logged: LoggedSegment, before: Progress) -> Segment:
    """A segment of an earlier life, as found in the log. It holds messages; `before` is the progress in front of it."""
    live = LiveSegment(duplicates=logged.scan.duplicates)
    progress = replace(before, seen=SeenSet())
    for frame in logged.scan.frames:
        if frame.group is not None:
            live.take(frame.group, frame.missing, duplicates=0, skipped=frame.skipped)
            progress.take_group(frame.group)
    return live.seal(logged.number, logged.scan.valid_bytes, progress)


def ledger_entry(
    segment: Segment, encoded: EncodedSegment, *, writer: str, stream: str, committed_ns: int
) -> LedgerEntry:
    """The books of a segment, files left out.

    Raises:
        UsageError: the encoder does not account for every message.
    """
    if not encoded.received == encoded.stored + encoded.quarantined == segment.messages:
        raise UsageError(
            f"{writer}: segment {segment.number} has {segment.messages} messages, the encoder accounts for "
            f"{encoded.stored} stored and {encoded.quarantined} quarantined of {encoded.received}; "
            "the segment is kept in the log, report this"
        )
    sequences = [np.frombuffer(group.sequences, np.int64) for group in segment.groups if group.sequences]
    return LedgerEntry(
        writer=writer,
        lane=stream.lower(),
        stream=stream,
        segment=segment.number,
        incarnation=segment.incarnation,
        first_seq=min(int(part.min()) for part in sequences) if sequences else None,
        last_seq=max(int(part.max()) for part in sequences) if sequences else None,
        received=encoded.received + segment.duplicates,
        stored=encoded.stored,
        quarantined=encoded.quarantined,
        duplicates=segment.duplicates,
        committed_ns=committed_ns,
        missing=segment.missing,
        rows=encoded.rows,
        quarantined_rows=encoded.quarantined_rows,
        reasons=encoded.reasons,
        files=(),
        reached=segment.reached,
        skipped=segment.skipped,
    )
