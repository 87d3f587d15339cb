"""One feed, two servers: the model in memory and a real nats-server must lead to the same lake, whatever goes wrong.

Each test ends with the same check: exactly the expected messages, once each, books in balance. `creations` counts the
consumers that were made, so a hot loop shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.worlds import CONSUMER, World, open_world
from tests.nats.rig import STREAM, SUBJECT, Rig, assert_exactly, ledger, rig, until

from ticklake.ingest.api import JetStreamApi
from ticklake.ingest.bind import bind_consumer
from ticklake.ingest.resume import Finding, Resume

NEAR_THE_END = 100
KINDS = pytest.mark.parametrize("kind", ["fake", "real"])


@pytest.fixture(params=["fake", "real"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(request.param, tmp_path) as opened:
        yield opened


def texts(name: str, count: int) -> list[bytes]:
    return [f"{name} {number}".encode() for number in range(count)]


def far_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a thousand messages be many."""
    monkeypatch.setattr("ticklake.ingest.bind.FAR_BEHIND", 1_000)
    monkeypatch.setattr("ticklake.ingest.stream_feed.NEAR_THE_END", NEAR_THE_END)


def assert_calm(world: World, rig: Rig, *, creations: int) -> None:
    """As many consumers as there were reasons to make one, and one more for a race with the reconnect."""
    assert creations <= world.bus.tap.creations <= creations + 1, world.bus.tap.creations
    assert not rig.state.problem


async def test_everything_arrives_once(world: World, tmp_path: Path) -> None:
    early, late = texts("early", 700), texts("late", 300)
    await world.publish(*early)
    async with rig(tmp_path, world.bus) as running:
        await running.stored(700)
        await world.publish(*late)
        await running.stored(1000)
        assert_calm(world, running, creations=1)
        assert (running.state.mode, running.state.alarm, running.state.redelivered) == ("position", "", 0)
        assert (running.lane.position.sequence, running.lane.incarnation.number) == (1000, 1)
    assert_exactly(tmp_path, early + late, duplicates=0)


async def test_a_new_start_goes_on_where_the_last_one_ended(world: World, tmp_path: Path) -> None:
    everything: list[bytes] = []
    for life in range(3):
        fresh = texts(f"life {life}", 50)
        await world.publish(*fresh)
        everything += fresh
        async with rig(tmp_path, world.bus) as running:
            await running.stored(50)
            assert running.lane.incarnation.number == 1
    assert world.bus.tap.creations == 3
    assert_exactly(tmp_path, everything, duplicates=0)


