"""T04, T05, T06: each sync fails once, each write finds the disk full, a write lies. On the simulated disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import pytest
from tests.crash.mill import DATA, STATE, Consumer, Message, Mill, ModelServer, check_lake, group_of, model_encoder

from ticklake.base.errors import DiskError, OutOfRoomError
from ticklake.sink.lane import Lane
from ticklake.testing.clock import ManualClock
from ticklake.testing.disk import CrashDisk, CrashFile, Faults, PowerCut

Result = TypeVar("Result")


def _totals() -> CrashDisk:
    disk = Mill().new_disk()
    assert Mill().run(disk, ModelServer.filled(10))
    return disk


def test_a_failed_sync_stops_the_lane_and_moves_nothing() -> None:
    mill, stopped = Mill(), 0
    for sync in range(1, _totals().syncs + 1):
        disk, server = mill.new_disk(sync_fails_at=sync), ModelServer.filled(10)
        try:
            lane = mill.open(disk)
            lane.new_incarnation(created_ns=1, reason="first")
        except DiskError:
            continue
        while fresh := [message for message in server.messages if message.id not in server.acked]:
            try:
                Consumer().append(lane, server, fresh[:2])
                if lane.live_messages >= 4 and (segment := lane.rotate()):
                    lane.commit(segment)
            except DiskError:
                stopped += 1
                assert lane.position.sequence == max(server.acked, default=0)
                operations = disk.operations
                with pytest.raises(DiskError, match="start again"):
                    lane.append(group_of(lane, fresh[:2]))
                with pytest.raises(DiskError, match="start again"):
                    lane.rotate()
                lane.close()
                assert disk.operations == operations, "the lane touched the disk after a failed sync"
                break
        for image in disk.images(mill.rng, 12):
            assert mill.check(image, server.copy()) is None
    assert stopped > 30


class _Patient(Consumer):
    """Tries again when the disk was full."""

    def __init__(self) -> None:
        self.refused = 0

    def append(self, lane: Lane, server: ModelServer, taken: Sequence[Message]) -> None:
        self.again(lambda: super(_Patient, self).append(lane, server, taken))

    def again(self, action: Callable[[], Result]) -> Result:
        for _ in range(20):
            try:
                return action()
            except OutOfRoomError:
                self.refused += 1
        raise AssertionError("never got room")


class _PatientLane(Lane):
    """Makes rotate and commit patient, so that the consumer of the mill can drive it."""

    patience = _Patient()

    def rotate(self):  # type: ignore[no-untyped-def]
        return self.patience.again(super().rotate)

    def commit(self, segment):  # type: ignore[no-untyped-def]
        return self.patience.again(lambda: super(_PatientLane, self).commit(segment))

    def new_incarnation(self, **facts):  # type: ignore[no-untyped-def]
        return self.patience.again(lambda: super(_PatientLane, self).new_incarnation(**facts))

    def close(self) -> None:
        self.patience.again(super().close)


@pytest.mark.parametrize("writes_refused", [1, 2, 7])
def test_a_full_disk_loses_nothing_and_work_goes_on_when_there_is_room(writes_refused: int) -> None:
    mill = Mill(lane=_PatientLane, consumer=_Patient)
    for write in range(1, _totals().writes + 1):
        disk = mill.new_disk(no_room_from=write, no_room_until=write + writes_refused)
        server, refused = ModelServer.filled(10), _PatientLane.patience.refused
        consumer = _Patient()
        lane = consumer.again(lambda disk=disk: mill.open(disk))
        consumer.run(lane, server)
        assert consumer.refused + _PatientLane.patience.refused > refused, f"write {write} was never refused"
        assert check_lake(disk, server) is None
        for image in disk.images(mill.rng, 3):
            assert Mill().check(image, server.copy()) is None


def test_a_power_cut_while_the_disk_is_full_loses_nothing() -> None:
    mill, plain = Mill(lane=_PatientLane, consumer=_Patient), Mill()
    for write in range(1, _totals().writes + 1, 2):
        disk = mill.new_disk(no_room_from=write, no_room_until=write + 2)
        server, consumer = ModelServer.filled(10), _Patient()
        consumer.run(consumer.again(lambda disk=disk: mill.open(disk)), server)
        for crash_at in range(3, disk.operations, 7):
            late, model = mill.new_disk(no_room_from=write, no_room_until=write + 2), ModelServer.filled(10)
            late.faults.crash_at = crash_at
            late_consumer = _Patient()
            with contextlib.suppress(PowerCut):
                late_consumer.run(late_consumer.again(lambda late=late: mill.open(late)), model)
            for image in late.images(plain.rng, 2):
                assert plain.check(image, model.copy()) is None


class _LiesWhenStaging(CrashDisk):
    """The n-th staged file takes half of what it says."""

    lie_at = 0
    staged = 0

    def create(self, path: str) -> CrashFile:
        if "/staging/" in path:
            self.staged += 1
            if self.staged == self.lie_at:
                self.faults = Faults(lies_at=self.writes + 1)
        return super().create(path)


@pytest.mark.parametrize("lie_at", range(1, 13))
def test_a_disk_that_lies_about_a_staged_file_is_found_out_before_a_reader_sees_it(lie_at: int) -> None:
    mill = Mill(disk=_LiesWhenStaging)
    disk, server = mill.new_disk(), ModelServer.filled(10)
    disk.lie_at = lie_at  # type: ignore[attr-defined]
    with pytest.raises(DiskError, match="does not give back what was written"):
        Consumer().run(mill.open(disk), server)
    published = [content for path, content in disk.tree().items() if path.startswith(f"{DATA}/bronze/")]
    assert all(content.endswith(b" PAR1") for content in published)
    assert Mill().check(disk.restart(), server) is None


def test_ballast_lets_a_commit_through_on_a_full_disk() -> None:
    mill = Mill()
    disk = _BallastDisk(sector_bytes=64)
    lane = Lane.open(
        files=disk,
        state_folder=STATE,
        data_root=DATA,
        identity="00c0ffee",
        epoch=1,
        stream="MODEL",
        encode=model_encoder(),
        clock=ManualClock(),
        sector_bytes=64,
        ballast_bytes=1000,
    )
    assert disk.size_bytes(f"{STATE}/ballast-model") == 1000
    lane.new_incarnation(created_ns=1, reason="first")
    lane.append(group_of(lane, ModelServer.filled(4).messages))
    segment = lane.rotate()
    assert segment is not None
    disk.faults = Faults(no_room_from=disk.writes + 1)
    lane.commit(segment)
    assert lane.waiting_messages == 0
    assert not disk.exists(f"{STATE}/ballast-model"), "made again although the disk is still full"
    disk.faults = Faults()
    lane.append(group_of(lane, [Message(5, 5000, 5)]))
    again = lane.rotate()
    assert again is not None
    lane.commit(again)
    assert disk.size_bytes(f"{STATE}/ballast-model") == 1000
    lane.close()
    assert mill.check(disk.restart(), ModelServer.filled(5)) is None


class _BallastDisk(CrashDisk):
    """A full disk has room again once the ballast is gone; `free_bytes` keeps telling that it is nearly full."""

    def unlink(self, path: str) -> None:
        super().unlink(path)
        if "ballast" in path and self.faults.no_room_from:
            self.faults = Faults(no_room_from=1 << 40)

    def free_bytes(self, folder: str) -> int:
        return 100 if self.faults.no_room_from else super().free_bytes(folder)
