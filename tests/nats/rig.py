"""A BronzeWriter on a real disk behind any bus, and what a reader without ticklake finds in its lake."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ticklake.base.settings import Settings
from ticklake.base.settings_groups import BronzeSettings, NatsSettings
from ticklake.bronze.writer import BronzeWriter
from ticklake.files.local import LocalFiles
from ticklake.lake.ledger import LedgerEntry, read_ledger
from ticklake.readers.verify import verify_lake
from ticklake.sink.feed import Bus, FeedState
from ticklake.sink.lane import Lane
from ticklake.sink.lane_counts import LaneCounts

STREAM, SUBJECT = "MARKET_DATA", "market.test.raw"
PATIENCE_S = 60.0  # far beyond what anything here takes on a busy machine; reaching it is a failure


def settings_for(folder: Path, *, writer_id: str = "rig", **nats: Any) -> Settings:
    """Flush at once, so that tests are quick; `folder/lake` is the lake."""
    return Settings(
        data_root=folder / "lake",
        writer_id=writer_id,
        nats=NatsSettings(**nats),
        bronze=BronzeSettings(flush_seconds=0.1, flush_interval_min_s=0.0),
    )


async def until(is_true: Callable[[], bool], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Wait for a fact."""
    try:
        async with asyncio.timeout(patience_s):
            while not is_true():  # noqa: ASYNC110 - facts in files and other processes ring no bell
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"{patience_s:g} s passed and still not: {what}")


class Rig:
    """A writer that runs. `settled` waits until so many messages are in files."""

    def __init__(self, writer: BronzeWriter, settings: Settings) -> None:
        self.writer = writer
        self.settings = settings

    @property
    def counts(self) -> LaneCounts:
        return self.writer.writers[0].counts

    @property
    def lane(self) -> Lane:
        return self.writer.writers[0].lane

    @property
    def state(self) -> FeedState:
        return self.writer.feeds[0].state

    async def stored(self, messages: int) -> None:
        """Until so many messages have been stored since the start of this rig."""
        await until(lambda: self._is_broken() or self.counts.stored >= messages, f"{messages} messages are stored")
        assert self.counts.stored == messages, f"{self.counts}"

    async def bound(self) -> None:
        """Until a consumer is ours."""
        await until(lambda: self._is_broken() or self.state.is_bound, "the feed is bound")

    async def duplicates(self, messages: int) -> None:
        """Until so many messages were dropped because they were durable already."""
        await until(lambda: self._is_broken() or self.counts.duplicates >= messages, f"{messages} duplicates")

    def _is_broken(self) -> bool:
        task = self.writer._running
        if task is not None and task.done():
            task.result()
            pytest.fail("the writer ended by itself")
        return False


@asynccontextmanager
async def rig(folder: Path, bus: Bus, *, writer_id: str = "rig") -> AsyncIterator[Rig]:
    """Run a writer beside the block; it drains and stops behind it."""
    settings = settings_for(folder, writer_id=writer_id)
    writer = BronzeWriter(bus, settings=settings)
    await writer.start()
    try:
        yield Rig(writer, settings)
    finally:
        await writer.stop()


def rows(folder: Path) -> pl.DataFrame:
    """Every row of the raw table, by plain glob."""
    files = sorted((folder / "lake" / "bronze" / "raw").rglob("*.parquet"))
    if not files:
        return pl.DataFrame({"payload": [], "stream_seq": []}, schema={"payload": pl.Binary, "stream_seq": pl.Int64})
    return pl.read_parquet(files, hive_partitioning=False)


def payloads(folder: Path) -> Counter[bytes]:
    """How often each payload is in the lake."""
    return Counter(rows(folder)["payload"].to_list())


def ledger(folder: Path) -> list[LedgerEntry]:
    """The books."""
    return sorted(read_ledger(LocalFiles(), str(folder / "lake")), key=lambda entry: entry.segment)


def assert_exactly(folder: Path, expected: Iterable[bytes], *, duplicates: int | None = None) -> None:
    """The lake holds exactly these payloads, once each time they are named, and the books say the same."""
    wanted = Counter(expected)
    found = payloads(folder)
    lost, extra = wanted - found, found - wanted
    assert not lost, f"{lost.total()} lost, such as {list(lost)[:3]}"
    assert not extra, f"{extra.total()} too many, such as {list(extra)[:3]}"
    entries = ledger(folder)
    assert sum(entry.stored for entry in entries) == wanted.total()
    if duplicates is not None:
        assert sum(entry.duplicates for entry in entries) == duplicates
    report = verify_lake(folder / "lake", folder / "lake" / "_state")
    assert report.is_ok, [str(problem) for problem in report.problems]
