"""Damaged records are named, never skipped and never taken for absent ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ticklake.base.errors import CorruptError
from ticklake.stores.file_store import FileDataStore
from ticklake.stores.models import Event, FundamentalData, FundamentalFact, PriceBar

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
BAR = PriceBar("AAPL", NOON, 1, 1, 1, 1, 1)
EVER = (date(2000, 1, 1), date(2099, 1, 1))


@pytest.fixture
def store(tmp_path: Path) -> FileDataStore:
    store = FileDataStore(tmp_path, state_versions_kept=3)
    store.write_bars("AAPL", [BAR])
    store.write_facts("AAPL", [FundamentalFact("AAPL", "c", "USD", 1, date(2025, 12, 31), NOON)])
    store.write_fundamental("AAPL", FundamentalData("AAPL", NOON, "Apple", "1"))
    store.write_event(Event("t", None, NOON, NOON, "s", {}))
    store.save_strategy_state("value", {})
    return store


READS: dict[str, tuple[str, Callable[[FileDataStore], object]]] = {
    "bars": ("prices/*/*/*.parquet", lambda store: store.read_bars("AAPL", *EVER)),
    "a bar write": ("prices/*/*/*.parquet", lambda store: store.write_bars("AAPL", [BAR])),
    "facts": ("fundamentals/*/facts.parquet", lambda store: store.read_facts("AAPL")),
    "fundamentals": ("fundamentals/*/*.json", lambda store: store.read_fundamental("AAPL")),
    "events": ("events/*.jsonl", lambda store: store.read_events(*EVER)),
    "state": ("state/*/*.json", lambda store: store.load_strategy_state("value")),
}  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"{}\n"], ids=["empty", "nonsense", "another document"])
@pytest.mark.parametrize("what", sorted(READS))
def test_a_damaged_file_is_named(store: FileDataStore, what: str, content: bytes) -> None:
    pattern, read = READS[what]
    [path] = store.base_path.glob(pattern)
    read(store)
    path.write_bytes(content)
    if (what, content) == ("events", b""):
        assert read(store) == []  # a day without a line is a day without events
        return
    with pytest.raises(CorruptError, match=path.name):
        read(store)


def test_an_event_that_its_writer_did_not_live_to_report_is_not_there(store: FileDataStore) -> None:
    [path] = store.base_path.glob("events/*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"type":"to')
    assert len(store.read_events(*EVER)) == 1
    store.write_event(Event("next", None, NOON, NOON, "s", {}))
    assert [event.type for event in store.read_events(*EVER)] == ["t", "next"]


def test_old_versions_of_a_state_go(store: FileDataStore) -> None:
    for number in range(2, 6):
        assert store.save_strategy_state("value", {"n": number}) == number
    assert store.list_state_versions("value") == [3, 4, 5]
    assert store.read_strategy_state("value", version=2) is None


def test_leftovers_of_killed_writers_are_not_read(store: FileDataStore) -> None:
    for pattern in ("prices/*/*", "fundamentals/*", "events", "state/*"):
        [folder] = [path for path in store.base_path.glob(pattern) if path.is_dir()]
        for suffix in ("", ".parquet", ".json", ".jsonl"):
            (folder / f".tmp-1~2~3{suffix}").write_bytes(b"half")
    for _, read in READS.values():
        read(store)
    assert len(store.list_bars()) == len(store.read_fundamental_history("AAPL")) == 1
    assert store.list_strategies() == ["value"]
