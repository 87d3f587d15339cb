"""All messages of one segment under running numbers, so that columns can point back at them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ticklake.decode.rejected import BadInputError, Rejected
from ticklake.schema.messages import MessageGroup


@dataclass(frozen=True, slots=True)
class Message:
    """One message, looked up. Only for the few that need a closer look."""

    number: int
    subject: bytes
    headers: bytes | None
    payload: bytes
    stream_seq: int | None
    server_ns: int | None
    ingest_ns: int

    def rejected(self, table: str, error: BadInputError, *, row: int = 0, payload: bytes | None = None) -> Rejected:
        """The quarantine row of this message, or of one row in it when `payload` gives that row's bytes."""
        return Rejected(
            table=table,
            reason=error.reason,
            path=error.path,
            detail=error.detail,
            subject=self.subject,
            headers=self.headers,
            payload=self.payload if payload is None else payload,
            stream_seq=self.stream_seq,
            message_row=row,
            server_ns=self.server_ns,
            ingest_ns=self.ingest_ns,
            number=self.number,
        )


class Segment:
    """The groups of one segment as one list of messages, numbered from 0 in arrival order."""

    def __init__(self, groups: Sequence[MessageGroup]) -> None:
        self.groups = tuple(groups)
        self.starts: list[int] = []
        count = 0
        for group in self.groups:
            self.starts.append(count)
            count += len(group)
        self._count = count

    def __len__(self) -> int:
        """How many messages there are."""
        return self._count

    def message(self, number: int) -> Message:
        """The message of a running number."""
        at = bisect_right(self.starts, number) - 1
        group, index = self.groups[at], number - self.starts[at]
        return Message(
            number=number,
            subject=group.subjects[group.subject_codes[index]],
            headers=group.headers.get(index),
            payload=group.payload(index),
            stream_seq=group.sequences[index] if group.sequences else None,
            server_ns=group.server_ns[index] if group.server_ns else None,
            ingest_ns=group.ingest_ns,
        )
