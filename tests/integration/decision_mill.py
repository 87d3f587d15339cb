"""One of several processes that all write to the same decisions and series, and count what they did."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ticklake.files.errors import ConflictError
from ticklake.stores.decisions import DecisionStore
from ticklake.stores.timeseries import TimeSeriesDataStore

HOT = tuple(f"hot-{number}" for number in range(3))
CONTESTED = "contested"
SYMBOL = "BTCUSD"


@dataclass(slots=True)
class Done:
    """What one process did.

    Attributes:
        added: by hot decision, how often it was counted up.
        won: compare-and-set calls that went through.
        lost: compare-and-set calls that reported a conflict.
        statuses: of the process's own decisions that it did not delete.
        orders: it recorded.
        entries: it appended.
    """

    added: Counter[str] = field(default_factory=Counter)
    won: int = 0
    lost: int = 0
    statuses: dict[str, str] = field(default_factory=dict)
    orders: int = 0
    entries: int = 0


def prepare(folder: Path) -> None:
    """What all processes share."""
    store = DecisionStore({"storage_path": folder / "decisions"})
    for decision_id in (*HOT, CONTESTED):
        store.save_decision({"id": decision_id, "timestamp": "2024-12-01", "value": 0})


def work(folder: Path, number: int, writes: int) -> Done:
    """Write `writes` times, each time something else."""
    dice = random.Random(number)
    store = DecisionStore({"storage_path": folder / "decisions"})
    series = TimeSeriesDataStore(folder / "series")
    done = Done()
    for turn in range(writes):
        kind = dice.choices(("count", "set", "save", "update", "delete", "order", "append"), (2, 2, 3, 2, 1, 1, 2))[0]
        own = dice.choice(sorted(done.statuses)) if done.statuses else None
        if kind == "count":
            hot = dice.choice(HOT)
            store.modify_decision(hot, lambda record: record | {"value": record["value"] + 1})
            done.added[hot] += 1
        elif kind == "set":
            try:
                known = store.get_decision_by_id(CONTESTED)
                store.update_decision(known | {"value": known["value"] + 1}, expected_revision=known["_revision"])
                done.won += 1
            except ConflictError:
                done.lost += 1
        elif kind == "append":
            series.save_data(SYMBOL, {"process": number, "entry": done.entries, "fill": "x" * dice.randrange(9000)})
            done.entries += 1
        elif kind == "save" or own is None:
            decision_id = f"p{number}-{turn}"
            store.save_decision({"id": decision_id, "asset_pair": f"P{number}", "status": "new"})
            done.statuses[decision_id] = "new"
        elif kind == "update":
            store.update_decision({"id": own, "asset_pair": f"P{number}", "status": f"s{turn}"})
            done.statuses[own] = f"s{turn}"
        elif kind == "delete":
            assert store.delete_decision(own)
            assert store.get_decision_by_id(own) is None
            del done.statuses[own]
        else:
            store.record_order(own, {"order_id": f"o{number}-{turn}"})
            done.orders += 1
        if turn % 10 == 0:
            newest = store.get_decisions(f"P{number}", limit=3)
            assert all(record["status"] == done.statuses[record["id"]] for record in newest)
    return done
