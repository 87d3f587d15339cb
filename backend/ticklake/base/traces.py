"""Traces as the parts see them: one span per group and per segment, never one per message. Off unless switched on.

A producer that puts `traceparent` (W3C Trace Context) into the NATS headers of its messages finds them again: the span
that receives a group continues its trace, and the span that commits the segment is below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol


class Logged(Protocol):
    """A group of messages in the log; `MessageGroup` is one."""

    @property
    def ingest_ns(self) -> int:
        """When it was taken, UTC ns."""
        ...

    @property
    def headers(self) -> Mapping[int, bytes]:
        """Header blocks of the messages that have one."""
        ...

    @property
    def payload_bytes(self) -> int:
        """Length of the payloads."""
        ...

    def __len__(self) -> int:
        """How many messages."""
        ...


class Committed(Protocol):
    """A segment that is in the lake now; `Segment` is one."""

    @property
    def number(self) -> int:
        """In the log."""
        ...

    @property
    def groups(self) -> Sequence[Logged]:
        """Its messages."""
        ...

    @property
    def messages(self) -> int:
        """How many."""
        ...


class LaneTraces(Protocol):
    """The spans of one lane. A group is logged before its segment is committed; the two may be on different threads."""

    def logged(self, group: Logged, *, took_s: float, now_ns: int) -> None:
        """A group is durable now; writing and syncing it took so long."""
        ...

    def committed(self, segment: Committed, *, rows: int, file_bytes: int, took_s: float, now_ns: int) -> None:
        """A segment of these groups is in the lake now."""
        ...


class Traces(Protocol):
    """Where spans go."""

    def lane(self, name: str) -> LaneTraces | None:
        """For the spans of a lane; None when nobody wants them, so that the lane need not ask per group."""
        ...

    def publishing(self, subject: str, *, stream: str) -> AbstractContextManager[Mapping[str, str]]:
        """A span around messages that we send. Gives the headers they carry."""
        ...

    def close(self) -> None:
        """Send what waits, within seconds; what cannot be sent is gone."""
        ...


class NoTraces:
    """Nobody wants spans."""

    def lane(self, _name: str) -> None:
        """Nothing: the lane does no work for traces."""
        return

    def publishing(self, _subject: str, *, stream: str) -> AbstractContextManager[Mapping[str, str]]:
        """No span and no headers."""
        return nullcontext({})

    def close(self) -> None:
        """Nothing waits."""
