"""T01: a log cut at any byte, and with any one bit flipped, gives its good prefix or refuses. Exhaustive."""

from __future__ import annotations

import itertools
import random

import pytest

from ticklake.schema.messages import MessageGroup
from ticklake.testing.messages import group_messages
from ticklake.wal.frame import encode_close, encode_group
from ticklake.wal.header import SegmentHeader, encode_header
from ticklake.wal.segment import SegmentScan, Tail, scan
from ticklake.wal.state import Incarnation, Position, Previous, SegmentState

SALT = 0x1234_5678_9ABC_DEF1
GROUPS = 16  # of four messages: 64 records


def _groups() -> list[MessageGroup]:
    rng = random.Random(3)
    groups = []
    for number in range(GROUPS):
        first = 1 + 4 * number
        groups.append(
            group_messages(
                [
                    (
                        rng.choice([b"market.futures.trades", b"market.\xff\xfe", b""]),
                        b"NATS/1.0\r\nA: b\r\n\r\n" if rng.random() < 0.3 else None,
                        bytes(rng.choice([0, 0, 40, 90])) + rng.randbytes(rng.randrange(40)),
                    )
                    for _ in range(4)
                ],
                incarnation=2,
                ingest_ns=1_700_000_000_000_000_000 + number,
                sequences=list(range(first, first + 4)) if number % 3 else None,
                server_ns=[10 * n for n in range(4)] if number % 3 else None,
            )
        )
    return groups


def _segment(*, is_closed: bool, sector_bytes: int = 64) -> tuple[bytes, list[int]]:
    """The bytes of a segment of 64 messages, and where each of its groups ends."""
    state = SegmentState("model", "MODEL", Incarnation(2, 5, "first"), Position(2, 7, 9, 11), Previous(6, 4096))
    content = encode_header(SegmentHeader(7, 3, SALT, sector_bytes, state))
    ends = []
    for number, group in enumerate(_groups()):
        content += b"".join(
            encode_group(
                group,
                salt=SALT,
                number=number,
                at_bytes=len(content),
                durable_bytes=len(content),
                missing=[(1, 2)] if number == 5 else (),
                duplicates=number % 2,
                sector_bytes=sector_bytes,
            )
        )
        ends.append(len(content))
    if is_closed:
        content += b"".join(encode_close(salt=SALT, number=GROUPS, durable_bytes=len(content)))
    return content, ends


def _read(found: SegmentScan) -> list[MessageGroup]:
    return [frame.group for frame in found.frames if frame.group is not None]


def test_a_whole_segment_reads_back_as_it_was_written() -> None:
    for is_closed in (True, False):
        content, _ = _segment(is_closed=is_closed)
        found = scan(content, expected_bytes=len(content))
        assert (found.tail, found.valid_bytes, found.is_closed) == (Tail.CLEAN, len(content), is_closed)
        assert _read(found) == _groups()
        assert found.frames[5].missing == ((1, 2),)
        assert sum(frame.duplicates for frame in found.frames) == GROUPS // 2


def test_a_segment_cut_at_any_byte_gives_exactly_the_groups_before_the_cut() -> None:
    content, ends = _segment(is_closed=True)
    whole = _groups()
    for cut in range(len(content)):
        found = scan(content[:cut])
        assert _read(found) == whole[: sum(end <= cut for end in ends)]
        assert found.tail is (Tail.CLEAN if cut == found.valid_bytes > 0 else Tail.TORN)


def test_a_segment_cut_at_any_byte_is_refused_when_the_next_one_knows_its_length() -> None:
    content, _ = _segment(is_closed=False)
    assert all(scan(content[:cut], expected_bytes=len(content)).tail is Tail.CORRUPT for cut in range(len(content)))


@pytest.mark.long
def test_any_flipped_bit_in_a_closed_segment_is_refused_and_nothing_is_invented() -> None:
    content, ends = _segment(is_closed=True)
    whole = _groups()
    for at in range(len(content)):
        for bit in range(8):
            found = scan(_flipped(content, at, bit))
            good = sum(end <= at for end in ends) if found.header else 0
            assert _read(found) == whole[:good]
            hidden = good < len(whole)
            assert found.tail is Tail.CORRUPT or not hidden, (at, bit)
            assert found.tail is not Tail.CLEAN, (at, bit)


@pytest.mark.long
def test_any_flipped_bit_in_an_open_segment_is_refused_even_in_the_last_group() -> None:
    content, _ = _segment(is_closed=False)
    hidden = []
    for at in range(len(content)):
        for bit in range(8):
            found = scan(_flipped(content, at, bit))
            if found.tail is not Tail.CORRUPT:
                hidden.append((at, bit))
    assert hidden == []


def test_a_group_that_lost_a_sector_before_its_sync_is_a_torn_tail() -> None:
    content, ends = _segment(is_closed=False)
    begin, end = ends[-2], ends[-1]
    lost = 0
    for sector in range(begin // 64, (end + 63) // 64):
        low, high = max(sector * 64, begin), min(sector * 64 + 64, end)
        if not any(content[low:high]):
            continue  # it was zero anyway
        lost += 1
        found = scan(content[:low] + bytes(high - low) + content[high:])
        assert (found.tail, found.valid_bytes) == (Tail.TORN, begin)
    assert lost > 3


def test_a_group_that_lost_a_sector_after_its_sync_is_damage() -> None:
    content, ends = _segment(is_closed=True)
    for begin, end in itertools.pairwise(ends):
        found = scan(content[:begin] + bytes(end - begin) + content[end:])
        assert (found.tail, found.valid_bytes) == (Tail.CORRUPT, begin)


def test_a_flipped_bit_among_zeros_that_were_written_is_damage() -> None:
    group = group_messages([(b"market.blob", None, bytes(1500))], ingest_ns=1)
    header = encode_header(SegmentHeader(7, 3, SALT, 64, SegmentState("model", "MODEL")))
    frame = encode_group(group, salt=SALT, number=0, at_bytes=len(header), durable_bytes=len(header), sector_bytes=64)
    content = header + b"".join(frame)
    assert scan(content).tail is Tail.CLEAN
    for at in range(len(header), len(content)):
        assert scan(_flipped(content, at, at % 8)).tail is Tail.CORRUPT
    for sector in range(len(header) // 64 + 1, len(content) // 64):
        lost = content[: sector * 64] + bytes(64) + content[sector * 64 + 64 :]
        assert scan(lost).tail is (Tail.CLEAN if lost == content else Tail.TORN)


def test_a_frame_that_was_left_out_or_comes_twice_is_damage() -> None:
    content, ends = _segment(is_closed=True)
    for before, begin, end in zip(ends, ends[1:], ends[2:], strict=False):
        without = scan(content[:begin] + content[end:])
        assert (without.tail, without.valid_bytes) == (Tail.CORRUPT, begin)
        twice = scan(content[:begin] + content[before:])
        assert (twice.tail, twice.valid_bytes) == (Tail.CORRUPT, begin)


def test_bytes_behind_the_mark_of_a_graceful_end_are_damage() -> None:
    content, ends = _segment(is_closed=True)
    for more in (b"\0", bytes(100), content[: ends[0]]):
        found = scan(content + more)
        assert (found.tail, found.valid_bytes, found.is_closed) == (Tail.CORRUPT, len(content), True)


def _flipped(content: bytes, at: int, bit: int) -> bytes:
    changed = bytearray(content)
    changed[at] ^= 1 << bit
    return bytes(changed)
