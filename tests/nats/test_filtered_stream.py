"""Streams that carry more than our tables hear: what was for others is no gap, and what was ours is still proved."""

from __future__ import annotations

from pathlib import Path

import nats
from tests.nats.rig import STREAM, SUBJECT, assert_exactly, ledger, rig, settings_for, until
from tests.nats.test_connection_faults import running_bus

from ticklake.base.settings_groups import GoldSettings
from ticklake.gold.writer import GoldWriter
from ticklake.readers.verify import verify_lake
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

OPTIONS = ServerOptions(sync=SyncMode.DEFAULT)


async def test_signals_beside_other_levels_are_no_gap(tmp_path: Path) -> None:
    settings = settings_for(tmp_path).model_copy(
        update={"gold": GoldSettings(flush_seconds=0.1, flush_interval_min_s=0.0)}
    )
    async with NatsServer(options=OPTIONS) as server, running_bus(server.url) as bus:
        client = await nats.connect(server.url)
        jetstream = client.jetstream(timeout=30)
        await jetstream.add_stream(name="LEVEL_SIGNALS", subjects=["levels.>"])
        writer = GoldWriter(bus, settings=settings)
        await writer.start()
        try:
            counts = writer.writers[0].counts
            for number, subject in enumerate(
                ("levels.other", "levels.signals", "levels.other", "levels.signals.ES"), 1
            ):
                await jetstream.publish(subject, b"no signal")  # which makes it a row of quarantine
                await until(lambda number=number: counts.quarantined >= number // 2, "it is in quarantine")
        finally:
            await writer.stop()
            await client.close()
    report = verify_lake(settings.data_root, settings.state_dir, deep=True)
    assert [str(problem) for problem in report.problems] == []
    [book] = report.books
    assert (book.received, book.quarantined, book.missing) == (2, 2, 0)


async def test_messages_of_others_and_purges_leave_a_lake_that_verifies(tmp_path: Path) -> None:
    async with NatsServer(options=OPTIONS) as server, running_bus(server.url) as bus:
        client = await nats.connect(server.url)
        jetstream = client.jetstream(timeout=30)
        await jetstream.add_stream(name=STREAM, subjects=["market.>", "other.>"])
        expected = []
        for life in range(3):
            for number in range(20):
                await jetstream.publish("other.thing", b"not ours")
                expected.append(b"m %d %d" % (life, number))
                await jetstream.publish(SUBJECT, expected[-1])
            async with rig(tmp_path, bus) as writer:
                await writer.stored(20)
            await jetstream.publish("other.thing", b"not ours")
            await jetstream.publish(SUBJECT, b"purged before we came")
            await jetstream.purge_stream(STREAM)
        await client.close()
    assert_exactly(tmp_path, expected)
    entries = ledger(tmp_path)
    assert sum(entry.skipped.sequences for entry in entries if entry.skipped) == 20 * 3 + 2 * 2
    assert all(not entry.missing for entry in entries)
    lost = entries[1]
    for file in lost.files:
        (tmp_path / "lake" / file.path).unlink()
    (tmp_path / "lake/catalog/ledger" / lost.writer / f"{lost.segment:012d}.json").unlink()
    codes = {problem.code for problem in verify_lake(tmp_path / "lake").problems}
    assert codes == {"sequence_gap"}, "an entry that is gone is a gap, filter or not"
