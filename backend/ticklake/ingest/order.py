"""Messages of a pull consumer -> a group for the log, duplicates aside. Pure; runs on the log thread.

The ack subject of a JetStream message carries all we need:
`$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<server ns>.<pending>`, or the longer form
`$JS.ACK.<domain>.<account>.` with the same, and one random token more in some versions.
Large batches are parsed in native code, small ones in Python; both give the same columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate

import pyarrow as pa
import pyarrow.csv as pa_csv

from ticklake.ingest.intake import Taken
from ticklake.schema.messages import MessageGroup

_NATIVE_FROM = 64  # below this a Python loop is faster than setting up the native parser
_SHORT_FORM_TOKENS = 9
_LONG_FORM_TOKENS = (11, 12)
_PREFIX = b"$JS.ACK."


@dataclass(frozen=True, slots=True)
class Deliveries:
    """Columns parsed from ack subjects, one value per message ('q')."""

    delivered: array[int]
    sequences: array[int]
    consumer_sequences: array[int]
    server_ns: array[int]
    pending: int


@dataclass(frozen=True, slots=True)
class Ordered:
    """What a batch turned out to be.

    Attributes:
        group: new messages to log, in order; None when there is none.
        duplicates: messages dropped because we hold them durably.
        missing: stream sequences that were skipped by the server, as inclusive ranges.
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


def parse_replies(replies: list[bytes]) -> Deliveries:
    """Parse the ack subjects of one consumer.

    Raises:
        ValueError: one of them is not an ack subject.
    """
    tokens = replies[0].count(b".") + 1
    if tokens != _SHORT_FORM_TOKENS and tokens not in _LONG_FORM_TOKENS:
        raise _not_acks(replies)
    first = 4 if tokens == _SHORT_FORM_TOKENS else 6
    if len(replies) >= _NATIVE_FROM:
        return _parse_native(replies, first)
    rows = [reply.split(b".") for reply in replies]
    if any(row[:2] != [b"$JS", b"ACK"] or len(row) != tokens for row in rows):
        raise _not_acks(replies)
    try:
        columns = [array("q", [int(row[first + i]) for row in rows]) for i in range(4)]
        return Deliveries(columns[0], columns[1], columns[2], columns[3], int(rows[-1][first + 4]))
    except (ValueError, OverflowError) as error:
        raise _not_acks(replies) from error


def _not_acks(replies: list[bytes]) -> ValueError:
    return ValueError(f"not ack subjects: {replies[0][:120]!r} ...")


def _parse_native(replies: list[bytes], first: int) -> Deliveries:
    names = [f"c{i}" for i in range(replies[0].count(b".") + 1)]
    wanted = names[first : first + 5]
    lines = b"\n".join(replies)
    if not lines.startswith(_PREFIX) or lines.count(b"\n" + _PREFIX) != len(replies) - 1:
        raise _not_acks(replies)
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
        raise _not_acks(replies) from error
    if table.num_rows != len(replies):  # a line break inside one of them
        raise _not_acks(replies)
    columns = [_to_array(table.column(name)) for name in wanted]
    return Deliveries(columns[0], columns[1], columns[2], columns[3], columns[4][-1])


