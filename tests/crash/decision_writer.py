"""One write to a prepared folder, to be killed on the way: `python -m tests.crash.decision_writer FOLDER WHAT`."""

from __future__ import annotations

import sys
from pathlib import Path

from ticklake.stores.decisions import DecisionStore
from ticklake.stores.timeseries import TimeSeriesDataStore

OLD = {"id": "d-1", "timestamp": "2024-12-01", "asset_pair": "BTCUSD", "status": "old", "fill": "o" * 5000}
NEW = OLD | {"status": "new", "asset_pair": "ETHUSD", "fill": "n" * 5000}
OTHER = {"id": "d-2", "timestamp": "2024-12-02", "status": "fresh"}
ORDER = {"order_id": "o-1", "quantity": 1, "timestamp": "2024-12-03"}


def prepare(folder: Path) -> None:
    """The state before the write."""
    store = DecisionStore({"storage_path": folder / "decisions"})
    store.save_decision(OLD)
    store.close()
    TimeSeriesDataStore(folder / "series").save_data("BTCUSD", {"n": 1})


def write(folder: Path, what: str) -> None:
    """The write."""
    store = DecisionStore({"storage_path": folder / "decisions"})
    if what == "save":
        store.save_decision(OTHER)
    elif what == "update":
        store.update_decision(NEW)
    elif what == "delete":
        store.delete_decision("d-1")
    elif what == "order":
        store.record_order("d-1", ORDER)
    elif what == "append":
        TimeSeriesDataStore(folder / "series").save_data("BTCUSD", {"n": 2, "fill": "x" * 9000})
    else:
        raise AssertionError(what)
    store.close()


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2])
