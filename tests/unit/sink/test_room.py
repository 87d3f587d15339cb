"""A full disk: the reserve helps where it is promised, and no step that is done becomes a failed one."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.crash.mill import DATA, STATE, model_encoder
from tests.unit.sink.test_writer import append, messages, new_writer, running, stored, until

from ticklake.base.errors import OutOfRoomError
from ticklake.base.metrics import Metrics
from ticklake.lake.ledger import read_ledger
from ticklake.schema.messages import MessageGroup
from ticklake.sink.lane import Lane
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.room import Ballast
from ticklake.sink.segment import Segment
from ticklake.sink.writer import LaneWriter
from ticklake.testing.clock import ManualClock
from ticklake.testing.disk import CrashDisk, CrashFile, Faults
from ticklake.testing.messages import group_messages

BALLAST = f"{STATE}/ballast-model"
BALLAST_BYTES = 4096


class TightDisk(CrashDisk):
    """A disk that can run short of descriptors and of room for removals, and whose last room is the reserve."""

    def __init__(self) -> None:
        super().__init__()
        self.is_filled = False
        self.refuses_create = ""
        self.refuses_unlink = ""

    def create(self, path: str) -> CrashFile:
        if self.refuses_create and self.refuses_create in path:
            raise OutOfRoomError(f"create {path}: too many open files; free some room, nothing was lost")
        return super().create(path)

    def unlink(self, path: str) -> None:
        if self.refuses_unlink and self.refuses_unlink in path:
            raise OutOfRoomError(f"unlink {path}: no space left on device; free some room, nothing was lost")
        super().unlink(path)

    def _is_full(self, write: int) -> bool:
        return (self.is_filled and self.exists(BALLAST)) or super()._is_full(write)


def open_lane(disk: CrashDisk) -> Lane:
    return Lane.open(
        files=disk,
        state_folder=STATE,
        data_root=DATA,
        identity="00c0ffee",
        epoch=1,
        stream="MODEL",
        encode=model_encoder(),
        clock=ManualClock(),
        salt_source=random.Random(1).randbytes,
        ballast_bytes=BALLAST_BYTES,
    )


def group(*sequences: int) -> MessageGroup:
    return group_messages(
        [(b"s", None, b'{"id":%d}' % sequence) for sequence in sequences],
        incarnation=1,
        ingest_ns=1,
        sequences=list(sequences),
        server_ns=[10 * sequence for sequence in sequences],
    )


def sealed(lane: Lane, *sequences: int) -> Segment:
    lane.append(group(*sequences))
    segment = lane.rotate()
    assert segment is not None
    return segment


def first_life(disk: CrashDisk) -> Lane:
    lane = open_lane(disk)
    lane.new_incarnation(created_ns=7, reason="first")
    return lane


async def test_an_idle_lane_has_room_again_once_its_empty_segment_was_sealed() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    wakes: list[bool] = []
    writer.on_room(lambda: wakes.append(True))
    async with running(writer):
        disk.faults = Faults(no_room_from=disk.writes + 1)
        waiting = asyncio.ensure_future(writer.track_seen())
        await until(lambda: writer.out_of_room_since_ns is not None, "the writer noticed the full disk")
        assert not writer.has_room
        disk.faults = Faults()
        await waiting
        assert (writer.has_room, writer.out_of_room_since_ns) == (True, None)
        assert wakes, "the feed must be told"


@pytest.mark.parametrize("refused", ["create ballast", "unlink ballast", "unlink staging"])
def test_a_commit_that_is_done_stays_done_when_there_is_no_room_to_tidy_up(refused: str) -> None:
    disk = TightDisk()
    lane = first_life(disk)
    segment = sealed(lane, 1, 2)
    if refused == "create ballast":
        disk.unlink(BALLAST)
        disk.refuses_create = BALLAST
    elif refused == "unlink ballast":  # it is there in part, so it is made anew
        disk.unlink(BALLAST)
        disk.create(BALLAST).write([b"some"])
        disk.refuses_unlink = BALLAST
    else:
        disk.refuses_unlink = "/staging/"
    entry = lane.commit(segment)
    assert (entry.stored, lane.waiting_messages, stored(disk)) == (2, 0, [1, 2])
    disk.refuses_create = disk.refuses_unlink = ""
    lane.commit(sealed(lane, 3))
    assert stored(disk) == [1, 2, 3]
    assert disk.list(f"{STATE}/staging/model") == [], "what an earlier commit could not remove goes with the next one"
    assert disk.size_bytes(BALLAST) == BALLAST_BYTES


def test_a_reserve_without_a_free_descriptor_is_not_made_and_that_is_no_error() -> None:
    disk = TightDisk()
    disk.make_folder(STATE)
    disk.refuses_create = BALLAST
    ballast = Ballast(disk, STATE, name="ballast-model", size_bytes=BALLAST_BYTES)
    assert not ballast.make()
    disk.refuses_create = ""
    assert ballast.make()
    assert ballast.is_held


def test_a_full_disk_gives_its_reserve_to_the_next_segment_so_that_the_full_one_can_be_committed() -> None:
    disk = TightDisk()
    lane = first_life(disk)
    lane.append(group(1, 2))
    disk.is_filled = True
    with pytest.raises(OutOfRoomError):
        lane.append(group(3))
    segment = lane.rotate()
    assert segment is not None
    assert not disk.exists(BALLAST)
    assert lane.commit(segment).stored == 2
    disk.is_filled = False
    lane.append(group(3))
    lane.close()


async def test_a_writer_frees_a_full_log_with_the_reserve_alone() -> None:
    disk = TightDisk()
    policy = FlushPolicy(lambda _: FlushRule(10**9, 3600.0), interval_min_s=0.0, bytes_max=10**9)
    writer = LaneWriter(open_lane(disk), policy, clock=ManualClock(), metrics=Metrics(version="test"))
    async with running(writer):
        await append(writer, messages(1, 2))
        disk.is_filled = True  # nobody frees anything: the reserve is all there is
        await append(writer, messages(3))
        disk.is_filled = False
        assert stored(disk) == [1, 2]
    assert stored(disk) == [1, 2, 3]


def test_an_empty_segment_behind_one_that_waits_is_not_missed_at_the_next_start() -> None:
    disk = CrashDisk()
    lane = first_life(disk)
    segment = sealed(lane, 1, 2)
    lane.new_incarnation(created_ns=8, reason="recreated")  # seals an empty segment behind the one that waits
    again = open_lane(disk.restart())
    assert (again.incarnation.created_ns, stored(disk), again.recovery.messages) == (8, [], 2)
    lane.commit(segment)
    lane.append(group_in(2, 1))
    last = lane.rotate()
    assert last is not None
    lane.commit(last)
    assert len(disk.list(f"{STATE}/wal/model")) == 1, "the empty ones are gone, too"
    assert [entry.received for entry in read_ledger(disk, DATA)] == [2, 1]


def test_an_empty_segment_that_could_not_be_removed_goes_later_and_breaks_no_chain() -> None:
    disk = TightDisk()
    lane = first_life(disk)
    disk.refuses_unlink = "/wal/"
    lane.new_incarnation(created_ns=8, reason="recreated")
    assert lane.incarnation.number == 2
    disk.refuses_unlink = ""
    lane.append(group_in(2, 1))
    assert open_lane(disk.restart()).position.sequence == 1
    segment = lane.rotate()
    assert segment is not None
    lane.commit(segment)
    assert len(disk.list(f"{STATE}/wal/model")) == 1


def group_in(incarnation: int, *sequences: int) -> MessageGroup:
    return group_messages(
        [(b"s", None, b'{"id":%d}' % sequence) for sequence in sequences],
        incarnation=incarnation,
        ingest_ns=1,
        sequences=list(sequences),
        server_ns=[1000 + sequence for sequence in sequences],
    )


async def test_a_seal_without_room_is_no_try_to_commit() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    async with running(writer):
        await append(writer, messages(1))
        disk.faults = Faults(no_room_from=disk.writes + 1)
        writer.flush()
        await until(lambda: writer.out_of_room_since_ns is not None, "the writer noticed the full disk")
        disk.faults = Faults()
        await until(lambda: stored(disk) == [1], "the message is in the lake")
    registry = writer._metrics.registry
    assert registry.get_sample_value("ticklake_lake_commit_total", {"result": "out_of_room"}) == 0
