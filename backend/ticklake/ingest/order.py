"""Messages of a pull consumer -> a group for the log, duplicates aside. Pure; runs on the order thread.

The ack subject of a JetStream message carries all we need:
`$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<server ns>.<pending>`, or the longer form
`$JS.ACK.<domain>.<account>.` with the same, and one random token more in some versions.
Large batches are parsed in native code, small ones in Python; both give the same columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv

from ticklake.ingest.group import build_group
from ticklake.ingest.intake import Taken
from ticklake.schema.messages import MessageGroup, Skipped

NATIVE_FROM = 256
"""Below so many messages a Python loop is faster than setting up the native parser."""

_SHORT_FORM_TOKENS = 9
_LONG_FORM_TOKENS = (11, 12)
_PREFIX = b"$JS.ACK."

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Columns parsed from ack subjects, one value per message."""

    delivered: Numbers
    sequences: Numbers
    consumer_sequences: Numbers
    server_ns: Numbers
    pending: int


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a batch turned out to be.

    Attributes:
        group: new messages to log, in order; None when there is none.
        duplicates: messages dropped because we hold them durably.
        missing: stream sequences that the server no longer had, as inclusive ranges.
        skipped: what a filtered consumer passed over, in place of `missing`; None when nothing.
        acks: ack subjects to answer once the group is durable.
        next_consumer_sequence: what must come next.
        pending: messages the server still holds for us.
        broken: why the consumer must be made anew, or None. What followed the break was left out and comes again.
        is_reused: the break is a sequence number that was used before for another message.
        reused_sequence: that number.
        left_out: explicit acks only: ack subjects of what followed the break, to be given back to the server.
    """

    group: MessageGroup | None
    duplicates: int
    missing: tuple[tuple[int, int], ...]
    acks: list[bytes]
    next_consumer_sequence: int
    pending: int
    broken: str | None = None
    is_reused: bool = False
    reused_sequence: int = 0
    left_out: tuple[bytes, ...] = ()
    skipped: Skipped | None = None


def parse_replies(taken: Taken, *, native_from: int = NATIVE_FROM) -> Deliveries:
    """Parse the ack subjects of one consumer, from so many messages on in native code.

    Raises:
        ValueError: one of them is not an ack subject.
    """
    lines = taken.reply_lines()
    tokens = lines[: lines.index(b"\n")].count(b".") + 1
    if tokens != _SHORT_FORM_TOKENS and tokens not in _LONG_FORM_TOKENS:
        raise _not_acks(lines)
    first = 4 if tokens == _SHORT_FORM_TOKENS else 6
    if len(taken) >= native_from:
        return _parse_native(lines, len(taken), tokens, first)
    rows = [reply.split(b".") for reply in taken.replies()]
    if any(row[:2] != [b"$JS", b"ACK"] or len(row) != tokens for row in rows):
        raise _not_acks(lines)
    try:
        columns = [np.array([int(row[first + i]) for row in rows], np.int64) for i in range(4)]
        return Deliveries(columns[0], columns[1], columns[2], columns[3], int(rows[-1][first + 4]))
    except (ValueError, OverflowError) as error:
        raise _not_acks(lines) from error


def _not_acks(lines: bytes) -> ValueError:
    return ValueError(f"not ack subjects: {lines[:120]!r} ...")


def _parse_native(lines: bytes, count: int, tokens: int, first: int) -> Deliveries:
    names = [f"c{i}" for i in range(tokens)]
    wanted = names[first : first + 5]
    if not lines.startswith(_PREFIX) or lines.count(b"\n" + _PREFIX) != count - 1:
        raise _not_acks(lines)
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(lines),
            read_options=pa_csv.ReadOptions(column_names=names, use_threads=False),
            parse_options=pa_csv.ParseOptions(delimiter=".", quote_char=False),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.int64()), include_columns=wanted, null_values=[]
            ),
        )
    except pa.ArrowInvalid as error:
        raise _not_acks(lines) from error
    if table.num_rows != count:  # a line break inside one of them
        raise _not_acks(lines)
    columns = [table.column(name).to_numpy() for name in wanted]
    return Deliveries(columns[0], columns[1], columns[2], columns[3], int(columns[4][-1]))


def in_order(
    taken: Taken,
    *,
    incarnation: int,
    ingest_ns: int,
    after_sequence: int,
    after_server_ns: int,
    consumer_sequence: int,
    is_filtered: bool,
) -> Ordered:
    """Position mode: messages must come in one unbroken run of consumer sequences.

    A message at or below our position is a duplicate when it is not newer than the position, else its sequence number
    was used again. Redelivery, a jump or a step back breaks the run: the consumer is then made anew at our position.

    Args:
        taken: at least one message.
        incarnation: of the stream now.
        ingest_ns: wall clock.
        after_sequence: our durable position, 0 at the start of a stream, -1 when the next sequence cannot be told.
        after_server_ns: server time of the message at our position.
        consumer_sequence: the next one expected.
        is_filtered: the consumer leaves out subjects, so a hole in the sequences may be a message for others.
    """
    taken = taken.joined()
    try:
        facts = parse_replies(taken)
    except ValueError:
        return _foreign(consumer_sequence)
    count = len(taken)
    good, broken = count, None
    is_run = (facts.consumer_sequences == np.arange(consumer_sequence, consumer_sequence + count)).all()
    if not is_run or (facts.delivered != 1).any():
        good, broken = _first_break(facts, consumer_sequence)
    is_old = (facts.sequences[:good] <= after_sequence) & (facts.server_ns[:good] <= after_server_ns)
    skip = good if is_old.all() else int(is_old.argmin())
    if skip < good and facts.sequences[skip] <= after_sequence:
        reused = int(facts.sequences[skip])
        return Ordered(None, skip, (), [], consumer_sequence, facts.pending, "sequence_reused", True, reused)
    group: MessageGroup | None = None
    missing: tuple[tuple[int, int], ...] = ()
    skipped: Skipped | None = None
    if skip < good:
        keep = range(skip, good)
        sequences = facts.sequences[skip:good]
        holes, good_count = _holes(sequences, after_sequence)
        if good_count < len(sequences):
            broken, keep, sequences = "sequence_went_back", range(skip, skip + good_count), sequences[:good_count]
        if is_filtered:
            skipped = _passed_over(holes, after_sequence if after_sequence >= 0 else int(sequences[0]) - 1)
        else:
            missing = tuple(holes)
        group = build_group(taken, keep, incarnation, ingest_ns, sequences, facts.server_ns[keep.start : keep.stop])
        good = keep.stop
    return Ordered(
        group,
        skip,
        missing,
        [_reply(taken, good - 1)] if good else [],
        consumer_sequence + good,
        facts.pending,
        broken,
        skipped=skipped,
    )


def _foreign(consumer_sequence: int) -> Ordered:
    """Somebody published to our inbox: take nothing of the batch, the next consumer has another inbox."""
    return Ordered(None, 0, (), [], consumer_sequence, 0, "foreign_message")


def _first_break(facts: Deliveries, consumer_sequence: int) -> tuple[int, str]:
    jumped = facts.consumer_sequences != np.arange(consumer_sequence, consumer_sequence + len(facts.consumer_sequences))
    index = int((jumped | (facts.delivered != 1)).argmax())
    return index, "consumer_sequence_jumped" if jumped[index] else "redelivered"


def _holes(sequences: Numbers, after_sequence: int) -> tuple[list[tuple[int, int]], int]:
    """Ranges that the stream skipped, and how many leading sequences rise strictly."""
    first = int(sequences[0])
    holes = [(after_sequence + 1, first - 1)] if 0 <= after_sequence < first - 1 else []
    steps = np.diff(sequences)
    falls = np.flatnonzero(steps <= 0)
    rising = int(falls[0]) + 1 if len(falls) else len(sequences)
    jumps = np.flatnonzero(steps[: rising - 1] > 1).tolist()
    holes += [(int(sequences[index]) + 1, int(sequences[index + 1]) - 1) for index in jumps]
    return holes, rising


def _passed_over(holes: list[tuple[int, int]], after: int) -> Skipped | None:
    """The holes as what a filtered consumer passed over; None without any."""
    return Skipped(after, sum(last - first + 1 for first, last in holes)) if holes else None


def any_order(taken: Taken, *, incarnation: int, ingest_ns: int, is_held: Callable[[int, int], bool | None]) -> Ordered:
    """Explicit acks (work-queue and interest streams): any order, each message acked for itself.

    Args:
        taken: at least one message.
        incarnation: of the stream now.
        ingest_ns: wall clock.
        is_held: (sequence, server ns) -> True: durable with us; False: new; None: the sequence was used before.
    """
    try:
        facts = parse_replies(taken)
    except ValueError:
        return _foreign(0)
    keep: list[int] = []
    batch: set[int] = set()
    duplicates, is_reused = 0, False
    pairs = zip(facts.sequences.tolist(), facts.server_ns.tolist(), strict=True)
    for index, (sequence, server_ns) in enumerate(pairs):
        held = is_held(sequence, server_ns)
        if held is None:
            is_reused = True
            break
        if held or sequence in batch:
            duplicates += 1
            continue
        batch.add(sequence)
        keep.append(index)
    seen = index if is_reused else len(taken)
    group = None
    if keep:
        group = build_group(taken, keep, incarnation, ingest_ns, facts.sequences[keep], facts.server_ns[keep])
    broken = "sequence_reused" if is_reused else None
    reused_sequence = int(facts.sequences[seen]) if is_reused else 0
    replies = taken.replies()
    acks, left_out = replies[:seen], tuple(replies[seen:])
    return Ordered(group, duplicates, (), acks, 0, facts.pending, broken, is_reused, reused_sequence, left_out)


def _reply(taken: Taken, index: int) -> bytes:
    """One reply."""
    for part in taken.parts:
        if index < len(part):
            return part.reply(index)
        index -= len(part)
    raise IndexError("no such message")
