"""One of the processes of `test_records_races`: every kind of write in turn, readers in between."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta

from ticklake.stores.file_store import FileDataStore
from ticklake.stores.models import Action, Decision, Event, FundamentalData, FundamentalFact, PriceBar
from ticklake.stores.state import StateConflictError

PROCESSES = 8
FIRST = datetime(2026, 1, 31, 23, 0, tzinfo=UTC)
_THINKING_S = 0.01  # between reading a state and saving the next one: time for others to come first
KINDS = ("bar", "fact", "fundamental", "event", "state", "decision")


def plan(writes: int) -> Counter[str]:
    """How many writes of each kind a process does."""
    return Counter(KINDS[number % len(KINDS)] for number in range(writes))


def write(store: FileDataStore, kind: str, process: int, number: int) -> int:
    """The `number`-th write of a kind; gives how many conflicts it met."""
    mine = number * PROCESSES + process
    moment = FIRST + timedelta(minutes=mine)
    conflicts = 0
    match kind:
        case "bar":
            store.write_bars("AAPL", [PriceBar("AAPL", moment, 1.0, 2.0, 0.5, 1.5, mine, "1m")])
            assert store.read_bars("AAPL", moment, moment, timeframe="1m")[0].volume == mine
        case "fact":
            store.write_facts("AAPL", [FundamentalFact("AAPL", "revenue", "USD", mine, date(2025, 12, 31), moment)])
        case "fundamental":
            store.write_fundamental("AAPL", FundamentalData("AAPL", moment, "Apple", "1", mine))
        case "event":
            store.write_event(
                Event("tick", None, FIRST, moment, "race", {"id": f"{process}-{number}", "x": "y" * 5000})
            )
        case "state":
            while True:
                seen = store.read_strategy_state("shared")
                version, count = (seen.version, seen.state["n"]) if seen else (0, 0)
                time.sleep(_THINKING_S)
                try:
                    store.save_strategy_state("shared", {"n": count + 1}, expected_version=version)
                    break
                except StateConflictError:
                    conflicts += 1
        case "decision":
            store.log_decision(f"s{process}", Decision("AAPL", Action.BUY, 0.1, 0.9, "race", f"{process}-{number}"))
    return conflicts


def main(base: str, writes: int, process: int) -> None:
    store = FileDataStore(base)
    done, conflicts = Counter[str](), 0
    print("ready", flush=True)
    sys.stdin.readline()  # all begin at once, however long each took to start
    for number in range(writes):
        kind = KINDS[number % len(KINDS)]
        conflicts += write(store, kind, process, done[kind])
        done[kind] += 1
    print(conflicts)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
