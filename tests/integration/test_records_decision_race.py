"""Eight processes write to the same folder at once: no lost update, no error, and conflicts are reported."""

import sqlite3
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests.integration.decision_mill import CONTESTED, HOT, SYMBOL, Done, prepare, work

from ticklake.stores.decisions import DecisionStore
from ticklake.stores.timeseries import TimeSeriesDataStore

PROCESSES = 8


def race(folder: Path, *, writes: int) -> None:
    prepare(folder)
    context = get_context("spawn")
    together = context.Barrier(PROCESSES, timeout=200).wait  # all begin at once, however long each took to start
    with ProcessPoolExecutor(PROCESSES, mp_context=context, initializer=together) as pool:
        runs = [pool.submit(work, folder, number, writes) for number in range(PROCESSES)]
        results = [run.result() for run in runs]
    check_decisions(DecisionStore({"storage_path": folder / "decisions"}), results)
    check_series(TimeSeriesDataStore(folder / "series"), results)


def check_decisions(store: DecisionStore, results: list[Done]) -> None:
    added = sum((done.added for done in results), Counter[str]())
    for hot in HOT:
        assert store.get_decision_by_id(hot)["value"] == added[hot]
        assert [record["value"] for record in store.get_history(hot)] == list(range(added[hot] + 1))
    won, lost = sum(done.won for done in results), sum(done.lost for done in results)
    assert store.get_decision_by_id(CONTESTED)["value"] == won
    assert store.get_decision_by_id(CONTESTED)["_revision"] == won + 1
    assert lost > 0, "nobody was in anybody's way: this was no race"
    statuses = {decision_id: status for done in results for decision_id, status in done.statuses.items()}
    found = store.get_decisions(limit=None)
    assert {record["id"]: record["status"] for record in found if "status" in record} == statuses
    assert store.get_decision_count() == len(statuses) + len(HOT) + 1
    assert len(list((store.storage_path / "links").glob("order_*.json"))) == sum(done.orders for done in results)
    assert store.unreadable() == {}
    assert not list(store.storage_path.rglob(".tmp-*"))
    before = store.join_trades().rows()
    store.rebuild_index()
    assert store.join_trades().rows() == before
    with sqlite3.connect(store.storage_path / "_index" / "decisions.sqlite3") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


def check_series(series: TimeSeriesDataStore, results: list[Done]) -> None:
    entries = series.load_data(SYMBOL, damaged="raise")
    for number, done in enumerate(results):
        assert [entry["entry"] for entry in entries if entry["process"] == number] == list(range(done.entries))
    assert len(entries) == sum(done.entries for done in results)


def test_eight_processes_lose_no_update(tmp_path: Path) -> None:
    race(tmp_path, writes=60)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_eight_processes_with_a_thousand_writes_each_lose_no_update(tmp_path: Path) -> None:
    race(tmp_path, writes=1000)
