"""What a subscription received and nobody has taken yet: runs as the socket gave them, single frames in columns."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ticklake.ingest.run import Run


@dataclass(slots=True)
class Loose:
    """Messages that came frame by frame, column by column, exactly as the server sent them.

    Attributes:
        subjects: raw bytes; may be no UTF-8.
        replies: raw bytes; for JetStream the ack subject, empty for core NATS without a reply.
        payloads: raw bytes.
        headers: message index -> raw header block, only for messages that have one.
    """

    subjects: list[bytes] = field(default_factory=list)
    replies: list[bytes] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    headers: dict[int, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many messages there are."""
        return len(self.payloads)

    def reply(self, index: int) -> bytes:
        """One reply."""
        return self.replies[index]

    def reply_lines(self) -> bytes:
        """The replies, each followed by a newline."""
        return b"\n".join([*self.replies, b""])

    def split(self, at: int) -> tuple[Loose, Loose]:
        """The first `at` messages, and the others."""
        head = {index: header for index, header in self.headers.items() if index < at}
        tail = {index - at: header for index, header in self.headers.items() if index >= at}
        return (
            Loose(self.subjects[:at], self.replies[:at], self.payloads[:at], head),
            Loose(self.subjects[at:], self.replies[at:], self.payloads[at:], tail),
        )


Part = Run | Loose

Message = tuple[bytes, bytes, bytes | None, bytes]
"""Subject, reply, header block, payload."""


def loosen(run: Run) -> Loose:
    """The messages of a run, one by one."""
    subjects, which = run.subjects()
    ends = zip(run.header_ends.tolist(), run.payload_ends.tolist(), strict=True)
    return Loose(
        subjects=[subjects[code] for code in which.tolist()],
        replies=run.reply_lines().splitlines(),
        payloads=[run.content[header_end + 2 : end] for header_end, end in ends],
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """Messages in arrival order.

    Attributes:
        parts: none of them empty.
        payload_bytes: sum of the payload lengths.
    """

    parts: Sequence[Part]
    payload_bytes: int

    def __len__(self) -> int:
        """How many messages were taken."""
        return sum(map(len, self.parts))

    def joined(self) -> Taken:
        """The same with neighbouring runs as one."""
        parts: list[Part] = []
        runs: list[Run] = []
        for part in self.parts:
            if isinstance(part, Run):
                runs.append(part)
                continue
            parts += [Run.join(runs), part] if runs else [part]
            runs = []
        if runs:
            parts.append(Run.join(runs))
        return Taken(parts, self.payload_bytes)

    def reply_lines(self) -> bytes:
        """The replies, each followed by a newline."""
        return b"".join([part.reply_lines() for part in self.parts])

    def replies(self) -> list[bytes]:
        """The replies. Where all are wanted as one, `reply_lines` is faster."""
        return [reply for part in self.parts for reply in (part if isinstance(part, Loose) else loosen(part)).replies]

    def messages(self) -> Iterator[Message]:
        """One by one, for who has few."""
        for part in self.parts:
            loose = part if isinstance(part, Loose) else loosen(part)
            columns = zip(loose.subjects, loose.replies, loose.payloads, strict=True)
            for index, (subject, reply, payload) in enumerate(columns):
                yield subject, reply, loose.headers.get(index), payload


class Intake:
    """The waiting room of one subscription. Filled by the client's read loop, emptied by the feed; one event loop.

    Attributes:
        messages: how many wait.
        payload_bytes: their payload bytes.
        statuses: (inbox subject, header block) of frames that are not messages: pull request answers, heartbeats.
        frames: counts everything that arrived; a feed that sees it stand still knows that the line is dead.
        arrived: set when there is something to take.
    """

    __slots__ = (
        "_parts",
        "arrived",
        "bytes_max",
        "dropped",
        "frames",
        "inbox_prefix",
        "messages",
        "payload_bytes",
        "statuses",
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
        self._parts: deque[Part] = deque()
        self.messages = 0
        self.payload_bytes = 0

    def add(self, subject: bytes, reply: bytes, header: bytes | None, payload: bytes) -> None:
        """One frame from the wire: a status if it came on our inbox, else a message."""
        self.frames += 1
        self.arrived.set()
        if self.inbox_prefix and not reply and subject.startswith(self.inbox_prefix):
            self.statuses.append((subject, header or b""))
            return
        if self.bytes_max is not None and self.payload_bytes + len(payload) > self.bytes_max:
            self.dropped += 1
            return
        last = self._parts[-1] if self._parts else None
        if not isinstance(last, Loose):
            last = Loose()
            self._parts.append(last)
        if header:
            last.headers[len(last)] = header
        last.subjects.append(subject)
        last.replies.append(reply)
        last.payloads.append(payload)
        self.messages += 1
        self.payload_bytes += len(payload)

    def add_run(self, run: Run) -> None:
        """Messages that came together. Not for core NATS, where every frame is weighed."""
        self._parts.append(run)
        self.frames += len(run)
        self.messages += len(run)
        self.payload_bytes += run.payload_bytes
        self.arrived.set()

    def take(self, messages_max: int = 60_000) -> Taken:
        """What waits, oldest first, at most `messages_max` (a group holds at most 65,535 distinct subjects).

        A run is taken whole; `messages_max` is never less than one run, a socket buffer of tiny messages, may hold.
        """
        parts: list[Part] = []
        count = 0
        while self._parts and count < messages_max:
            part = self._parts.popleft()
            room = messages_max - count
            if len(part) > room and isinstance(part, Loose):
                part, rest = part.split(room)
                self._parts.appendleft(rest)
            elif len(part) > room and parts:
                self._parts.appendleft(part)
                break
            parts.append(part)
            count += len(part)
        payload_bytes = self.payload_bytes
        self.messages -= count
        if not self.messages:
            self.payload_bytes = 0
            if not self.statuses:  # an answer that came with the last messages must not wait for the next frame
                self.arrived.clear()
        else:
            payload_bytes = sum(map(_payload_bytes, parts))
            self.payload_bytes -= payload_bytes
        return Taken(parts, payload_bytes)

    def take_statuses(self) -> list[tuple[bytes, bytes]]:
        """The status frames since the last call."""
        statuses, self.statuses = self.statuses, []
        return statuses


def _payload_bytes(part: Part) -> int:
    return sum(map(len, part.payloads)) if isinstance(part, Loose) else part.payload_bytes
