"""Damage is found, named, cut out; every good group stays; what was there before is kept."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace

import pytest

from ticklake.base.errors import CorruptError
from ticklake.ingest.api import MessageFacts, Retention, StreamFacts
from ticklake.ingest.resume import Finding, decide
from ticklake.schema.messages import Skipped
from ticklake.sink.progress import Progress
from ticklake.testing.disk import CrashDisk, Faults, PowerCut
from ticklake.testing.messages import group_messages
from ticklake.wal.errors import WalCorruptError
from ticklake.wal.log import Wal, read_log
from ticklake.wal.repair import repair_folder, verify_folder
from ticklake.wal.segment import Tail, payload_crc32c
from ticklake.wal.state import Incarnation, Position, SegmentState

FOLDER = "/disk/wal/model"
STATE = SegmentState("model", "MODEL", Incarnation(1, 5, "first"), Position(1, 0, 0, 0))


def _log(*, groups: int = 3, segments: int = 2, state: SegmentState = STATE) -> CrashDisk:
    """Segments of `groups` groups with two messages each; sequences 1, 2, ..."""
    disk = CrashDisk()
    disk.make_folder(FOLDER)
    wal = Wal.open(disk, FOLDER, number=1, epoch=1, state=state, salt_source=lambda count: b"\x11" * count)
    for segment in range(segments):
        if segment:
            wal.rotate(state)
        for group in range(groups):
            first = 1 + 2 * (segment * groups + group)
            wal.append(
                group_messages(
                    [(b"s", None, b"payload %d" % first), (b"s", None, b"payload %d" % (first + 1))],
                    incarnation=1,
                    ingest_ns=1,
                    sequences=[first, first + 1],
                    server_ns=[first, first + 1],
                )
            )
            wal.sync()
    wal.close()
    return disk


def _sequences(disk: CrashDisk) -> list[int]:
    return [
        sequence
        for segment in read_log(disk, FOLDER)
        for frame in segment.scan.frames
        if frame.group is not None
        for sequence in frame.group.sequences
    ]


def _damage(disk: CrashDisk, path: str, at: int, content: bytes = b"\xa5") -> None:
    whole = bytearray(disk.read(path))
    whole[at : at + len(content)] = content
    _replace(disk, path, bytes(whole))


def _replace(disk: CrashDisk, path: str, content: bytes) -> None:
    disk.unlink(path)
    file = disk.create(path)
    file.write([content])
    file.sync()
    disk.sync_folder(FOLDER)


def test_a_good_log_is_left_alone() -> None:
    disk = _log()
    verdicts = verify_folder(disk, FOLDER)
    found = [
        (v.segment, v.groups, v.messages, v.first_sequence, v.last_sequence, v.tail, v.is_closed) for v in verdicts
    ]
    assert found == [
        (1, 3, 6, 1, 6, Tail.CLEAN, False),
        (2, 3, 6, 7, 12, Tail.CLEAN, True),
    ]
    before = disk.tree()
    assert repair_folder(disk, FOLDER) == []
    assert disk.tree() == before


def test_a_damaged_group_is_cut_out_and_the_later_ones_stay() -> None:
    disk = _log()
    path = f"{FOLDER}/000000000001.wal"
    second = next(read_log(disk, FOLDER)).scan.frames[1]
    _damage(disk, path, second.start_bytes + 100)
    original = disk.read(path)
    with pytest.raises(WalCorruptError, match=rf"000000000001\.wal: damage at byte {second.start_bytes}.*wal repair"):
        list(read_log(disk, FOLDER))
    assert [verdict.is_good for verdict in verify_folder(disk, FOLDER)] == [False, True]
    (repair,) = repair_folder(disk, FOLDER)
    assert (repair.segment, repair.offset_bytes) == (1, second.start_bytes)
    assert (repair.kept_groups, repair.lost_groups, repair.lost_bytes) == (2, 1, second.size_bytes)
    assert repair.lost_sequences == ((3, 4),)
    assert disk.read(repair.kept_copy) == original
    assert repair.kept_copy.endswith(".wal.broken")
    assert _sequences(disk) == [1, 2, 5, 6, 7, 8, 9, 10, 11, 12]
    assert repair_folder(disk, FOLDER) == []


def test_a_group_that_is_gone_from_the_end_shows_as_a_gap_before_the_next_segment() -> None:
    disk = _log()
    path = f"{FOLDER}/000000000001.wal"
    last = next(read_log(disk, FOLDER)).scan.frames[2]
    _replace(disk, path, disk.read(path)[: last.start_bytes])
    (repair,) = repair_folder(disk, FOLDER)
    assert (repair.kept_groups, repair.offset_bytes) == (2, last.start_bytes)
    assert _sequences(disk) == [1, 2, 3, 4, 7, 8, 9, 10, 11, 12]


def test_a_damaged_header_costs_no_group() -> None:
    disk = _log()
    _damage(disk, f"{FOLDER}/000000000001.wal", 60)
    (repair,) = repair_folder(disk, FOLDER)
    assert (repair.kept_groups, repair.lost_groups) == (3, 0)
    assert _sequences(disk) == list(range(1, 13))
    header = next(read_log(disk, FOLDER)).scan.header
    assert header is not None
    assert header.state.incarnation == STATE.incarnation, "the header of the next segment knows"
    assert header.state.stream == "MODEL"
    assert _decided(disk, created_ns=5) == Finding.SAME


def test_where_the_only_header_is_damaged_the_messages_tell_where_the_stream_was() -> None:
    disk = _log(segments=1)
    _damage(disk, f"{FOLDER}/000000000001.wal", 60)
    (repair,) = repair_folder(disk, FOLDER)
    assert (repair.kept_groups, repair.lost_groups) == (3, 0)
    assert _decided(disk, created_ns=5) == Finding.SAME, "not read once more from its first message"
    assert _decided(disk, created_ns=7, payload=b"another") == Finding.RECREATED


def test_a_damaged_header_in_front_of_nothing_is_left_to_the_ledger() -> None:
    disk = _log(groups=0, segments=1)
    _damage(disk, f"{FOLDER}/000000000001.wal", 60)
    before = disk.tree()
    with pytest.raises(CorruptError, match=r"how far the stream was.*ticklake recover"):
        repair_folder(disk, FOLDER)
    assert disk.tree() == before


@pytest.mark.parametrize("damaged", [1, 2])
def test_a_header_in_front_of_nothing_is_made_up_when_a_neighbour_tells_the_position(damaged: int) -> None:
    disk = _log(groups=0, segments=2)
    _damage(disk, f"{FOLDER}/{damaged:012d}.wal", 60)
    repair_folder(disk, FOLDER)
    assert _reached(disk).incarnation == STATE.incarnation


@pytest.mark.parametrize("segments", [1, 2])
def test_a_work_queue_stays_one(segments: int) -> None:
    disk = _log(segments=segments, state=replace(STATE, tracks_seen=True))
    _damage(disk, f"{FOLDER}/000000000001.wal", 60)
    (repair,) = repair_folder(disk, FOLDER)
    assert [(first, last) for first, last, _ in _reached(disk).seen.ranges()] == [(1, 6 * segments)]
    assert ("stored before this segment" in repair.reason) == (segments == 1)


def _reached(disk: CrashDisk) -> Progress:
    """What the next start makes of the log."""
    progress = Progress()
    for segment in read_log(disk, FOLDER):
        assert segment.scan.header is not None
        state = segment.scan.header.state
        progress.tracks_seen = progress.tracks_seen or state.tracks_seen
        progress.take(state.incarnation, state.position, state.seen)
        for frame in segment.scan.frames:
            if frame.group is not None:
                progress.take_group(frame.group)
    return progress


def _decided(disk: CrashDisk, *, created_ns: int, payload: bytes | None = None) -> Finding:
    """Where it goes on in a stream that still holds the message at the position, or another one."""
    progress = _reached(disk)
    last = progress.position.sequence
    stream = StreamFacts("MODEL", ("s",), Retention.LIMITS, created_ns, 1, last, last, {})
    at_position = MessageFacts(last, last, payload_crc32c(payload or b"payload %d" % last))
    return decide(
        position=progress.position,
        known_created_ns=progress.incarnation.created_ns,
        stream=stream,
        at_position=at_position,
    ).finding


def test_a_missing_segment_is_named_and_the_rest_can_be_used() -> None:
    disk = _log(segments=4)
    disk.unlink(f"{FOLDER}/000000000003.wal")
    with pytest.raises(WalCorruptError, match=r"000000000003\.wal before it is missing"):
        list(read_log(disk, FOLDER))
    assert [verdict.is_good for verdict in verify_folder(disk, FOLDER)] == [True, True, False]
    (repair,) = repair_folder(disk, FOLDER)
    assert repair.lost_sequences == ((13, 18),)
    assert _sequences(disk) == [*range(1, 13), *range(19, 25)]


def test_what_a_filter_passed_over_is_not_lost_and_stays_on_record() -> None:
    disk = CrashDisk()
    disk.make_folder(FOLDER)
    wal = Wal.open(disk, FOLDER, number=1, epoch=1, state=STATE, salt_source=lambda count: b"\x11" * count)
    for first, skipped in ((1, None), (5, Skipped(1, 3)), (8, Skipped(5, 2)), (20, Skipped(8, 11))):
        group = group_messages([(b"s", None, b"x")], incarnation=1, ingest_ns=1, sequences=[first], server_ns=[first])
        wal.append(group, skipped=skipped)
        wal.sync()
    wal.close()
    path = f"{FOLDER}/000000000001.wal"
    _damage(disk, path, next(read_log(disk, FOLDER)).scan.frames[2].start_bytes + 100)
    (repair,) = repair_folder(disk, FOLDER)
    assert repair.lost_sequences == ((6, 8),)  # of them one was ours; 2 to 4 and 9 to 19 were for others
    [segment] = read_log(disk, FOLDER)
    assert [frame.skipped for frame in segment.scan.frames] == [None, Skipped(1, 3), Skipped(8, 11), None]


def test_a_torn_tail_is_no_damage() -> None:
    disk = _log()
    path = f"{FOLDER}/000000000002.wal"
    last = list(read_log(disk, FOLDER))[1].scan.frames[2]
    _replace(disk, path, disk.read(path)[: last.end_bytes - 8])
    assert [verdict.tail for verdict in verify_folder(disk, FOLDER)] == [Tail.CLEAN, Tail.TORN]
    assert repair_folder(disk, FOLDER) == []
    assert _sequences(disk) == list(range(1, 11))


@pytest.mark.parametrize(("segments", "number"), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_a_repair_that_is_cut_short_anywhere_is_finished_by_the_next(segments: int, number: int) -> None:
    total = _damaged(segments, number)
    repair_folder(total, FOLDER)
    done = _sequences(total)
    for crash_at in range(1, total.operations + 1):
        disk = _damaged(segments, number).copy()
        disk.faults = Faults(crash_at=crash_at)
        with contextlib.suppress(PowerCut):
            repair_folder(disk, FOLDER)
        for image in [*disk.images(random.Random(crash_at), 20), disk.restart()]:
            verdicts = verify_folder(image, FOLDER)
            try:
                assert _sequences(image) == done, "a start went on although messages are hidden from it"
                assert all(verdict.is_good for verdict in verdicts)
            except WalCorruptError:
                assert not all(verdict.is_good for verdict in verdicts)
            repair_folder(image, FOLDER)
            assert _sequences(image) == done
            copies = [name for name in image.list(FOLDER) if not name.endswith(".wal")]
            assert copies
            assert all(".broken" in name for name in copies)


def test_a_start_behind_half_a_repair_is_refused_and_says_what_to_do() -> None:
    disk = _damaged(1, 1)
    path = f"{FOLDER}/000000000001.wal"
    disk.link(path, f"{path}.repaired")
    disk.unlink(path)
    with pytest.raises(
        WalCorruptError, match=r"000000000001\.wal.*a repair did not come to its end.*`ticklake wal repair`"
    ):
        list(read_log(disk, FOLDER))
    [verdict] = verify_folder(disk, FOLDER)
    assert (verdict.segment, verdict.is_good, verdict.size_bytes) == (1, False, 0)


@pytest.mark.parametrize("cut", [0, 20])
def test_a_log_without_any_whole_header_is_bad_for_all_and_beyond_repair(cut: int) -> None:
    disk = _log(segments=2)
    disk.unlink(f"{FOLDER}/000000000001.wal")
    path = f"{FOLDER}/000000000002.wal"
    _replace(disk, path, disk.read(path)[:cut])
    before = disk.tree()
    with pytest.raises(WalCorruptError, match=r"no segment with a whole header.*`ticklake recover`"):
        list(read_log(disk, FOLDER))
    [verdict] = verify_folder(disk, FOLDER)
    assert not verdict.is_good
    assert "ticklake recover" in verdict.reason
    with pytest.raises(CorruptError, match=r"no segment with a whole header.*`ticklake recover`"):
        repair_folder(disk, FOLDER)  # a header made up for an empty segment would read the stream once more
    assert disk.tree() == before


def _damaged(segments: int = 2, number: int = 1) -> CrashDisk:
    disk = _log(segments=segments)
    second = list(read_log(disk, FOLDER))[number - 1].scan.frames[1]
    _damage(disk, f"{FOLDER}/{number:012d}.wal", second.start_bytes + 100)
    return disk
