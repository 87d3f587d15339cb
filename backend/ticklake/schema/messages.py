"""Messages as they came off the wire, column by column: what the log stores and the decoder reads."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_APART_BYTES = 16_384  # a mean payload from here on costs more to copy than to write for itself


class Skipped(NamedTuple):
    """Sequences that a filtered consumer passed over: for others or gone from the stream; the server does not say.

    Only their number is kept: where every second message is for others, their ranges would outgrow the messages.

    Attributes:
        after: the sequence behind which we began to look.
        sequences: how many lie between there and the last message, and are none of the messages.
    """

    after: int
    sequences: int


@dataclass(frozen=True, slots=True)
class MessageGroup:
    r"""Messages of one group commit, in arrival order.

    Column layout, so that neither the log nor the decoder touches single messages on the fast path:

    Attributes:
        incarnation: which life of the stream the sequences belong to; 0 for core NATS.
        ingest_ns: wall clock when the group was taken (UTC ns); the same for all its messages.
        subjects: the distinct subjects, raw bytes (may be no UTF-8).
        subject_codes: per message the index into `subjects` ('H', two bytes).
        sequences: per message the stream sequence ('q'); empty for core NATS.
        server_ns: per message the server's receive time, UTC ns ('q'); empty for core NATS.
        headers: message index -> raw header block (`NATS/1.0\r\n...`); only messages that have one.
        offsets: per message the start of its payload in `payloads`, plus one end mark ('I', n + 1 values).
            Payload i is `payloads[offsets[i] : offsets[i + 1] - 1]`.
        pieces: what `payloads` consists of, see `payload_pieces`: one piece, or payload, newline, payload, newline ...
            One piece is a view of the log where it was read from there.
    """

    incarnation: int
    ingest_ns: int
    subjects: tuple[bytes, ...]
    subject_codes: array[int]
    sequences: array[int]
    server_ns: array[int]
    headers: Mapping[int, bytes]
    offsets: array[int]
    pieces: tuple[bytes | memoryview, ...]

    def __len__(self) -> int:
        """How many messages the group holds."""
        return len(self.subject_codes)

    @property
    def payloads(self) -> bytes | memoryview:
        """The payloads, each followed by one newline that is not part of it. Copies unless they are in one piece.

        A group of plain JSON objects is NDJSON as it stands.
        """
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    @property
    def payload_bytes(self) -> int:
        """Length of `payloads`."""
        return self.offsets[-1]

    def payload(self, index: int) -> bytes:
        """The bytes of one message, as published."""
        if len(self.pieces) == 1:
            return bytes(self.pieces[0][self.offsets[index] : self.offsets[index + 1] - 1])
        return bytes(self.pieces[2 * index])


def payload_pieces(payloads: Sequence[bytes]) -> tuple[bytes, ...]:
    """Payloads for a `MessageGroup`. Batches of many rows stay where they are; small ones are joined, which copies."""
    if sum(map(len, payloads)) < len(payloads) * _APART_BYTES:
        return (b"\n".join([*payloads, b""]),)
    return tuple(piece for payload in payloads for piece in (payload, b"\n"))
