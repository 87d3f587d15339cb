"""How the durable path and the door meet: a writer takes batches, a feed brings them. Only protocols."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ticklake.schema.messages import MessageGroup, Skipped
from ticklake.sink.lane import Lane


class Batch(Protocol):
    """What a feed made of the messages it took."""

    @property
    def group(self) -> MessageGroup | None:
        """New messages for the log, in order."""
        ...

    @property
    def duplicates(self) -> int:
        """Messages dropped because they are durable already."""
        ...

    @property
    def missing(self) -> Sequence[tuple[int, int]]:
        """Stream sequences that no longer exist, inclusive ranges."""
        ...

    @property
    def skipped(self) -> Skipped | None:
        """What a filtered consumer passed over; None when nothing."""
        ...


BatchT = TypeVar("BatchT", bound=Batch)


class BatchWriter(Protocol):
    """Takes batches and makes them durable. One feed per writer."""

    name: str
    lane: Lane
    acks_after_commit: bool
    """Whether a message may be acked only when its segment is in the lake; else when it is in the log."""

    async def prepare(self, make: Callable[[Lane], BatchT]) -> BatchT:
        """Run `make` on a thread of its own, perhaps while an earlier batch is being logged."""
        ...

    def log(self, batch: Batch) -> Awaitable[int]:
        """Begin to log a batch at once. It is durable, and only then, when what this gives has been awaited.

        That gives the number of the newest segment that holds a message: once it is committed, all of the batch is
        in the lake, its duplicates included.

        One at a time, in the order they were prepared. A full disk makes it wait until there is room; nothing is lost
        meanwhile.

        Raises:
            DiskError: never retry; leave without acks.
        """
        ...

    async def new_incarnation(
        self, *, created_ns: int, reason: str, start_sequence: int, start_after_ns: int, known_below: int = 0
    ) -> None:
        """From here on the sequences are of another life of the stream; see `Lane.new_incarnation`."""
        ...

    async def track_seen(self) -> None:
        """Keep every durable sequence from here on; see `Lane.track_seen`."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether more may be asked for. Not asking is the only brake."""
        ...

    def on_commit(self, tell: Callable[[int], Awaitable[None]]) -> None:
        """Await `tell` with its number when a segment has been committed; all before it have been."""
        ...

    def on_room(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever there is room again."""
        ...


@dataclass(frozen=True, slots=True)
class FeedState:
    """How a feed is doing, for the status page.

    Attributes:
        mode: position, explicit or core.
        is_bound: a consumer is ours and delivers.
        pending: messages the server still holds for us.
        ack_pending: messages sent to us and not acked, when we last asked.
        clock_skew_s: the server's clock minus ours, when we last asked; None while unknown.
        redelivered: breaks in the order of delivery since start.
        dropped: core NATS only: messages lost before the log.
        problem: why it does not deliver, empty when it does.
        alarm: what an operator must look at (stream recreated, regressed ...), empty when nothing.
    """

    mode: str = "starting"
    is_bound: bool = False
    pending: int = 0
    ack_pending: int = 0
    clock_skew_s: float | None = None
    redelivered: int = 0
    dropped: int = 0
    problem: str = ""
    alarm: str = ""


class Feed(Protocol):
    """Brings the messages of one stream to a writer."""

    name: str

    async def run(self) -> None:
        """Work until `close_intake`, then return with nothing half done.

        Raises:
            DiskError: the log failed; leave without acks.
        """
        ...

    def close_intake(self) -> None:
        """Take no more messages. Safe to call twice."""
        ...

    @property
    def state(self) -> FeedState:
        """How it is doing now."""
        ...


class Bus(Protocol):
    """A connection that can feed writers."""

    async def connect(self) -> None:
        """Connect, or raise UnavailableError."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...

    def feed(self, writer: BatchWriter, *, stream: str, subjects: Sequence[str]) -> Feed:
        """A feed of `stream` (core NATS: of `subjects`) into `writer`."""
        ...

    @property
    def facts(self) -> Mapping[str, object]:
        """Connection facts for the status page: connected, url (redacted), server version, reconnects."""
        ...
