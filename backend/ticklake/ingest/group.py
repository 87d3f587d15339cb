"""Messages as they were taken -> a group for the log. Whole runs cost a few native calls, whatever they hold."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ticklake.ingest.intake import Loose, Part, Taken
from ticklake.schema.messages import MessageGroup, payload_pieces

Numbers = npt.NDArray[np.int64]


def build_group(
    taken: Taken,
    keep: range | list[int],
    incarnation: int,
    ingest_ns: int,
    sequences: Numbers,
    server_ns: Numbers,
) -> MessageGroup:
    """The chosen messages as one group. Fast for all of them, which is the normal case.

    Args:
        taken: at most 65,535 messages.
        keep: indices of at least one of them, rising.
        incarnation: of the stream now.
        ingest_ns: wall clock.
        sequences: of the chosen messages; empty for core NATS.
        server_ns: of the chosen messages; empty for core NATS.
    """
    known: dict[bytes, int] = {}
    codes = np.concatenate([_codes(part, known) for part in taken.parts])
    ends = np.cumsum(np.concatenate([_lengths(part) for part in taken.parts]) + 1)
    offsets = np.concatenate([[0], ends])
    pieces = _pieces(taken.parts, keep, offsets)
    headers = _headers(taken.parts)
    if len(keep) < len(taken):
        chosen = np.asarray(keep)
        offsets = np.concatenate([[0], np.cumsum(ends[chosen] - offsets[chosen])])
        headers = {new: headers[old] for new, old in enumerate(keep) if old in headers}
        used, codes = np.unique(codes[chosen], return_inverse=True)
        known = {subject: code for code, subject in enumerate(list(known)[code] for code in used)}
    return MessageGroup(
        incarnation=incarnation,
        ingest_ns=ingest_ns,
        subjects=tuple(known),
        subject_codes=array("H", codes.astype(np.uint16).tobytes()),
        sequences=array("q", sequences.tobytes()),
        server_ns=array("q", server_ns.tobytes()),
        headers=headers,
        offsets=array("I", offsets.astype(np.uint32).tobytes()),
        pieces=pieces,
    )


def _codes(part: Part, known: dict[bytes, int]) -> Numbers:
    """Which subject each message has, as its place in `known`, which grows."""
    if isinstance(part, Loose):
        return np.array([known.setdefault(subject, len(known)) for subject in part.subjects], np.int64)
    distinct, which = part.subjects()
    return np.array([known.setdefault(subject, len(known)) for subject in distinct], np.int64)[which]


def _lengths(part: Part) -> Numbers:
    if isinstance(part, Loose):
        return np.fromiter(map(len, part.payloads), np.int64, len(part))
    return part.payload_lengths


def _pieces(parts: Sequence[Part], keep: range | list[int], offsets: Numbers) -> tuple[bytes, ...]:
    """The payloads of the chosen messages; `offsets` of all."""
    is_whole = len(keep) == len(offsets) - 1
    loose = [part for part in parts if isinstance(part, Loose)]
    if len(loose) == len(parts):
        payloads = [payload for part in loose for payload in part.payloads]
        return payload_pieces(payloads if is_whole else [payloads[index] for index in keep])
    lines = b"".join([_payload_lines(part) for part in parts])
    return (lines if is_whole else b"".join([lines[offsets[index] : offsets[index + 1]] for index in keep]),)


def _payload_lines(part: Part) -> bytes:
    return b"\n".join([*part.payloads, b""]) if isinstance(part, Loose) else part.payload_lines()


def _headers(parts: Sequence[Part]) -> dict[int, bytes]:
    """Message index -> header block."""
    headers: dict[int, bytes] = {}
    start = 0
    for part in parts:
        if isinstance(part, Loose):
            headers |= {start + index: header for index, header in part.headers.items()}
        start += len(part)
    return headers
