"""Groups of messages, made by hand and taken apart again: for tests of what a log or a decoder does with them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from ticklake.schema.messages import MessageGroup, payload_pieces


def group_messages(
    messages: Sequence[tuple[bytes, bytes | None, bytes]],
    *,
    incarnation: int = 0,
    ingest_ns: int,
    sequences: list[int] | None = None,
    server_ns: list[int] | None = None,
) -> MessageGroup:
    """A group of (subject, header block or None, payload).

    Args:
        messages: in order of arrival.
        incarnation: life of the stream; 0 for core NATS.
        ingest_ns: when they were taken, UTC ns.
        sequences: of the stream; None for core NATS.
        server_ns: when the server received each, UTC ns; None for core NATS.
    """
    codes: dict[bytes, int] = {}
    offsets = array("I", [0])
    end = 0
    for _, _, payload in messages:
        end += len(payload) + 1
        offsets.append(end)
    return MessageGroup(
        incarnation=incarnation,
        ingest_ns=ingest_ns,
        subject_codes=array("H", [codes.setdefault(subject, len(codes)) for subject, _, _ in messages]),
        subjects=tuple(codes),
        sequences=array("q", sequences or []),
        server_ns=array("q", server_ns or []),
        headers={i: header for i, (_, header, _) in enumerate(messages) if header},
        offsets=offsets,
        pieces=payload_pieces([payload for _, _, payload in messages]),
    )


def payloads_of(group: MessageGroup) -> list[bytes]:
    """The payload of each message, as published."""
    return [group.payload(index) for index in range(len(group))]
