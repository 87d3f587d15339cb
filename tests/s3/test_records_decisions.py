"""Decisions in a bucket: the tests of the folder, several machines at once, and an index that may be lost."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.s3.laid import let_reach, let_write
from tests.unit.stores.test_decisions import (  # noqa: F401 - run here, where `tmp_path` is a bucket
    store,
    test_a_damaged_file_is_named_and_hides_no_other,
    test_an_update_is_a_revision_and_the_earlier_ones_stay,
    test_compare_and_set_reports_who_was_faster,
    test_delete_says_whether_there_was_one_and_keeps_the_history,
    test_filters_all_apply,
    test_round_trip_keeps_every_field_and_its_type,
    test_the_limit_of_decisions_removes_the_oldest,
)

from ticklake.base.errors import ConfigError, UsageError
from ticklake.files.atomic import append_line, read_lines, remove_lines, replace
from ticklake.files.errors import AlreadyStoredError, NotStoredError
from ticklake.files.local_cache import cache_folder
from ticklake.files.object_path import ObjectPath
from ticklake.stores.decisions import DecisionStore
from ticklake.testing.s3_server import S3Server

COUNT = """
import sys
from ticklake.stores.decisions import DecisionStore
store = DecisionStore({"storage_path": sys.argv[1], "index_path": sys.argv[2]})
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    store.modify_decision("hot", lambda record: record | {"value": record["value"] + 1})
    store.save_decision({"id": f"{sys.argv[3]}-{number}", "timestamp": "2024-12-02", "asset_pair": "B"})
assert store.get_decision_by_id(f"{sys.argv[3]}-0")["asset_pair"] == "B"
"""


@pytest.fixture(autouse=True)
def _reached(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    let_reach(s3_server, monkeypatch, tmp_path_factory.mktemp("home"))
    let_write(monkeypatch)


@pytest.fixture
def tmp_path(bucket: ObjectPath) -> ObjectPath:
    return bucket


def test_machines_with_an_index_each_lose_nothing(bucket: ObjectPath, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = bucket / "decisions"
    ours = DecisionStore({"storage_path": folder})
    ours.save_decision({"id": "hot", "timestamp": "2024-12-01", "value": 0})
    machines = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT, str(folder), str(tmp_path_factory.mktemp("machine") / "i.sqlite3"), str(one)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for one in range(2)
    ]  # fmt: skip
    for machine in machines:
        assert machine.stdout is not None
        assert machine.stdout.readline() == "ready\n", machine.communicate()[1]
    for machine in machines:
        assert machine.communicate("go\n", timeout=200) == ("", "")
        assert machine.returncode == 0
    assert ours.get_decision_count() == 11
    assert (ours.get_decision_by_id("hot") or {})["value"] == 10
    assert [record["_revision"] for record in ours.get_history("hot")] == list(range(1, 12))


def test_the_index_is_local_and_may_be_lost(bucket: ObjectPath) -> None:
    folder = bucket / "decisions"
    with DecisionStore({"storage_path": folder}) as first:
        for number in range(20):
            first.save_decision({"id": f"d{number}", "timestamp": f"2024-12-{number + 1:02}", "asset_pair": "B"})
    local = cache_folder(folder)
    assert (local / "_index/decisions.sqlite3").is_file()
    assert not [path for path in bucket.rglob("*") if "sqlite" in path.name]
    shutil.rmtree(local)
    assert [record["id"] for record in DecisionStore({"storage_path": folder}).get_recent_decisions(2)] == [
        "d19",
        "d18",
    ]


def test_what_followed_is_joined_and_a_fact_counts_once(bucket: ObjectPath) -> None:
    decisions = DecisionStore({"storage_path": bucket / "decisions"})
    decisions.save_decision({"id": "a/b", "timestamp": "2024-12-01", "asset_pair": "B"})
    order = {"order_id": "o*", "size": 1, "timestamp": "2024-12-01T10:00:00Z"}
    assert decisions.record_order("a/b", order)
    assert not decisions.record_order("a/b", order)
    with pytest.raises(AlreadyStoredError):
        decisions.record_order("a/b", {**order, "size": 2})
    with pytest.raises(NotStoredError):
        decisions.record_order("none", {"order_id": "p"})
    assert decisions.record_fill("o*", {"fill_id": "f", "price": 2.0})
    assert decisions.record_outcome("a/b", {"pnl": 3.0})
    assert [link.kind for link in (*decisions.get_trail("a/b").orders, *decisions.get_trail("a/b").fills)] == [
        "order", "fill",
    ]  # fmt: skip
    assert decisions.join_trades().height == 1


def test_what_others_changed_is_seen_though_size_and_second_are_the_same(bucket: ObjectPath) -> None:
    folder = bucket / "decisions"
    decisions = DecisionStore({"storage_path": folder})
    decisions.save_decision({"id": "a", "timestamp": "2024-12-01", "action": "BUY"})
    assert [record["id"] for record in decisions.get_decisions(action="BUY")] == ["a"]
    [path] = folder.glob("*.json")
    document = json.loads(path.read_bytes())
    replace(path, json.dumps({**document, "action": "HOL"}, indent=2).encode() + b"\n")
    assert decisions.get_decisions(action="BUY") == []
    assert [record["id"] for record in decisions.get_decisions(action="HOL")] == ["a"]


def test_a_history_that_was_forgotten_begins_anew(bucket: ObjectPath) -> None:
    """Also for a process that appended to it before: the numbers of its lines must not leave a gap."""
    log = bucket / "log.jsonl"
    for line in (b"one", b"two"):
        append_line(log, line)
    elsewhere = ObjectPath(bucket.store, log.key)
    for path in list(elsewhere.glob("*")):
        path.unlink()
    append_line(log, b"new")
    assert read_lines(log) == b"new\n"
    assert remove_lines(log)
    assert not remove_lines(log)
    decisions = DecisionStore({"storage_path": bucket / "decisions"})
    for turn in range(2):
        for action in ("BUY", "SELL"):
            decisions.save_decision({"id": "a", "timestamp": "2024-12-01", "action": action})
        assert len(decisions.get_history("a")) == 2, turn
        assert decisions.wipe_all_decisions() == 1


def test_an_address_is_never_taken_for_a_local_path(bucket: ObjectPath) -> None:
    with pytest.raises(ConfigError, match="local disk"):
        DecisionStore({"storage_path": bucket, "index_path": str(bucket / "i.sqlite3")})
    for address in (str(bucket / "x"), Path(str(bucket / "x"))):
        with pytest.raises(UsageError, match="place_of"):
            replace(address, b"")


def test_the_cache_lies_where_this_user_may_write(bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    assert not cache_folder(bucket).is_relative_to(Path.home())
