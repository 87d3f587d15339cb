"""Commits in turn: the next segment is encoded while one is committed, and nothing of it is durable before its turn."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from tests.crash.mill import DATA, STATE, model_encoder
from tests.unit.sink.test_writer import append, messages, open_lane, running, stored, until

from ticklake.base.errors import DiskError
from ticklake.base.metrics import Metrics
from ticklake.lake.batch import EncodedSegment
from ticklake.lake.ledger import read_ledger
from ticklake.schema.messages import MessageGroup
from ticklake.sink.lane import Lane
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.writer import LaneWriter
from ticklake.testing.clock import ManualClock
from ticklake.testing.disk import CrashDisk, Faults

_FULL_BYTES = 18  # two model messages


class StuckDisk(CrashDisk):
    """A disk on which nothing gets into the lake while it is stuck."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def link(self, source: str, target: str) -> None:
        assert self.goes_on.wait(30), "the test forgot to let go"
        super().link(source, target)


class Encoding:
    """The model encoder; notes which segments it was given."""

    def __init__(self) -> None:
        self.segments: list[int] = []
        self._encode = model_encoder()

    def __call__(self, groups: Sequence[MessageGroup], *, segment: int, **facts: object) -> EncodedSegment:
        self.segments.append(segment)
        return self._encode(groups, segment=segment, **facts)  # type: ignore[arg-type]


def new_writer(disk: CrashDisk, encode: Encoding, clock: ManualClock | None = None) -> LaneWriter:
    clock = clock or ManualClock()
    lane = Lane.open(
        files=disk,
        state_folder=STATE,
        data_root=DATA,
        identity="00c0ffee",
        epoch=1,
        stream="MODEL",
        encode=encode,
        clock=clock,
        ballast_bytes=0,
    )
    policy = FlushPolicy(lambda _: FlushRule(10**9, 3600.0), interval_min_s=0.0, bytes_max=_FULL_BYTES)
    return LaneWriter(lane, policy, clock=clock, metrics=Metrics(version="test"))


@asynccontextmanager
async def stuck(disk: StuckDisk, writer: LaneWriter, encode: Encoding) -> AsyncIterator[None]:
    """The first segment (message 1 and 2) is on its way into the lake, and stays there for the block."""
    disk.goes_on.clear()
    try:
        await append(writer, messages(1, 2))
        await until(lambda: len(encode.segments) == 1 and writer.has_room, "the first segment is sealed and encoded")
        yield
    finally:
        disk.goes_on.set()


async def test_a_full_segment_is_encoded_while_the_one_before_is_committed_and_then_the_feed_waits() -> None:
    disk, encode = StuckDisk(), Encoding()
    writer = new_writer(disk, encode)
    async with running(writer):
        async with stuck(disk, writer, encode):
            await append(writer, messages(3, 4))
            await until(lambda: len(encode.segments) == 2 and writer.has_room, "the second one is encoded, too")
            await append(writer, messages(5, 6))
            await asyncio.sleep(0.05)  # time for a third one to be sealed, if anybody would
            assert not writer.has_room
            assert len(encode.segments) == 2
            staged = {int(path.split("/")[-2]) for path in disk.tree() if "/staging/" in path}
            assert staged == {encode.segments[0]}, "only the oldest one is staged"
            assert stored(disk) == []
        await until(lambda: writer.counts.stored == 6, "all are in the lake")
    assert encode.segments == sorted(encode.segments)
    assert [entry.segment for entry in read_ledger(disk, DATA)] == encode.segments
    assert [(entry.first_seq, entry.last_seq) for entry in read_ledger(disk, DATA)] == [(1, 2), (3, 4), (5, 6)]
    assert stored(disk) == [1, 2, 3, 4, 5, 6]


async def test_while_a_commit_is_held_up_the_next_full_segment_stays_in_the_log() -> None:
    disk, encode, clock = StuckDisk(), Encoding(), ManualClock()
    writer = new_writer(disk, encode, clock)
    async with running(writer):
        async with stuck(disk, writer, encode):
            clock.advance(2.0)
            await append(writer, messages(3, 4))
            await asyncio.sleep(0.05)  # time for it to be sealed, if anybody would
            assert not writer.has_room
            assert len(encode.segments) == 1
        await until(lambda: writer.counts.stored == 4, "all are in the lake")
    assert [(entry.first_seq, entry.last_seq) for entry in read_ledger(disk, DATA)] == [(1, 2), (3, 4)]
    assert stored(disk) == [1, 2, 3, 4]


async def test_a_batch_that_is_not_full_grows_while_a_commit_runs() -> None:
    disk, encode = StuckDisk(), Encoding()
    writer = new_writer(disk, encode)
    async with running(writer):
        async with stuck(disk, writer, encode):
            await append(writer, messages(3))
            writer.flush()  # due, yet not full
            await asyncio.sleep(0.05)
            await append(writer, messages(4))
        await until(lambda: writer.counts.stored == 4, "all are in the lake")
    assert [(entry.first_seq, entry.last_seq) for entry in read_ledger(disk, DATA)] == [(1, 2), (3, 4)]


async def test_a_new_life_begins_only_when_all_that_is_on_its_way_is_in_the_lake() -> None:
    disk, encode = StuckDisk(), Encoding()
    writer = new_writer(disk, encode)
    async with running(writer):
        async with stuck(disk, writer, encode):
            await append(writer, messages(3))
            facts = {"created_ns": 8, "reason": "stream_recreated", "start_sequence": 1, "start_after_ns": 0}
            begun = asyncio.ensure_future(writer.new_incarnation(**facts))  # type: ignore[arg-type]
            await asyncio.sleep(0.05)
            assert not begun.done()
        await begun
        assert stored(disk) == [1, 2, 3]
    assert {entry.incarnation for entry in read_ledger(disk, DATA)} == {1}


async def test_a_failed_commit_ends_the_writer_and_the_start_brings_what_was_behind_it_once() -> None:
    disk, encode = StuckDisk(), Encoding()
    writer = new_writer(disk, encode)
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the group comes from the end of the block
        async with running(writer):
            async with stuck(disk, writer, encode):
                await append(writer, messages(3, 4))
                await until(lambda: len(encode.segments) == 2, "the second one is encoded, too")
                disk.faults = Faults(sync_fails_at=disk.syncs + 1)
            await asyncio.sleep(30)  # the failure ends it
    assert caught.group_contains(DiskError)
    again = disk.restart()
    lane = open_lane(again)
    assert lane.position.sequence == 4
    assert stored(again) == [1, 2, 3, 4]
    assert [(entry.first_seq, entry.last_seq) for entry in read_ledger(again, DATA)] == [(1, 2), (3, 4)]
