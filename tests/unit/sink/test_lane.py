"""What the lane promises to those who feed and watch it; the crashes are in tests/crash."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.crash.mill import model_encoder

from ticklake.base.errors import CorruptError, OutOfRoomError, UsageError
from ticklake.files.local import LocalFiles
from ticklake.lake.batch import EncodedSegment
from ticklake.lake.ledger import read_ledger
from ticklake.schema.messages import MessageGroup, Skipped
from ticklake.sink.lane import Lane
from ticklake.sink.progress import Progress
from ticklake.testing.clock import ManualClock
from ticklake.testing.disk import CrashDisk, Faults
from ticklake.testing.messages import group_messages
from ticklake.wal.log import Wal
from ticklake.wal.segment import payload_crc32c
from ticklake.wal.state import Incarnation, Position, SegmentState


def _open(disk: CrashDisk, *, encode=None, track_seen: bool = False) -> Lane:  # type: ignore[no-untyped-def]
    return Lane.open(
        files=disk,
        state_folder="/disk/state",
        data_root="/disk/data",
        identity="00c0ffee",
        epoch=1,
        stream="MODEL",
        encode=encode or model_encoder(),
        clock=ManualClock(),
        salt_source=random.Random(1).randbytes,
        track_seen=track_seen,
        ballast_bytes=0,
    )


def _group(*sequences: int, incarnation: int = 1) -> MessageGroup:
    return group_messages(
        [(b"s", None, b'{"id":%d}' % sequence) for sequence in sequences],
        incarnation=incarnation,
        ingest_ns=1,
        sequences=list(sequences) if incarnation else None,
        server_ns=[10 * sequence for sequence in sequences] if incarnation else None,
    )


def _first(disk: CrashDisk, **options: bool) -> Lane:
    lane = _open(disk, **options)
    assert lane.incarnation.number == 0
    assert lane.new_incarnation(created_ns=7, reason="first") is None
    return lane


def test_the_position_is_the_last_durable_message_and_survives() -> None:
    disk = CrashDisk()
    lane = _first(disk)
    assert lane.position == Position(1, 0, 0, 0)
    lane.append(_group(1, 2))
    lane.append(_group(5))
    expected = Position(1, 5, 50, payload_crc32c(b'{"id":5}'))
    assert (lane.position, lane.waiting_messages, lane.live_messages) == (expected, 3, 3)
    again = _open(disk.restart())
    assert (again.position, again.incarnation.created_ns) == (expected, 7)
    assert (again.recovery.segments, again.recovery.messages, again.recovery.torn_bytes) == (1, 3, 0)
    assert again.waiting_messages == 0


def test_core_messages_have_no_position_and_no_sequences_in_the_books() -> None:
    lane = _open(CrashDisk())
    lane.append(_group(1, 2, incarnation=0))
    assert lane.position == Position()
    segment = lane.rotate()
    assert segment is not None
    entry = lane.commit(segment)
    assert (entry.first_seq, entry.last_seq, entry.incarnation, entry.received) == (None, None, 0, 2)


def test_the_books_say_what_a_filter_passed_over_also_after_a_crash() -> None:
    disk = CrashDisk()
    lane = _first(disk)
    lane.append(_group(4), skipped=Skipped(after=2, sequences=1))
    lane.append(_group(5))
    lane.append(_group(9, 12), skipped=Skipped(after=5, sequences=5))
    crashed = disk.restart()
    segment = lane.rotate()
    assert segment is not None
    entry = lane.commit(segment)
    assert entry.skipped == Skipped(after=2, sequences=6)
    [again] = _open(crashed).recovery.entries
    assert again.skipped == entry.skipped


def test_the_books_count_duplicates_and_missing_sequences() -> None:
    disk = CrashDisk()
    lane = _first(disk)
    lane.note_duplicates(2)
    lane.append(_group(1, 2))
    lane.append(_group(6), missing=[(3, 5)])
    lane.note_duplicates(1)
    segment = lane.rotate()
    assert segment is not None
    entry = lane.commit(segment)
    assert (entry.received, entry.stored, entry.duplicates, entry.missing) == (6, 3, 3, ((3, 5),))
    assert (entry.first_seq, entry.last_seq) == (1, 6)
    lane.append(_group(7), missing=[])
    lane.note_duplicates(4)
    lane.close()
    again = _open(disk.restart())
    assert again.recovery.entries[0].duplicates == 4


def test_duplicates_without_a_message_wait_for_one_over_any_number_of_starts() -> None:
    disk = CrashDisk()
    lane = _first(disk)
    lane.note_duplicates(3)
    lane.close()
    for _ in range(2):
        _open(disk).close()
    lane = _open(disk)
    lane.new_incarnation(created_ns=8, reason="recreated")
    lane.append(_group(1, incarnation=2))
    segment = lane.rotate()
    assert segment is not None
    assert lane.commit(segment).duplicates == 3
    lane.close()
    assert sum(entry.duplicates for entry in read_ledger(disk, "/disk/data")) == 3


def test_groups_that_would_break_the_order_are_refused() -> None:
    lane = _open(CrashDisk())
    with pytest.raises(UsageError, match="call new_incarnation first"):
        lane.append(_group(1))
    lane.new_incarnation(created_ns=7, reason="first")
    lane.append(_group(1, 2))
    with pytest.raises(UsageError, match="sequence 2 is not above position 2"):
        lane.append(_group(2, 3))
    with pytest.raises(UsageError, match="incarnation 2, expected 1"):
        lane.append(_group(3, incarnation=2))
    assert lane.waiting_messages == 2


def test_a_new_incarnation_seals_the_old_one_and_uses_sequences_again() -> None:
    disk = CrashDisk()
    lane = _first(disk)
    lane.append(_group(1, 2, 3))
    segment = lane.new_incarnation(created_ns=7, reason="sequence_reused", start_after_ns=30)
    assert segment is not None
    assert (segment.incarnation, segment.messages) == (1, 3)
    assert lane.position == Position(2, 0, 30, 0)
    lane.append(_group(2, incarnation=2))
    assert lane.commit(segment).incarnation == 1
    again = _open(disk.restart())
    assert (again.position.incarnation, again.position.sequence) == (2, 2)
    assert again.incarnation.reason == "sequence_reused"


def test_a_new_incarnation_of_an_empty_lane_is_durable() -> None:
    disk = CrashDisk()
    _first(disk)
    disk = disk.restart()
    again = _open(disk)
    assert again.position == Position(1, 0, 0, 0)
    assert again.new_incarnation(created_ns=9, reason="recreated", start_sequence=500) is None
    assert _open(disk.restart()).position == Position(2, 499, 0, 0)


def test_work_queues_remember_every_sequence_in_any_order() -> None:
    disk = CrashDisk()
    lane = _first(disk, track_seen=True)
    lane.append(_group(5, 9))
    lane.append(_group(1, 6))
    segment = lane.rotate()
    assert segment is not None
    lane.append(_group(2))
    lane.commit(segment)
    assert (lane.position.sequence, len(lane.seen)) == (9, 5)
    again = _open(disk.restart(), track_seen=True)
    assert [again.seen.contains(n, server_ns=10 * n) for n in (1, 2, 3, 5, 6, 7, 9)] == [1, 1, 0, 1, 1, 0, 1]
    assert again.position.sequence == 9


def test_an_empty_lane_does_not_rotate_and_segments_are_committed_in_order() -> None:
    lane = _first(CrashDisk())
    assert lane.rotate() is None
    lane.append(_group(1))
    first = lane.rotate()
    lane.append(_group(2))
    second = lane.rotate()
    assert first is not None
    assert second is not None
    with pytest.raises(UsageError, match="commit in order"):
        lane.commit(second)
    assert lane.waiting_messages == 2
    assert lane.commit(first).segment == first.number
    assert lane.waiting_messages == 1
    assert lane.commit(second).segment == second.number == first.number + 1
    assert lane.waiting_messages == 0
    with pytest.raises(UsageError, match="commit in order"):
        lane.commit(second)


def test_an_encoder_that_loses_a_message_is_caught_and_the_segment_kept() -> None:
    def lossy(groups, **_):  # type: ignore[no-untyped-def]
        return EncodedSegment((), 1, 1, 0, {}, {}, {})

    disk = CrashDisk()
    lane = _open(disk, encode=lossy)
    lane.new_incarnation(created_ns=7, reason="first")
    lane.append(_group(1, 2))
    segment = lane.rotate()
    assert segment is not None
    with pytest.raises(UsageError, match="has 2 messages, the encoder accounts for 1"):
        lane.commit(segment)
    assert lane.waiting_messages == 2
    again = _open(disk.restart())
    assert again.recovery.entries[0].stored == 2


def test_a_log_that_vanished_beside_a_filled_ledger_is_a_loss() -> None:
    disk = CrashDisk()
    lane = _first(disk)
    lane.append(_group(1))
    segment = lane.rotate()
    assert segment is not None
    lane.commit(segment)
    for name in disk.list("/disk/state/wal/model"):
        disk.unlink(f"/disk/state/wal/model/{name}")
    with pytest.raises(CorruptError, match="the log is empty although"):
        _open(disk)


def test_an_incarnation_that_found_no_room_did_not_begin() -> None:
    disk = CrashDisk()
    lane = _first(disk)
    lane.append(_group(1, 2))
    before = (lane.position, lane.incarnation)
    disk.faults = Faults(no_room_from=disk.writes + 1)
    with pytest.raises(OutOfRoomError):
        lane.new_incarnation(created_ns=8, reason="recreated")
    with pytest.raises(OutOfRoomError):
        lane.rotate()
    disk.faults = Faults()
    assert (lane.position, lane.incarnation) == before
    lane.append(_group(3))
    segment = lane.rotate()
    assert segment is not None
    assert (segment.messages, lane.commit(segment).last_seq) == (3, 3)


def test_duplicates_that_two_segments_know_are_counted_once() -> None:
    disk, folder = CrashDisk(), "/disk/state/wal/model"
    disk.make_folder(folder)
    state = SegmentState("model", "MODEL", Incarnation(1, 7, "first"), Position(1), duplicates=3)
    for number in (1, 2):
        wal = Wal.open(disk, folder, number=number, epoch=1, state=state, salt_source=random.Random(number).randbytes)
        if number == 2:
            wal.append(_group(1))
            wal.sync()
        wal.close()
    lane = _open(disk)
    assert [entry.duplicates for entry in lane.recovery.entries] == [3]
    lane.append(_group(2))
    segment = lane.rotate()
    assert segment is not None
    assert lane.commit(segment).duplicates == 0


def test_an_older_header_never_moves_the_position_back() -> None:
    progress = Progress()
    progress.take(Incarnation(2), Position(2, 50, 500, 1), [])
    progress.take(Incarnation(2), Position(2, 40, 400, 1), [])
    progress.take(Incarnation(1), Position(1, 90, 900, 1), [(1, 90, 900)])
    assert (progress.position, progress.incarnation.number, len(progress.seen)) == (Position(2, 50, 500, 1), 2, 0)


class _TwoDisks(CrashDisk):
    """State and lake on different disks."""

    def same_disk(self, first: str, second: str) -> bool:
        return first.split("/")[2] == second.split("/")[2]


def test_staging_lies_beside_the_lake_when_the_state_is_on_another_disk() -> None:
    disk = _TwoDisks()
    lane = _first(disk)
    lane.append(_group(1))
    segment = lane.rotate()
    assert segment is not None
    lane.commit(segment)
    assert disk.exists("/disk/data/_staging/model")
    assert not disk.exists("/disk/state/staging")


def test_appends_go_on_while_commits_run_on_another_thread(tmp_path: Path) -> None:
    def open_lane() -> Lane:
        return Lane.open(
            files=LocalFiles(),
            state_folder=str(tmp_path / "_state"),
            data_root=str(tmp_path),
            identity="00c0ffee",
            epoch=1,
            stream="MODEL",
            encode=model_encoder(),
            clock=ManualClock(),
            ballast_bytes=0,
        )

    lane = open_lane()
    lane.new_incarnation(created_ns=7, reason="first")
    with ThreadPoolExecutor(1) as commits:
        waiting = []
        for sequence in range(1, 101):
            lane.append(_group(sequence))
            if sequence % 10 == 0:
                waiting.append(commits.submit(lane.commit, lane.rotate()))
        assert [future.result(60).stored for future in waiting] == [10] * 10
    assert lane.waiting_messages == 0
    lane.append(_group(101))
    lane.close()
    assert open_lane().recovery.messages == 1
    entries = read_ledger(LocalFiles(), str(tmp_path))
    assert sum(entry.stored for entry in entries) == 101
    assert [entry.segment for entry in entries] == sorted(entry.segment for entry in entries)


def test_a_work_queue_that_went_back_still_knows_what_is_below() -> None:
    disk = CrashDisk()
    lane = _first(disk, track_seen=True)
    lane.append(_group(1, 2, 3, 4, 5))
    segment = lane.new_incarnation(created_ns=7, reason="sequence_reused", start_after_ns=50, known_below=4)
    assert segment is not None
    assert lane.seen.ranges() == ((1, 3, 50),)
    assert _open(disk.restart(), track_seen=True).seen.ranges() == ((1, 3, 50),)