async def test_far_behind_no_book_is_kept_and_near_the_end_everything_is_acked(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_behind(monkeypatch)
    early, late = texts("early", 3_000), texts("late", 20)
    await world.publish(*early)
    world.bus.tap.are_acks_lost = True  # and written down
    async with rig(tmp_path, world.bus) as running:
        await running.stored(3_000)
        await until(lambda: world.bus.tap.creations >= 2, "the consumer was made anew")
        await world.publish(*late)
        await running.stored(3_020)
        await until(lambda: 3_020 in world.bus.tap.lost_sequences, "the last message is acked")
        assert min(world.bus.tap.lost_sequences) > 3_000 - 2 * NEAR_THE_END
        assert (running.state.redelivered, running.state.problem) == (0, "")
    assert_exactly(tmp_path, early + late, duplicates=0)


async def test_a_connection_lost_far_behind_loses_and_doubles_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far_behind(monkeypatch)
    everything = texts("m", 3_000)
    await world.publish(*everything)
    async with rig(tmp_path, world.bus) as running:
        for _ in range(2):
            await running.bound()
            await world.disconnect()
        await running.stored(3_000)
        await until(lambda: running.state.is_bound, "the consumer stands again")
    assert_exactly(tmp_path, everything)


async def test_redelivery_makes_the_consumer_anew_and_stores_nothing_twice(world: World, tmp_path: Path) -> None:
    first, second = texts("first", 20), texts("second", 20)
    async with rig(tmp_path, world.bus) as running:
        world.bus.tap.are_acks_lost = True
        await world.publish(*first)
        await running.stored(20)
        world.bus.tap.are_acks_lost = False
        await world.redeliver()
        await until(lambda: running.state.redelivered >= 1, "the redelivery was noticed")
        await world.publish(*second)
        await running.stored(40)
        assert_calm(world, running, creations=2)
    assert_exactly(tmp_path, first + second)


@pytest.mark.parametrize("retention", ["workqueue", "interest"])
@KINDS
async def test_explicit_acks_lost_on_the_way_come_again_and_are_duplicates(
    kind: str, retention: str, tmp_path: Path
) -> None:
    async with open_world(kind, tmp_path, retention=retention) as world, rig(tmp_path, world.bus) as running:
        await running.bound()
        world.bus.tap.are_acks_lost = True
        await world.publish(*texts("m", 30))
        await running.stored(30)
        world.bus.tap.are_acks_lost = False
        await world.redeliver()
        await running.duplicates(30)
        await world.publish(*texts("n", 5))
        await running.stored(35)
        assert running.state.mode == "explicit"
        assert_calm(world, running, creations=1)
    assert_exactly(tmp_path, texts("m", 30) + texts("n", 5), duplicates=30)


@KINDS
async def test_a_consumer_that_is_newer_than_what_we_knew_of_the_stream_stays(kind: str, tmp_path: Path) -> None:
    """Messages come between the two questions; the consumer that took them is not ahead of its stream."""
    nothing = Resume(Finding.SAME, start_sequence=1, start_ns=None, after_sequence=0, after_server_ns=0)
    async with open_world(kind, tmp_path, retention="workqueue") as world:
        api = JetStreamApi(world.bus.tap)
        before = await api.stream(STREAM)
        async with rig(tmp_path, world.bus) as running:
            await running.bound()
            await world.publish(*texts("m", 10))
            await running.stored(10)
        await bind_consumer(api, CONSUMER, before, nothing, subjects=[SUBJECT], is_late=False)
        assert world.bus.tap.creations == 1
        found = await api.consumer(STREAM, CONSUMER)
        assert found is not None
        assert found["delivered"]["stream_seq"] == 10


async def test_deleted_messages_are_booked_as_missing(world: World, tmp_path: Path) -> None:
    kept = texts("m", 10)
    sequences = await world.publish(*kept)
    for index in (7, 3, 2):
        await world.delete(sequences[index])
        del kept[index]
    async with rig(tmp_path, world.bus) as running:
        await running.stored(7)
        assert running.counts.missing == 3
        assert_calm(world, running, creations=1)
    assert_exactly(tmp_path, kept)
    assert [span for entry in ledger(tmp_path) for span in entry.missing] == [(3, 4), (8, 8)]


async def test_what_was_purged_unread_is_booked_and_what_was_read_stays(world: World, tmp_path: Path) -> None:
    read, unread, later = texts("read", 10), texts("unread", 10), texts("later", 10)
    await world.publish(*read)
    async with rig(tmp_path, world.bus) as running:
        await running.stored(10)
    await world.publish(*unread)
    await world.purge()
    async with rig(tmp_path, world.bus) as running:
        await world.publish(*later)
        await running.stored(10)
        await world.purge()  # nothing was unread
        await world.publish(*later)
        await running.stored(20)
        assert (running.counts.missing, running.state.alarm, running.lane.incarnation.number) == (10, "", 1)
        assert_calm(world, running, creations=2)
    assert_exactly(tmp_path, read + later + later)
    assert [entry.missing for entry in ledger(tmp_path) if entry.missing] == [((11, 20),)]


async def test_a_deleted_message_at_our_position_changes_nothing(world: World, tmp_path: Path) -> None:
    first, second = texts("first", 10), texts("second", 10)
    sequences = await world.publish(*first)
    async with rig(tmp_path, world.bus) as running:
        await running.stored(10)
        await world.delete(sequences[-1])
        await world.disconnect()
        await world.publish(*second)
        await running.stored(20)
        assert (running.lane.incarnation.number, running.counts.missing) == (1, 0)
    assert_exactly(tmp_path, first + second, duplicates=0)


async def test_the_first_message_newer_than_a_time_is_found_among_gaps(world: World) -> None:
    api = JetStreamApi(world.bus.tap)
    assert await api.first_newer(await api.stream(STREAM), 0) == 1, "none: one behind the last"
    sequences = await world.publish(*texts("message", 9))
    times = {sequence: found.server_ns for sequence in sequences if (found := await api.message(STREAM, sequence))}
    for gone in (1, 4, 5, 9):
        await world.delete(gone)
    stream = await api.stream(STREAM)
    there = [2, 3, 6, 7, 8]
    for sequence, server_ns in times.items():
        behind = min((each for each in there if each > sequence), default=10)
        assert await api.first_newer(stream, server_ns) == behind, sequence
    assert await api.first_newer(stream, 0) == 2
    await world.purge()
    assert await api.first_newer(await api.stream(STREAM), 0) == 10


async def test_a_stream_made_anew_is_another_life_with_an_alarm(world: World, tmp_path: Path) -> None:
    before, after = texts("before", 10), texts("after", 15)
    await world.publish(*before)
    async with rig(tmp_path, world.bus) as running:
        await running.stored(10)
        await world.recreate()
        await world.publish(*after)
        await running.stored(25)
        assert running.state.alarm == "stream_recreated after sequence 10 of incarnation 1"
        assert (running.lane.incarnation.number, running.lane.position.sequence) == (2, 15)
        assert_calm(world, running, creations=2)
    assert_exactly(tmp_path, before + after, duplicates=0)
    assert {entry.incarnation for entry in ledger(tmp_path)} == {1, 2}


@pytest.mark.parametrize("new_messages", [3, 12], ids=["shorter than before", "longer than before"])
@KINDS
async def test_a_server_that_lost_its_tail_uses_sequences_again_and_no_message_is_lost(
    kind: str, new_messages: int, tmp_path: Path
) -> None:
    safe, lost, reused = texts("safe", 10), texts("lost", 8), texts("reused", new_messages)
    async with open_world(kind, tmp_path) as world:
        await world.publish(*safe)
        await world.mark()
        await world.publish(*lost)
        async with rig(tmp_path, world.bus) as running:
            await running.stored(18)
        await world.lose_tail()
        assert await world.publish(*reused) == [*range(11, 11 + new_messages)]
        async with rig(tmp_path, world.bus) as running:
            await running.stored(new_messages)
            reason = "stream_regressed" if new_messages < 8 else "sequence_reused"
            assert running.state.alarm == f"{reason} after sequence 18 of incarnation 1"
            assert running.lane.incarnation.number == 2
            await world.publish(b"one more")
            await running.stored(new_messages + 1)
        async with rig(tmp_path, world.bus) as running:
            await running.bound()
            assert (running.lane.incarnation.number, running.counts.received) == (2, 0)
    assert_exactly(tmp_path, [*safe, *lost, *reused, b"one more"], duplicates=0)


async def test_a_tail_lost_while_we_read_is_noticed_at_the_next_connection(world: World, tmp_path: Path) -> None:
    safe, lost, reused = texts("safe", 10), texts("lost", 8), texts("reused", 3)
    await world.publish(*safe)
    await world.mark()
    async with rig(tmp_path, world.bus) as running:
        await world.publish(*lost)
        await running.stored(18)
        await world.lose_tail()
        await world.publish(*reused)
        await running.stored(21)
        assert running.state.alarm == "stream_regressed after sequence 18 of incarnation 1"
    assert_exactly(tmp_path, safe + lost + reused, duplicates=0)


async def test_a_deleted_consumer_is_made_again_without_hurry(world: World, tmp_path: Path) -> None:
    expected: list[bytes] = []
    async with rig(tmp_path, world.bus) as running:
        await running.bound()
        for round_number in range(3):
            await world.drop_consumer()
            expected += texts(f"round {round_number}", 5)
            await world.publish(*texts(f"round {round_number}", 5))
            await running.stored(len(expected))
        assert_calm(world, running, creations=4)
    assert_exactly(tmp_path, expected, duplicates=0)


async def test_a_broken_connection_heals_and_loses_nothing(world: World, tmp_path: Path) -> None:
    expected: list[bytes] = []
    async with rig(tmp_path, world.bus) as running:
        for round_number in range(2):
            expected += texts(f"round {round_number}", 200)
            await world.publish(*texts(f"round {round_number}", 200))
            await world.disconnect()
        await running.stored(len(expected))
        assert running.lane.incarnation.number == 1
        assert not running.state.alarm
    assert_exactly(tmp_path, expected)


@KINDS
async def test_a_work_queue_that_lost_its_tail_brings_old_messages_again_and_they_are_known(
    kind: str, tmp_path: Path
) -> None:
    """Two troubles at once: acks that never arrived, and sequences that are used again."""
    old, lost, reused = texts("old", 6), texts("lost", 4), texts("reused", 2)
    async with open_world(kind, tmp_path, retention="workqueue") as world:
        async with rig(tmp_path, world.bus) as running:
            await running.bound()
            world.bus.tap.are_acks_lost = True
            await world.publish(*old)
            await running.stored(6)
            await world.mark()
            await running.bound()
            await world.publish(*lost)
            await running.stored(10)
        await world.lose_tail()
        world.bus.tap.are_acks_lost = False
        await world.publish(*reused)
        async with rig(tmp_path, world.bus) as running:
            await running.bound()
            async with asyncio.timeout(100):
                while running.counts.received < 8:  # what came before a break comes again after its ack wait
                    await world.redeliver()
                    await asyncio.sleep(0.2)
            await running.stored(2)
            assert running.counts.duplicates >= 6
    assert_exactly(tmp_path, old + lost + reused)


async def test_a_stream_that_is_not_there_is_waited_for_with_growing_patience(tmp_path: Path) -> None:
    async with open_world("real", tmp_path) as world:
        await world._jetstream.delete_stream("MARKET_DATA")  # type: ignore[attr-defined]
        asked: list[str] = []
        request = world.bus.tap.wire.request

        async def counted(subject: str, payload: bytes) -> bytes:
            asked.append(subject)
            return await request(subject, payload)

        world.bus.tap.request = counted  # type: ignore[method-assign]
        async with rig(tmp_path, world.bus) as running:
            await until(lambda: len(asked) >= 3, "the stream was looked for three times")
            assert "ticklake nats init" in running.state.problem
            await world.open()  # type: ignore[attr-defined]
            await world.publish(b"at last")
            await running.stored(1)
        assert len([subject for subject in asked if "STREAM.INFO" in subject]) <= 6, "no hot loop"
    assert_exactly(tmp_path, [b"at last"])


@pytest.mark.parametrize("retention", ["limits", "workqueue"])
async def test_a_stream_made_anew_while_we_make_our_consumer_is_read_from_its_start(
    retention: str, tmp_path: Path
) -> None:
    """The consumer would stand at the position of the old stream, in the new one."""
    before, after = texts("before", 10), texts("after", 20)
    async with open_world("real", tmp_path, retention=retention) as world:
        await world.publish(*before)
        async with rig(tmp_path, world.bus) as running:
            await running.stored(10)
        request = world.bus.tap.wire.request

        async def overtaken(subject: str, payload: bytes) -> bytes:
            if subject.startswith(("$JS.API.CONSUMER.CREATE.", "$JS.API.CONSUMER.INFO.")):
                world.bus.tap.wire.request = request  # type: ignore[method-assign]
                await world.recreate()
                await world.publish(*after)
            return await request(subject, payload)

        world.bus.tap.wire.request = overtaken  # type: ignore[method-assign]
        async with rig(tmp_path, world.bus) as running:
            await running.stored(20)
            assert running.state.alarm == "stream_recreated after sequence 10 of incarnation 1"
    assert_exactly(tmp_path, before + after, duplicates=0)
