"""Any group of messages comes back from its frame as it went in; so do states, intents, entries and seen sets."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.errors import UsageError
from ticklake.lake.intent import Intent, StagedFile, decode_intent, encode_intent
from ticklake.lake.ledger import LedgerEntry, LedgerFile, decode_entry, encode_entry
from ticklake.schema.messages import MessageGroup, Skipped, payload_pieces
from ticklake.testing.messages import group_messages, payloads_of
from ticklake.wal.frame import decode_frame, encode_group, is_body_whole, read_header
from ticklake.wal.seen import SeenSet
from ticklake.wal.state import Incarnation, Position, Previous, SegmentState, decode_state, encode_state

MESSAGES = st.lists(
    st.tuples(st.binary(max_size=12), st.none() | st.binary(min_size=1, max_size=40), st.binary(max_size=200)),
    min_size=1,
    max_size=12,
)
INT64 = st.integers(-(2**63), 2**63 - 1)
RANGES = st.lists(st.tuples(INT64, INT64), max_size=3)


@given(
    messages=MESSAGES,
    numbers=st.none() | st.lists(st.tuples(INT64, INT64), min_size=12, max_size=12),
    incarnation=st.integers(0, 2**32 - 1),
    ingest_ns=INT64,
    missing=RANGES,
    duplicates=st.integers(0, 10**9),
    skipped=st.none() | st.builds(Skipped, INT64, INT64),
    lead=st.integers(0, 30).map(lambda n: 8 * n),
    sector_bytes=st.sampled_from([64, 512, 4096]),
)
def test_a_group_comes_back(
    messages: list[tuple[bytes, bytes | None, bytes]],
    numbers: list[tuple[int, int]] | None,
    incarnation: int,
    ingest_ns: int,
    missing: list[tuple[int, int]],
    duplicates: int,
    skipped: Skipped | None,
    lead: int,
    sector_bytes: int,
) -> None:
    taken = (numbers or [])[: len(messages)]
    group = group_messages(
        messages,
        incarnation=incarnation,
        ingest_ns=ingest_ns,
        sequences=[first for first, _ in taken],
        server_ns=[second for _, second in taken],
    )
    parts = encode_group(
        group,
        salt=77,
        number=3,
        at_bytes=lead,
        durable_bytes=lead,
        missing=missing,
        duplicates=duplicates,
        skipped=skipped,
        sector_bytes=sector_bytes,
    )
    data = bytes(lead) + b"".join(parts)
    assert len(data) % 8 == 0
    header = read_header(data, lead, salt=77)
    assert header is not None
    assert header.end_bytes == len(data)
    assert is_body_whole(data, lead, header)
    frame = decode_frame(data, lead, header)
    assert (frame.group, frame.missing, frame.duplicates) == (group, tuple(missing), duplicates)
    assert frame.skipped == skipped
    assert read_header(data, lead, salt=78) is None


@given(
    incarnation=st.builds(Incarnation, st.integers(0, 9), INT64, st.text(max_size=9)),
    position=st.builds(Position, st.integers(0, 9), INT64, INT64, st.integers(0, 2**32 - 1)),
    previous=st.none() | st.builds(Previous, st.integers(0, 9), st.integers(0, 9)),
    seen=st.lists(st.tuples(INT64, INT64, INT64), max_size=3).map(tuple),
    duplicates=st.integers(0, 9),
)
def test_a_segment_state_comes_back(
    incarnation: Incarnation,
    position: Position,
    previous: Previous | None,
    seen: tuple[tuple[int, int, int], ...],
    duplicates: int,
) -> None:
    state = SegmentState("model", "MODEL", incarnation, position, previous, seen, duplicates)
    assert decode_state(encode_state(state)) == state


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
COUNTS = st.dictionaries(NAMES, st.integers(0, 9), max_size=3)


@given(
    path=NAMES,
    rows=COUNTS,
    missing=RANGES,
    first=st.none() | INT64,
    skipped=st.none() | st.builds(Skipped, INT64, INT64),
)
def test_a_ledger_entry_comes_back(
    path: str, rows: dict[str, int], missing: list[tuple[int, int]], first: int | None, skipped: Skipped | None
) -> None:
    entry = LedgerEntry(
        writer="w",
        lane="l",
        stream="L",
        segment=4,
        incarnation=1,
        first_seq=first,
        last_seq=first,
        received=6,
        stored=3,
        quarantined=2,
        duplicates=1,
        committed_ns=99,
        missing=tuple(missing),
        rows=rows,
        quarantined_rows=rows,
        reasons=rows,
        files=(LedgerFile(path, "t", 3, 10, "00ff00ff"),),
        skipped=skipped,
    )
    assert decode_entry(encode_entry(entry)) == entry


@given(name=NAMES, cut=st.integers(0, 400), flip=st.integers(0, 400))
def test_an_intent_comes_back_whole_or_not_at_all(name: str, cut: int, flip: int) -> None:
    file = StagedFile("0000.parquet", name, name, 1, 2, "00000000")
    intent = Intent(7, (file, file), file, {"position": [1, 2, 3, 4]})
    content = encode_intent(intent)
    assert decode_intent(content) == intent
    assert decode_intent(content[: cut % len(content)]) is None
    changed = bytearray(content)
    at = flip % len(content)
    changed[at] ^= 4
    try:
        assert decode_intent(bytes(changed)) is None
    except ValueError:
        assert 8 <= at < 12, "only another version may be refused aloud"


@given(
    ranges=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 8), st.integers(0, 99)), max_size=20),
    probe=st.integers(0, 70),
)
def test_a_seen_set_answers_like_a_plain_set(ranges: list[tuple[int, int, int]], probe: int) -> None:
    seen, plain = SeenSet(), set()
    for first, more, newest_ns in ranges:
        seen.add_range(first, first + more, newest_ns=newest_ns)
        plain |= set(range(first, first + more + 1))
    assert len(seen) == len(plain)
    assert seen.contains(probe, server_ns=0) == (probe in plain)
    assert SeenSet(seen.ranges()).ranges() == seen.ranges()
    assert all(last + 1 < first for (_, last, _), (first, _, _) in zip(seen.ranges(), seen.ranges()[1:], strict=False))


@given(sequences=st.lists(st.integers(1, 40), unique=True, min_size=1))
def test_many_sequences_at_once_are_like_one_by_one(sequences: list[int]) -> None:
    for order in (sequences, sorted(sequences)):
        at_once, one_by_one = SeenSet(), SeenSet()
        at_once.add_many(array("q", order), array("q", [5] * len(order)))
        for sequence in order:
            one_by_one.add(sequence, server_ns=5)
        assert at_once.ranges() == one_by_one.ranges()


def test_a_reused_sequence_is_no_duplicate() -> None:
    seen = SeenSet([(1, 100, 5_000)])
    assert seen.contains(100, server_ns=5_000)
    assert not seen.contains(100, server_ns=5_001)
    assert seen.is_reused(100, server_ns=5_001)
    assert not seen.is_reused(101, server_ns=5_001)


@given(messages=MESSAGES, lead=st.integers(0, 30).map(lambda n: 8 * n))
def test_payloads_may_be_held_apart(messages: list[tuple[bytes, bytes | None, bytes]], lead: int) -> None:
    group = group_messages(messages, ingest_ns=1)
    apart = replace(group, pieces=tuple(piece for _, _, payload in messages for piece in (payload, b"\n")))
    assert (apart.payloads, apart.payload_bytes) == (group.payloads, group.payload_bytes)
    assert payloads_of(apart) == payloads_of(group) == [payload for _, _, payload in messages]
    facts = {"salt": 7, "number": 0, "at_bytes": lead, "durable_bytes": lead, "sector_bytes": 64}
    assert b"".join(encode_group(apart, **facts)) == b"".join(encode_group(group, **facts))


def test_small_payloads_are_joined_and_large_ones_stay_where_they_are() -> None:
    large = [bytes(20_000), b"", bytes(40_000)]
    assert payload_pieces([b"a", b"", b"b"]) == (b"a\n\nb\n",)
    held = payload_pieces(large)
    assert [piece is payload for piece, payload in zip(held[::2], large, strict=True)] == [True] * 3
    assert set(held[1::2]) == {b"\n"}


@pytest.mark.parametrize(
    "change",
    [
        {"sequences": array("q", [1])},
        {"server_ns": array("q", [1, 2])},
        {"offsets": array("I", [0, 3])},
        {"pieces": (b"{}\n{}",)},
        {"pieces": (b"{}\n", b"{}\n")},
        {"pieces": (b"{}", b"{}", b"", b"\n\n")},
        {"subjects": ()},
    ],
)
def test_columns_that_do_not_fit_together_are_refused(change: dict[str, object]) -> None:
    good = group_messages([(b"s", None, b"{}"), (b"s", None, b"{}")], ingest_ns=1)
    facts = {name: getattr(good, name) for name in MessageGroup.__dataclass_fields__} | change
    with pytest.raises(UsageError, match="does not fit together"):
        encode_group(MessageGroup(**facts), salt=1, number=0, at_bytes=0, durable_bytes=0)
