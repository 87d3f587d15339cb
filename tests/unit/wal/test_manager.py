"""The log alone: what was flushed is replayed in order, after any end."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import random
import threading
from pathlib import Path

import pytest

from ticklake.base.errors import DiskError, OutOfRoomError, RetryableError, UsageError
from ticklake.testing.disk import CrashDisk, Faults, PowerCut
from ticklake.wal import WALManager
from ticklake.wal.errors import WalCorruptError


@dataclasses.dataclass
class Fill:
    symbol: str
    price: float


def test_events_come_back_as_they_went_in(tmp_path: Path) -> None:
    with WALManager(tmp_path / "wal") as wal:
        assert wal.append({"symbol": "ESZ5", "levels": [1, None]}) == 1
        assert wal.append(b"\x00raw\n") == 2
        assert wal.append(Fill("NQ", 1.5)) == 3
        assert list(wal.replay()) == [], "not flushed, not durable"
        assert wal.flush() == 3
        first, second, third = wal.replay()
        assert (first, second) == ({"symbol": "ESZ5", "levels": [1, None]}, b"\x00raw\n")
        assert third == {"symbol": "NQ", "price": 1.5}
    with WALManager(tmp_path / "wal") as again:
        assert [number for number, _ in again.replay_numbered()] == [1, 2, 3]
        assert again.append(b"next") == 4


def test_close_flushes_and_a_closed_log_says_so(tmp_path: Path) -> None:
    wal = WALManager(tmp_path)
    wal.append(b"a")
    wal.close()
    wal.close()
    with pytest.raises(UsageError, match="closed"):
        wal.append(b"b")
    with WALManager(tmp_path) as again:
        assert list(again.replay()) == [b"a"]


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    with WALManager(tmp_path), pytest.raises(RetryableError, match="in use by process"):
        WALManager(tmp_path)


def test_truncated_events_are_gone_for_good_and_numbers_go_on(tmp_path: Path) -> None:
    with WALManager(tmp_path, segment_bytes_max=1) as wal:
        for number in range(1, 10):
            wal.append(b"%d" % number)
            wal.flush()
        wal.truncate(6)
        assert list(wal.replay()) == [b"7", b"8", b"9"]
        assert len(list(tmp_path.glob("*.wal"))) <= 5
        with pytest.raises(UsageError, match="flush first"):
            wal.truncate(10)
        wal.truncate(9)
        wal.truncate(2)
    for _ in range(2):
        with WALManager(tmp_path) as wal:
            assert list(wal.replay()) == []
            assert wal.last_flushed == 9
    with WALManager(tmp_path) as wal:
        assert wal.append(b"ten") == 10


@pytest.mark.parametrize("event", [1, "text", None, [1], Fill, {"when": object()}])
def test_what_cannot_be_kept_is_refused(tmp_path: Path, event: object) -> None:
    with WALManager(tmp_path) as wal, pytest.raises(UsageError, match="append"):
        wal.append(event)


def test_damage_is_refused_with_the_place(tmp_path: Path) -> None:
    with WALManager(tmp_path) as wal:
        for event in (b"one", b"two"):
            wal.append(event * 50)
            wal.flush()
    (path,) = tmp_path.glob("*.wal")
    content = bytearray(path.read_bytes())
    content[-300] ^= 1
    path.write_bytes(content)
    for _ in range(2):
        with pytest.raises(WalCorruptError, match="damage at byte"):
            WALManager(tmp_path)


def _open(disk: CrashDisk, *, segment_bytes_max: int) -> WALManager:
    return WALManager(
        "/disk/wal",
        files=disk,
        segment_bytes_max=segment_bytes_max,
        salt_source=random.Random(1).randbytes,
        sector_bytes=disk.sector_bytes,
    )


def _work(disk: CrashDisk, durable: list[int]) -> None:
    """Two lives with a flush after every second event and a truncation in between."""
    for _ in range(2):
        wal = _open(disk, segment_bytes_max=600)
        for _ in range(3):
            wal.append(b"%d" % (wal.append(b"x") + 1))
            durable[1:] = [wal.flush()]
        durable[0] = 2
        wal.truncate(2)
        wal.close()


def _check(disk: CrashDisk, durable: list[int]) -> None:
    wal = _open(disk, segment_bytes_max=600)
    found = list(wal.replay_numbered())
    assert wal.last_flushed >= durable[1]
    begins = (1,) if durable[0] == 0 else (1, 3)  # the truncation may have been cut short
    assert [number for number, _ in found] in [list(range(begin, wal.last_flushed + 1)) for begin in begins]
    assert all(event == (b"x" if number % 2 else b"%d" % number) for number, event in found)
    again = _open(disk.restart(), segment_bytes_max=600)
    assert list(again.replay_numbered()) == found


def test_every_flushed_event_is_replayed_once_and_in_order_after_any_crash() -> None:
    whole = CrashDisk(sector_bytes=64)
    _work(whole, [0, 0])
    rng, images = random.Random(2), 0
    for crash_at in range(1, whole.operations + 1):
        disk, durable = CrashDisk(sector_bytes=64, faults=Faults(crash_at=crash_at)), [0, 0]
        with contextlib.suppress(PowerCut):
            _work(disk, durable)
        for image in [*disk.images(rng, 40), disk.restart()]:
            images += 1
            for again_at in range(1, 9):  # and once more while it starts: what it could read is not lost then
                twin = image.restart()
                twin.faults = Faults(crash_at=again_at)
                with contextlib.suppress(PowerCut):
                    _open(twin, segment_bytes_max=600)
                for second in twin.images(rng, 3):
                    _check(second, durable)
            _check(image, durable)
    assert images > 250


def test_events_stay_remembered_while_the_disk_is_full() -> None:
    disk = CrashDisk()
    wal = _open(disk, segment_bytes_max=10_000)
    wal.append(b"a")
    disk.faults = Faults(no_room_from=disk.writes + 1)
    with pytest.raises(OutOfRoomError):
        wal.flush()
    assert list(wal.replay()) == []
    wal.append(b"b")
    disk.faults = Faults()
    assert wal.flush() == 2
    assert list(wal.replay()) == [b"a", b"b"]


def test_a_failed_sync_is_never_tried_again() -> None:
    disk = CrashDisk()
    wal = _open(disk, segment_bytes_max=10_000)
    wal.append(b"a")
    disk.faults = Faults(sync_fails_at=disk.syncs + 1)
    for _ in range(2):
        with pytest.raises(DiskError):
            wal.flush()
    assert wal.last_flushed == 0


def test_a_log_whose_sync_failed_neither_truncates_nor_ends_gracefully() -> None:
    disk = CrashDisk()
    wal = _open(disk, segment_bytes_max=10_000)
    wal.append(b"a")
    wal.flush()
    wal.append(b"b")
    disk.faults = Faults(sync_fails_at=disk.syncs + 1)
    with pytest.raises(DiskError):
        wal.flush()
    assert list(wal.replay()) == [b"a"], "what was written is not yet durable"
    with pytest.raises(DiskError, match="start again"):
        wal.truncate(1)
    with pytest.raises(DiskError):
        wal.close()
    with pytest.raises(UsageError, match="closed"):
        wal.append(b"c")


@pytest.mark.parametrize("writes", [1, 2])
def test_a_truncation_that_found_no_room_can_be_made_again(writes: int) -> None:
    disk = CrashDisk()
    wal = _open(disk, segment_bytes_max=1)
    for event in (b"a", b"b", b"c"):
        wal.append(event)
        wal.flush()
    disk.faults = Faults(no_room_from=disk.writes + 1)
    for _ in range(writes):
        with pytest.raises(OutOfRoomError):
            wal.truncate(2)
    assert list(wal.replay()) == [b"a", b"b", b"c"]
    disk.faults = Faults()
    wal.truncate(2)
    assert list(wal.replay()) == [b"c"]
    wal.close()
    assert list(_open(disk, segment_bytes_max=1).replay()) == [b"c"]


def test_a_truncation_whose_removal_failed_is_finished_by_the_next() -> None:
    disk = CrashDisk()
    wal = _open(disk, segment_bytes_max=1)
    for event in (b"a", b"b"):
        wal.append(event)
        wal.flush()
    disk.faults = Faults(sync_fails_at=disk.syncs + 3)  # the new segment, its name, and then the removal
    with pytest.raises(DiskError):
        wal.truncate(2)
    wal.truncate(2)
    assert len(disk.tree()) == 1
    assert list(wal.replay()) == []


@pytest.mark.parametrize("segment_bytes_max", [1, 10_000])
@pytest.mark.parametrize("lives", [1, 3])
def test_events_are_truncated_one_by_one_while_they_are_replayed(
    tmp_path: Path, segment_bytes_max: int, lives: int
) -> None:
    for life in range(lives):
        with WALManager(tmp_path, segment_bytes_max=segment_bytes_max) as wal:
            for number in range(4):
                wal.append(b"%d-%d" % (life, number))
                if number % 2:
                    wal.flush()
    with WALManager(tmp_path, segment_bytes_max=segment_bytes_max) as wal:
        seen = []
        for number, event in wal.replay_numbered():
            wal.truncate(number)
            wal.append(event)  # for the next time: not of this replay
            wal.flush()
            seen.append(event)
        assert seen == [b"%d-%d" % (life, number) for life in range(lives) for number in range(4)]
        assert list(wal.replay()) == seen
        wal.truncate(wal.last_flushed)
        assert len(list(tmp_path.glob("*.wal"))) == 1


def test_another_thread_may_truncate_ahead_of_a_replay(tmp_path: Path) -> None:
    with WALManager(tmp_path, segment_bytes_max=1) as wal:
        for number in range(1, 10):
            wal.append(b"%d" % number)
            wal.flush()
        events = wal.replay()
        assert next(events) == b"1"
        other = threading.Thread(target=wal.truncate, args=(6,))
        other.start()
        other.join()
        assert list(events) == [b"7", b"8", b"9"]


def test_a_log_that_cannot_end_for_lack_of_room_stays_open_and_remembers() -> None:
    disk = CrashDisk()
    wal = _open(disk, segment_bytes_max=10_000)
    wal.append(b"a")
    disk.faults = Faults(no_room_from=disk.writes + 1)
    for _ in range(2):
        with pytest.raises(OutOfRoomError):
            wal.close()
    wal.append(b"b")
    disk.faults = Faults()
    wal.close()
    wal.close()
    assert list(_open(disk, segment_bytes_max=10_000).replay()) == [b"a", b"b"]


def test_an_abandoned_log_lets_go_of_the_folder_and_keeps_what_was_flushed(tmp_path: Path) -> None:
    wal = WALManager(tmp_path)
    wal.append(b"a")
    wal.flush()
    wal.append(b"b")
    wal.abandon()
    wal.abandon()
    wal.close()
    with WALManager(tmp_path) as again:
        assert list(again.replay()) == [b"a"]


def test_no_descriptor_stays_open_when_a_log_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def open_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    WALManager(tmp_path).abandon()  # its segment has no mark of an end: the next start writes it anew
    before = open_descriptors()
    syncs, fdatasync = [], os.fdatasync

    def fail_late(descriptor: int) -> None:
        syncs.append(descriptor)
        if len(syncs) == 2:  # of what was unsure, after that of the new segment's header
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", fail_late)
    with pytest.raises(DiskError):
        WALManager(tmp_path)
    assert open_descriptors() == before
