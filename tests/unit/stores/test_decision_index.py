"""The index says what the files say, whatever happened to it or to them."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ticklake.stores.decisions import DecisionStore


@pytest.fixture
def store(tmp_path: Path) -> DecisionStore:
    store = DecisionStore({"storage_path": tmp_path / "decisions"})
    for number in range(5):
        store.save_decision({"id": f"d-{number}", "timestamp": f"2024-12-0{number + 1}", "asset_pair": "BTCUSD"})
    return store


def ids(store: DecisionStore) -> list[str]:
    return [record["id"] for record in store.get_decisions()]


def index_of(store: DecisionStore) -> Path:
    return store.storage_path / "_index" / "decisions.sqlite3"


def write(store: DecisionStore, name: str, decision_id: str, **fields: object) -> None:
    (store.storage_path / name).write_text(json.dumps({"id": decision_id, "timestamp": "2025-01-01", **fields}))


ALL = ["d-4", "d-3", "d-2", "d-1", "d-0"]


def test_a_deleted_index_comes_back(store: DecisionStore) -> None:
    shutil.rmtree(index_of(store).parent)
    assert ids(store) == ALL
    assert index_of(store).is_file()


def test_deleting_the_database_alone_does_not_confuse_a_store_that_has_it_open(store: DecisionStore) -> None:
    index_of(store).unlink()
    store.save_decision({"id": "d-5", "timestamp": "2024-12-06"})
    assert ids(store) == ["d-5", *ALL]
    assert ids(DecisionStore({"storage_path": store.storage_path})) == ["d-5", *ALL]


@pytest.mark.parametrize("content", [b"", b"no database at all" * 500, os.urandom(8192)])
def test_a_damaged_index_is_replaced(store: DecisionStore, content: bytes) -> None:
    store.close()
    for path in index_of(store).parent.iterdir():
        path.unlink()
    index_of(store).write_bytes(content)
    assert ids(store) == ALL
    assert store.save_decision({"id": "d-5", "timestamp": "2024-12-06"}) == 1
    assert store.get_decision_count() == 6


def test_an_index_damaged_under_an_open_store_is_replaced(store: DecisionStore) -> None:
    store.get_decision_count()
    for path in index_of(store).parent.iterdir():
        path.write_bytes(b"\xff" * max(1, path.stat().st_size))
    fresh = DecisionStore({"storage_path": store.storage_path})
    assert ids(fresh) == ALL


def test_an_index_of_another_version_is_replaced(store: DecisionStore) -> None:
    store.close()
    with sqlite3.connect(index_of(store)) as database:
        database.execute("PRAGMA user_version = 99")
        database.execute("DROP TABLE links")
    database.close()
    assert ids(store) == ALL
    assert store.record_order("d-1", {"order_id": "o-1"})


def test_files_that_come_go_and_change_outside_are_noticed(store: DecisionStore) -> None:
    assert ids(store) == ALL
    write(store, "2025-01-01_new.json", "new", asset_pair="ETHUSD")
    (store.storage_path / "2024-12-01_d-0.json").unlink()
    assert ids(store) == ["new", "d-4", "d-3", "d-2", "d-1"]
    assert store.get_decision_by_id("d-0") is None
    assert [record["id"] for record in store.get_decisions("ETHUSD")] == ["new"]


def test_an_edit_in_place_counts_at_once(store: DecisionStore) -> None:
    write(store, "2024-12-03_d-2.json", "d-2", asset_pair="XRPUSD")  # same inode, the folder does not change
    assert store.get_decision_by_id("d-2")["asset_pair"] == "XRPUSD"
    assert "d-2" not in [record["id"] for record in store.get_decisions("BTCUSD")]
    assert [record["id"] for record in store.get_decisions("XRPUSD")] == ["d-2"]


def test_of_two_files_with_one_id_the_higher_revision_counts_and_both_are_deleted(store: DecisionStore) -> None:
    write(store, "2025-01-02_d-2.json", "d-2", _revision=7, action="SELL")
    assert store.get_decision_count() == 5
    assert [record["_revision"] for record in store.get_decisions() if record["id"] == "d-2"] == [7]
    assert store.delete_decision("d-2")
    assert store.get_decision_by_id("d-2") is None
    assert store.get_decision_count() == 4


def test_a_writer_that_died_between_document_and_index_is_made_good(store: DecisionStore) -> None:
    script = f"""
import os
from ticklake.stores.decisions import DecisionStore
store = DecisionStore({{"storage_path": {str(store.storage_path)!r}}})
index = store._index
with index.lock(), index.changing():
    (store.storage_path / "2025-01-01_half.json").write_text('{{"id": "half", "timestamp": "2025-01-01"}}')
    os.utime(store.storage_path, ns=(0, {store.storage_path.stat().st_mtime_ns}))
    os._exit(9)
"""
    done = subprocess.run([sys.executable, "-c", script], env=dict(os.environ), timeout=200)
    assert done.returncode == 9
    assert ids(store) == ["half", *ALL]


def test_after_a_power_cut_every_file_is_looked_at(store: DecisionStore) -> None:
    before = store.storage_path.stat().st_mtime_ns
    write(store, "2025-01-01_lost.json", "lost")
    os.utime(store.storage_path, ns=(before, before))
    assert ids(store) == ALL, "the folder's time tells nothing"
    database = sqlite3.connect(index_of(store))
    with database:
        database.execute("UPDATE facts SET value = 'another start of the machine' WHERE key = 'boot'")
    database.close()
    assert ids(store) == ["lost", *ALL]


def test_an_index_elsewhere_leaves_the_folder_to_the_documents(tmp_path: Path) -> None:
    store = DecisionStore({"storage_path": tmp_path / "d", "index_path": tmp_path / "local" / "index.sqlite3"})
    store.save_decision({"id": "a"})
    assert (tmp_path / "local" / "index.sqlite3").is_file()
    assert not (tmp_path / "d" / "_index").exists()


def test_a_store_survives_a_fork(store: DecisionStore) -> None:
    store.get_decision_count()
    child = os.fork()
    if child == 0:
        try:
            store.save_decision({"id": "child", "timestamp": "2025-01-01"})
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert ids(store) == ["child", *ALL]


def test_a_child_never_uses_a_connection_of_its_parent(store: DecisionStore) -> None:
    database = store._index._database
    with database.use() as connection:
        parents = connection
    child = os.fork()
    if child == 0:
        with database.use() as connection:
            os._exit(0 if connection is not parents else 1)
    assert os.waitpid(child, 0)[1] == 0
    with database.use() as connection:
        assert connection is parents


def test_threads_share_a_store(store: DecisionStore) -> None:
    store.save_decision({"id": "count", "value": 0})
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(15):
                store.modify_decision("count", lambda record: record | {"value": record["value"] + 1})
                store.save_decision({"id": f"t-{number}-{turn}"})
                assert store.get_decisions(limit=3)
        except BaseException as error:  # noqa: BLE001 - the thread that waits raises it
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert store.get_decision_by_id("count")["value"] == 60
    assert store.get_decision_count() == 66


def test_rebuilding_gives_the_same_answers(store: DecisionStore) -> None:
    store.record_order("d-1", {"order_id": "o-1", "quantity": 2})
    before = (ids(store), store.join_trades().rows())
    store.rebuild_index()
    assert (ids(store), store.join_trades().rows()) == before