def _to_array(column: pa.ChunkedArray) -> array[int]:
    values: array[int] = array("q")
    for chunk in column.chunks:
        data = memoryview(chunk.buffers()[1])
        values.frombytes(data[chunk.offset * 8 : (chunk.offset + len(chunk)) * 8])
    return values


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
        is_filtered: the consumer skips subjects, so holes in the stream sequence mean nothing.
    """
    try:
        facts = parse_replies(taken.replies)
    except ValueError:
        return _foreign(consumer_sequence)
    count = len(taken)
    good, broken = count, None
    if facts.consumer_sequences != array("q", range(consumer_sequence, consumer_sequence + count)) or (
        facts.delivered.count(1) != count
    ):
        good, broken = _first_break(facts, consumer_sequence)
    skip = 0
    while skip < good and facts.sequences[skip] <= after_sequence and facts.server_ns[skip] <= after_server_ns:
        skip += 1
    if skip < good and facts.sequences[skip] <= after_sequence:
        return Ordered(
            None,
            skip,
            (),
            [],
            consumer_sequence,
            facts.pending,
            "sequence_reused",
            is_reused=True,
            reused_sequence=facts.sequences[skip],
        )
    group: MessageGroup | None = None
    missing: tuple[tuple[int, int], ...] = ()
    if skip < good:
        keep = range(skip, good)
        sequences = facts.sequences[skip:good]
        missing_ranges, good_count = _holes(sequences, after_sequence)
        if good_count < len(sequences):
            broken, keep, sequences = "sequence_went_back", range(skip, skip + good_count), sequences[:good_count]
        missing = () if is_filtered else tuple(missing_ranges)
        group = build_group(taken, keep, incarnation, ingest_ns, sequences, facts.server_ns[keep.start : keep.stop])
        good = keep.stop
    return Ordered(
        group,
        skip,
        missing,
        [taken.replies[good - 1]] if good else [],
        consumer_sequence + good,
        facts.pending,
        broken,
    )


def _foreign(consumer_sequence: int) -> Ordered:
    """Somebody published to our inbox: take nothing of the batch, the next consumer has another inbox."""
    return Ordered(None, 0, (), [], consumer_sequence, 0, "foreign_message")


def _first_break(facts: Deliveries, consumer_sequence: int) -> tuple[int, str]:
    for index, (delivered, got) in enumerate(zip(facts.delivered, facts.consumer_sequences, strict=True)):
        if got != consumer_sequence + index:
            return index, "consumer_sequence_jumped"
        if delivered != 1:
            return index, "redelivered"
    raise AssertionError("called for an unbroken run")


def _holes(sequences: array[int], after_sequence: int) -> tuple[list[tuple[int, int]], int]:
    """Ranges that the stream skipped, and how many leading sequences rise strictly."""
    first = sequences[0]
    holes = [(after_sequence + 1, first - 1)] if 0 <= after_sequence < first - 1 else []
    if sequences == array("q", range(first, first + len(sequences))):
        return holes, len(sequences)
    previous = first
    for index in range(1, len(sequences)):
        sequence = sequences[index]
        if sequence <= previous:
            return holes, index
        if sequence > previous + 1:
            holes.append((previous + 1, sequence - 1))
        previous = sequence
    return holes, len(sequences)


def any_order(taken: Taken, *, incarnation: int, ingest_ns: int, is_held: Callable[[int, int], bool | None]) -> Ordered:
    """Explicit acks (work-queue and interest streams): any order, each message acked for itself.

    Args:
        taken: at least one message.
        incarnation: of the stream now.
        ingest_ns: wall clock.
        is_held: (sequence, server ns) -> True: durable with us; False: new; None: the sequence was used before.
    """
    try:
        facts = parse_replies(taken.replies)
    except ValueError:
        return _foreign(0)
    keep: list[int] = []
    batch: set[int] = set()
    duplicates, is_reused = 0, False
    for index, (sequence, server_ns) in enumerate(zip(facts.sequences, facts.server_ns, strict=True)):
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
        sequences = array("q", [facts.sequences[i] for i in keep])
        group = build_group(
            taken, keep, incarnation, ingest_ns, sequences, array("q", [facts.server_ns[i] for i in keep])
        )
    broken = "sequence_reused" if is_reused else None
    reused_sequence = facts.sequences[seen] if is_reused else 0
    acks, left_out = taken.replies[:seen], tuple(taken.replies[seen:])
    return Ordered(group, duplicates, (), acks, 0, facts.pending, broken, is_reused, reused_sequence, left_out)


def build_group(
    taken: Taken,
    keep: range | list[int],
    incarnation: int,
    ingest_ns: int,
    sequences: array[int],
    server_ns: array[int],
) -> MessageGroup:
    """The chosen messages as one group. Fast for an unbroken range, which is the normal case."""
    if len(keep) == len(taken):
        subjects, payloads, headers = taken.subjects, taken.payloads, taken.headers
    else:
        subjects = [taken.subjects[i] for i in keep]
        payloads = [taken.payloads[i] for i in keep]
        headers = {new: taken.headers[old] for new, old in enumerate(keep) if old in taken.headers}
    first = subjects[0]
    distinct: tuple[bytes, ...] = (first,)
    if subjects.count(first) == len(subjects):
        codes = array("H", bytes(2 * len(subjects)))
    else:
        known: dict[bytes, int] = {}
        codes = array("H", [known.setdefault(subject, len(known)) for subject in subjects])
        distinct = tuple(known)
    blob = b"\n".join([*payloads, b""])
    offsets = array("I", accumulate(map((1).__add__, map(len, payloads)), initial=0))
    return MessageGroup(incarnation, ingest_ns, distinct, codes, sequences, server_ns, headers, offsets, blob)
