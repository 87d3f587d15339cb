"""A tier that does not open lets go of everything, and opens when the reason is gone."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from ticklake.base.errors import CorruptError
from ticklake.base.settings import Settings
from ticklake.bronze.writer import BronzeWriter
from ticklake.files.lease import StateFolder
from ticklake.sink.feed import BatchWriter

TABLES = tomllib.loads("""
["fx.quotes"]
subject = "fx.quotes"
stream = "ZZ_FX"
partition = ["date", "hour"]
event_time = "ts_event_ns"
["fx.quotes".columns]
ts_event_ns = { type = "int64", unit = "ns" }
""")


class FeedingBus:
    """Makes feeds that bring nothing, and counts them."""

    def __init__(self) -> None:
        self.feeds: list[str] = []

    def feed(self, writer: BatchWriter, *, stream: str, subjects: Sequence[str]) -> object:
        self.feeds.append(stream)
        return object()


def open_files(folder: Path) -> list[str]:
    return [file.path for file in psutil.Process().open_files() if file.path.startswith(str(folder))]


@pytest.mark.parametrize("owns_state", [True, False])
async def test_a_failed_open_leaves_nothing_behind_and_may_be_tried_again(tmp_path: Path, owns_state: bool) -> None:
    settings = Settings(data_root=tmp_path / "lake", tables=TABLES)
    state_dir = tmp_path / "lake" / "_state"
    bad = state_dir / "wal" / "zz_fx" / f"{7:012d}.wal"
    state = None
    if not owns_state:
        state = StateFolder.open(str(state_dir))
    bad.parent.mkdir(parents=True, exist_ok=True)
    bad.write_bytes(b"no segment of ours" * 1000)
    bus = FeedingBus()
    tier = BronzeWriter(bus, settings=settings, state=state)  # type: ignore[arg-type]
    with pytest.raises(CorruptError):
        await tier.open()
    assert (tier.writers, tier.feeds, tier.recoveries, bus.feeds) == ([], [], [], [])
    for thread in threading.enumerate():
        if thread.name.startswith("log-"):
            thread.join(60)
    assert [path for path in open_files(tmp_path) if not path.endswith("/LOCK")] == []
    if owns_state:
        StateFolder.open(str(state_dir)).close()  # nobody holds it
    bad.unlink()
    await tier.open()
    assert sorted(writer.lane.stream for writer in tier.writers) == sorted(bus.feeds) == ["MARKET_DATA", "ZZ_FX"]
    for writer in tier.writers:
        writer.abandon()
    tier.close()
    if state is not None:
        state.close()
