"""What a subscription received and nobody has taken yet, in plain columns: a message costs a few list appends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taken:
    """Messages in arrival order, column by column, exactly as the server sent them.

    Attributes:
        subjects: raw bytes; may be no UTF-8.
        replies: raw bytes; for JetStream the ack subject, empty for core NATS without a reply.
        payloads: raw bytes.
        headers: message index -> raw header block, only for messages that have one.
        payload_bytes: sum of the payload lengths.
    """

    subjects: list[bytes]
    replies: list[bytes]
    payloads: list[bytes]
    headers: dict[int, bytes]
    payload_bytes: int

    def __len__(self) -> int:
        """How many messages were taken."""
        return len(self.payloads)


class Intake:
    """The waiting room of one subscription. Filled by the client's read loop, emptied by the feed; one event loop.

    Attributes:
        subjects, replies, payloads, headers: see `Taken`. The lane parser appends to them directly.
        payload_bytes: waiting payload bytes.
        statuses: (inbox subject, header block) of frames that are not messages: pull request answers, heartbeats.
        frames: counts everything that arrived; a feed that sees it stand still knows that the line is dead.
        arrived: set when there is something to take.
    """

    __slots__ = (
        "arrived",
        "bytes_max",
        "dropped",
        "frames",
        "headers",
        "inbox_prefix",
        "payload_bytes",
        "payloads",
        "replies",
        "statuses",
        "subjects",
    )

    def __init__(self, *, inbox_prefix: bytes = b"", bytes_max: int | None = None) -> None:
        """Start empty.

        Args:
            inbox_prefix: frames on subjects below it are statuses, never messages. Empty for core NATS.
            bytes_max: core NATS only: beyond this many waiting bytes messages are dropped and counted in `dropped`.
                JetStream never drops: it asks for less.
        """
        self.inbox_prefix = inbox_prefix
        self.bytes_max = bytes_max
        self.dropped = 0
        self.frames = 0
        self.statuses: list[tuple[bytes, bytes]] = []
        self.arrived = asyncio.Event()
        self._clear()

    def _clear(self) -> None:
        self.subjects: list[bytes] = []
        self.replies: list[bytes] = []
        self.payloads: list[bytes] = []
        self.headers: dict[int, bytes] = {}
        self.payload_bytes = 0

    def add(self, subject: bytes, reply: bytes, header: bytes | None, payload: bytes) -> None:
        """One frame from the wire: a status if it came on our inbox, else a message."""
        self.frames += 1
        if self.inbox_prefix and not reply and subject.startswith(self.inbox_prefix):
            self.statuses.append((subject, header or b""))
        elif self.bytes_max is not None and self.payload_bytes + len(payload) > self.bytes_max:
            self.dropped += 1
        else:
            if header:
                self.headers[len(self.payloads)] = header
            self.subjects.append(subject)
            self.replies.append(reply)
            self.payloads.append(payload)
            self.payload_bytes += len(payload)
        self.arrived.set()

    def take(self, messages_max: int = 60_000) -> Taken:
        """What waits, oldest first, at most `messages_max` (a group holds at most 65,535 distinct subjects)."""
        if len(self.payloads) <= messages_max:
            taken = Taken(self.subjects, self.replies, self.payloads, self.headers, self.payload_bytes)
            self._clear()
            self.arrived.clear()
            return taken
        payloads = self.payloads[:messages_max]
        taken = Taken(
            self.subjects[:messages_max],
            self.replies[:messages_max],
            payloads,
            {index: header for index, header in self.headers.items() if index < messages_max},
            sum(map(len, payloads)),
        )
        self.headers = {index - messages_max: header for index, header in self.headers.items() if index >= messages_max}
        for column in (self.subjects, self.replies, self.payloads):
            del column[:messages_max]
        self.payload_bytes -= taken.payload_bytes
        return taken

    def take_statuses(self) -> list[tuple[bytes, bytes]]:
        """The status frames since the last call."""
        statuses, self.statuses = self.statuses, []
        return statuses
