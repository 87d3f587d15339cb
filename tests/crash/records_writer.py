"""A program that writes one kind of record after another, and is killed. Says on stdout what it was told is stored."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from ticklake.stores.file_store import FileDataStore
from ticklake.stores.models import Action, Decision, Event, FundamentalData, FundamentalFact, PriceBar

FIRST = datetime(2026, 1, 30, 12, tzinfo=UTC)


def bar(number: int, close: float) -> PriceBar:
    return PriceBar("AAPL", FIRST + timedelta(days=number), close, close, close, close, number)


def write_bars(store: FileDataStore, number: int) -> None:
    """Every write replaces a bar and adds one, over the end of a month."""
    store.write_bars("AAPL", [bar(number - 1, float(number)), bar(number, float(number))])


def write_fact(store: FileDataStore, number: int) -> None:
    known = FIRST + timedelta(days=number)
    store.write_facts("AAPL", [FundamentalFact("AAPL", "revenue", "USD", number, date(2025, 12, 31), known)])


def write_fundamental(store: FileDataStore, number: int) -> None:
    store.write_fundamental(
        "AAPL", FundamentalData("AAPL", FIRST, "Apple", "1", number, known_at=FIRST + timedelta(number))
    )


def write_event(store: FileDataStore, number: int) -> None:
    store.write_event(Event("tick", "AAPL", FIRST + timedelta(hours=number), FIRST, "test", {"n": number}))


def save_state(store: FileDataStore, number: int) -> None:
    store.save_strategy_state("value", {"n": number}, expected_version=number - 1)


def log_decision(store: FileDataStore, number: int) -> None:
    store.log_decision("value", Decision("AAPL", Action.BUY, 0.5, 0.5, f"decision {number}"))


WRITES: dict[str, Callable[[FileDataStore, int], None]] = {
    write.__name__: write
    for write in (write_bars, write_fact, write_fundamental, write_event, save_state, log_decision)
}


def main(base: str, kind: str, first: int, last: int) -> None:
    store = FileDataStore(base)
    for number in range(first, last + 1):
        WRITES[kind](store, number)
        print(number, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
