"""LaneWriter: durable before it answers, the brake when the disk cannot follow, and honest counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from tests.crash.mill import DATA, STATE, model_encoder, model_ids

from ticklake.base.errors import DiskError
from ticklake.base.metrics import Metrics
from ticklake.lake.ledger import read_ledger
from ticklake.schema.messages import MessageGroup, Skipped
from ticklake.sink.lane import Lane
from ticklake.sink.policy import FlushPolicy, FlushRule
from ticklake.sink.writer import LaneWriter
from ticklake.testing.clock import ManualClock
from ticklake.testing.disk import CrashDisk, Faults
from ticklake.testing.messages import group_messages


@dataclass(frozen=True, slots=True)
class Brought:
    """A batch as a feed makes it."""

    group: MessageGroup | None
    duplicates: int = 0
    missing: tuple[tuple[int, int], ...] = ()
    skipped: Skipped | None = None


def messages(
    *sequences: int, duplicates: int = 0, missing: tuple[tuple[int, int], ...] = ()
) -> Callable[[Lane], Brought]:
    def make(lane: Lane) -> Brought:
        group = group_messages(
            [(b"s", None, b'{"id":%d}' % number) for number in sequences],
            incarnation=lane.incarnation.number,
            ingest_ns=1,
            sequences=list(sequences),
            server_ns=[10 * number for number in sequences],
        )
        return Brought(group if sequences else None, duplicates, missing)

    return make


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
        ballast_bytes=0,
    )


def new_writer(disk: CrashDisk, *, rows: int = 10**9, bytes_max: int = 10**9) -> tuple[LaneWriter, ManualClock]:
    clock = ManualClock()
    policy = FlushPolicy(lambda _: FlushRule(rows, 3600.0), interval_min_s=0.0, bytes_max=bytes_max)
    return LaneWriter(open_lane(disk), policy, clock=clock, metrics=Metrics(version="test")), clock


@asynccontextmanager
async def running(writer: LaneWriter) -> AsyncIterator[None]:
    """`run` beside the block, and drained behind it."""
    async with asyncio.timeout(200), asyncio.TaskGroup() as group:
        group.create_task(writer.run(), name="writer")
        await writer.new_incarnation(created_ns=7, reason="first", start_sequence=1, start_after_ns=0)
        yield
        writer.close_intake()


async def until(is_true: Callable[[], bool], what: str) -> None:
    try:
        async with asyncio.timeout(60):
            while not is_true():  # noqa: ASYNC110 - facts of two threads ring no bell
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"60 s passed and still not: {what}")


def stored(disk: CrashDisk) -> list[int]:
    files = {path: body for path, body in disk.tree().items() if path.startswith(f"{DATA}/bronze/")}
    return sorted(number for path, body in files.items() for number in model_ids(path, body))


async def append(writer: LaneWriter, make: Callable[[Lane], Brought]) -> None:
    await writer.log(await writer.prepare(make))


async def test_what_log_answered_survives_the_death_of_the_process() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    async with running(writer):
        await append(writer, messages(1, 2))
        dead = disk.restart()
    assert open_lane(dead).position.sequence == 2
    assert stored(dead) == [1, 2]


async def test_a_full_rule_flushes_and_the_end_flushes_the_rest() -> None:
    disk = CrashDisk()
    writer, clock = new_writer(disk, rows=3)
    async with running(writer):
        await append(writer, messages(1, 2))
        assert writer.waiting_since_s == 0.0
        await append(writer, messages(3, 4))
        await until(lambda: writer.counts.stored == 4, "four messages are stored")
        assert writer.waiting_since_s is None
        clock.advance(5.0)
        await append(writer, messages(5))
    assert stored(disk) == [1, 2, 3, 4, 5]
    counts = writer.counts
    assert (counts.received, counts.stored, counts.quarantined, counts.duplicates) == (5, 5, 0, 0)
    assert (counts.rows, counts.table_files) == ({"model": 5}, {"model": 3})
    assert counts.last_commit_ns == clock.wall_ns()


async def test_an_order_to_flush_is_done_now() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    async with running(writer):
        await append(writer, messages(1))
        assert stored(disk) == []
        writer.flush()
        await until(lambda: stored(disk) == [1], "the message is in the lake")


async def test_duplicates_and_gaps_are_booked_once() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    async with running(writer):
        await append(writer, messages(1, duplicates=2))
        await append(writer, messages(duplicates=3))
        await append(writer, messages(5, missing=((2, 4),)))
    counts = writer.counts
    assert (counts.received, counts.stored, counts.duplicates, counts.missing) == (7, 2, 5, 3)
    [entry] = read_ledger(disk, DATA)
    assert (entry.received, entry.stored, entry.duplicates, entry.missing) == (7, 2, 5, ((2, 4),))


async def test_a_full_disk_holds_the_feed_back_loses_nothing_and_counts_nothing_twice() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    wakes: list[bool] = []
    writer.on_room(lambda: wakes.append(True))
    async with running(writer):
        await append(writer, messages(1))
        disk.faults = Faults(no_room_from=disk.writes + 1)
        waiting = asyncio.ensure_future(append(writer, messages(3, duplicates=2, missing=((2, 2),))))
        await until(lambda: writer.out_of_room_since_ns is not None, "the writer noticed the full disk")
        assert (writer.has_room, waiting.done()) == (False, False)
        tries = disk.writes
        await until(lambda: disk.writes >= tries + 2, "the full disk was tried again, twice")
        disk.faults = Faults()
        await waiting
        assert writer.has_room
        assert wakes, "the feed must be told"
        await append(writer, messages(4))
    assert stored(disk) == [1, 3, 4]
    entries = read_ledger(disk, DATA)
    assert [sum(entry.duplicates for entry in entries), sum(entry.received for entry in entries)] == [2, 5]
    assert writer.counts.duplicates == 2


async def test_a_full_log_is_committed_at_once_because_that_frees_room() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    async with running(writer):
        await append(writer, messages(1))
        disk.faults = Faults(no_room_from=disk.writes + 1, no_room_until=disk.writes + 2)
        waiting = asyncio.ensure_future(append(writer, messages(2)))
        await until(lambda: stored(disk) == [1], "what was in the log is in the lake, long before its time")
        await waiting
    assert stored(disk) == [1, 2]


async def test_a_full_segment_holds_the_feed_back_until_it_is_committed() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk, bytes_max=20)
    wakes: list[bool] = []
    writer.on_room(lambda: wakes.append(writer.has_room or True))
    await append(writer, _first)
    await append(writer, messages(1, 2, 3))
    assert not writer.has_room, "nobody commits yet"
    async with asyncio.timeout(200), asyncio.TaskGroup() as group:
        group.create_task(writer.run(), name="writer")
        await until(lambda: writer.has_room, "there is room again")
        writer.close_intake()
    assert wakes
    assert stored(disk) == [1, 2, 3]


def _first(lane: Lane) -> Brought:
    lane.new_incarnation(created_ns=7, reason="first", start_sequence=1)
    return Brought(None)


async def test_hold_is_a_second_brake() -> None:
    writer, _ = new_writer(CrashDisk())
    wakes: list[bool] = []
    writer.on_room(lambda: wakes.append(True))
    async with running(writer):
        writer.hold(True)
        assert not writer.has_room
        await append(writer, messages(1))  # what is here is still taken
        assert not writer.has_room
        writer.hold(False)
        assert writer.has_room
        assert wakes == [True]


async def test_a_failed_sync_ends_the_writer_and_nothing_is_taken_after_it() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the group comes from the end of the block
        async with running(writer):
            await append(writer, messages(1))
            disk.faults = Faults(sync_fails_at=disk.syncs + 1)
            with pytest.raises(DiskError):
                await append(writer, messages(2))
            with pytest.raises(DiskError, match="start again"):
                await append(writer, messages(2))
            writer.flush()
    assert caught.group_contains(DiskError)
    assert writer.counts.received == 1
    again = open_lane(disk.restart())
    assert again.position.sequence in (1, 2), "the failed group may or may not be there; it was never answered"


async def test_a_new_incarnation_commits_what_waits_first() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk)
    async with running(writer):
        await append(writer, messages(1, 2))
        await writer.new_incarnation(created_ns=8, reason="stream_recreated", start_sequence=1, start_after_ns=0)
        assert stored(disk) == [1, 2]
        await append(writer, messages(1))
    assert [(entry.incarnation, entry.received) for entry in read_ledger(disk, DATA)] == [(1, 2), (2, 1)]


async def test_appends_flushes_and_new_lives_together_keep_the_books() -> None:
    disk = CrashDisk()
    writer, _ = new_writer(disk, rows=7)
    rng = random.Random(5)
    sequence = 0
    async with running(writer):
        for step in range(60):
            fresh = range(sequence + 1, sequence + 1 + rng.randrange(1, 5))
            sequence = fresh[-1]
            await append(writer, messages(*fresh, duplicates=rng.randrange(2)))
            if rng.random() < 0.2:
                writer.flush()
            if step in (20, 40):
                await writer.new_incarnation(created_ns=8, reason="r", start_sequence=sequence + 1, start_after_ns=0)
    assert stored(disk) == [*range(1, sequence + 1)]
    entries = read_ledger(disk, DATA)
    assert sum(entry.stored for entry in entries) == writer.counts.stored == sequence
    assert sum(entry.received for entry in entries) == writer.counts.received


async def test_the_time_of_a_sync_is_that_of_most_of_the_last_ones() -> None:
    disk = CrashDisk()
    writer, clock = new_writer(disk)
    steps = iter([0.001, 9.0, 0.001, 0.001, *[0.7] * 9])
    append = writer.lane.append

    def slow_append(group: MessageGroup, **notes: Any) -> None:
        append(group, **notes)
        clock.advance(next(steps))

    seen = []
    async with running(writer):
        writer.lane.append = slow_append  # type: ignore[method-assign]
        for sequence in range(1, 14):
            await writer.log(await writer.prepare(messages(sequence)))
            seen.append(writer.sync_s)
    assert seen[:4] == [0.0] * 4, "too few to tell"
    assert seen[4] == pytest.approx(0.001), "one hiccup among good ones tells nothing"
    assert seen[12] == pytest.approx(0.7)
