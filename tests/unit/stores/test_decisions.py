"""DecisionStore: every call of the reference, on real files."""

import json
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ticklake.base.errors import ConfigError, UsageError
from ticklake.files.errors import ConflictError, NotStoredError, UnreadableError
from ticklake.stores.decision_ids import MissingIdError
from ticklake.stores.decisions import DecisionStore
from ticklake.testing.clock import ManualClock


@pytest.fixture
def store(tmp_path: Path) -> DecisionStore:
    return DecisionStore({"storage_path": tmp_path / "decisions"})


def decision(number: int = 1, **fields: Any) -> dict[str, Any]:
    moment = datetime(2024, 12, 1, tzinfo=UTC) + timedelta(minutes=number)
    return {"id": f"d-{number}", "timestamp": moment.isoformat(), "asset_pair": "BTCUSD", "action": "BUY", **fields}


def ids(records: list[dict[str, Any]]) -> list[str]:
    return [record["id"] for record in records]


def test_the_example_of_the_original_document_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = {"storage_path": "data/decisions", "max_decisions": 1000}
    store = DecisionStore(config)
    store.save_decision({"id": "decision_uuid", "timestamp": "2024-12-29T10:30:00.000000", "asset_pair": "BTCUSD"})
    assert (tmp_path / "data/decisions/2024-12-29_decision_uuid.json").is_file()
    assert ids(store.get_recent_decisions(limit=5, asset_pair="BTCUSD")) == ["decision_uuid"]


def test_round_trip_keeps_every_field_and_its_type(store: DecisionStore) -> None:
    given = decision(
        confidence=0.85,
        nested={"levels": [1, 2.5, None], "why": "breakout"},
        size=Decimal("0.10"),
        seen=datetime(2024, 12, 1, 9, tzinfo=UTC),
        day=date(2024, 12, 1),
        both=("a", "b"),
    )
    store.save_decision(given)
    assert store.get_decision_by_id("d-1").items() >= given.items()


def test_the_caller_s_dictionary_is_not_touched(store: DecisionStore) -> None:
    given = {"id": "d-1", "nested": {"a": [1]}}
    store.save_decision(given)
    store.modify_decision("d-1", lambda record: record["nested"]["a"].append(2))
    assert given == {"id": "d-1", "nested": {"a": [1]}}


def test_what_is_read_is_a_copy(store: DecisionStore) -> None:
    store.save_decision(decision(nested={"a": 1}))
    store.get_decision_by_id("d-1")["nested"]["a"] = 2
    assert store.get_decision_by_id("d-1")["nested"] == {"a": 1}


def test_a_dataclass_is_a_decision_too(store: DecisionStore) -> None:
    @dataclass
    class Plan:
        decision_id: str
        action: str

    assert store.save_decision(Plan("p-1", "SELL")) == 1
    assert store.get_decision_by_id("p-1")["action"] == "SELL"


def test_an_unknown_id_gives_none(store: DecisionStore) -> None:
    assert store.get_decision_by_id("nobody") is None


def test_an_id_that_ends_like_another_is_not_the_other(store: DecisionStore) -> None:
    store.save_decision({"id": "abc_1"})
    assert store.get_decision_by_id("1") is None
    assert not store.delete_decision("1")
    assert store.get_decision_count() == 1


@pytest.mark.parametrize(
    "shape", ["d-1", {"id": "d-1"}, {"decision_id": "d-1"}, {"decision": "d-1"}, {"decision": {"id": "d-1"}}]
)
def test_an_id_is_understood_in_all_its_shapes(store: DecisionStore, shape: Any) -> None:
    store.save_decision(decision())
    assert store.get_decision_by_id(shape)["id"] == "d-1"


def test_a_record_saved_under_the_other_name_of_the_id_has_both(store: DecisionStore) -> None:
    store.save_decision({"decision_id": "d-9", "action": "HOLD"})
    found = store.get_decision_by_id("d-9")
    assert (found["id"], found["decision_id"], found["_schema_version"]) == ("d-9", "d-9", 1)


@pytest.mark.parametrize("call", ["save_decision", "update_decision"])
def test_without_an_id_nothing_is_stored_and_the_caller_is_told(store: DecisionStore, call: str) -> None:
    with pytest.raises(MissingIdError, match="'id'"):
        getattr(store, call)({"action": "BUY"})
    assert store.get_decision_count() == 0


def test_lenient_stores_log_what_failed_as_the_old_ones_did(tmp_path: Path) -> None:
    store = DecisionStore({"storage_path": tmp_path, "lenient": True})
    assert store.save_decision({"action": "BUY"}) == 0
    assert store.update_decision({"action": "BUY"}) == 0
    assert store.get_decision_count() == 0


@pytest.mark.parametrize("wrong", ["yesterday", "2024-13-01", True, [2024]])
def test_a_time_that_is_none_is_refused(store: DecisionStore, wrong: Any) -> None:
    with pytest.raises(UsageError, match="no time"):
        store.save_decision({"id": "d-1", "timestamp": wrong})
    assert store.get_decision_count() == 0


def test_newest_first_is_by_decision_and_an_edit_changes_nothing_about_it(store: DecisionStore) -> None:
    for number in (3, 1, 2):
        store.save_decision(decision(number))
    store.update_decision(decision(1, note="edited last"))
    assert ids(store.get_decisions()) == ["d-3", "d-2", "d-1"]


def test_zones_count_when_decisions_are_ordered(store: DecisionStore) -> None:
    store.save_decision({"id": "paris", "timestamp": "2024-12-01T12:00:00+01:00"})
    store.save_decision({"id": "naive", "timestamp": "2024-12-01T11:30:00"})
    store.save_decision({"id": "number", "timestamp": datetime(2024, 12, 1, 11, 45, tzinfo=UTC).timestamp()})
    assert ids(store.get_decisions()) == ["number", "naive", "paris"]


def test_the_limit_is_ten_unless_told_otherwise(store: DecisionStore) -> None:
    for number in range(12):
        store.save_decision(decision(number))
    assert len(store.get_decisions()) == 10
    assert len(store.get_decisions(limit=3)) == 3
    assert len(store.get_decisions(limit=None)) == 12
    assert store.get_decisions(limit=0) == []
    with pytest.raises(UsageError, match="limit"):
        store.get_decisions(limit=-1)


def test_filters_all_apply(store: DecisionStore) -> None:
    store.save_decision(decision(1, status="open", strategy="trend"))
    store.save_decision(decision(2, status="closed", strategy="trend", action="SELL"))
    store.save_decision(decision(3, status="open", strategy="mean", asset_pair="ETHUSD"))
    assert ids(store.get_decisions("BTCUSD")) == ["d-2", "d-1"]
    assert ids(store.get_decisions(action="SELL")) == ["d-2"]
    assert ids(store.get_decisions(status="open")) == ["d-3", "d-1"]
    assert ids(store.get_decisions(strategy="trend", status="open")) == ["d-1"]
    assert ids(store.get_decisions(["BTCUSD", "ETHUSD"], action=["BUY", "HOLD"])) == ["d-3", "d-1"]
    assert store.get_decisions("BTC") == []


def test_a_time_range_includes_its_start_and_not_its_end(store: DecisionStore) -> None:
    for number in range(4):
        store.save_decision(decision(number))
    found = store.get_decisions(start="2024-12-01T00:01:00Z", end=datetime(2024, 12, 1, 0, 3, tzinfo=UTC))
    assert ids(found) == ["d-2", "d-1"]
    with pytest.raises(UsageError, match="not included"):
        store.get_decisions(start="2024-12-02", end="2024-12-02")


def test_a_new_store_finds_what_an_older_one_saved(store: DecisionStore) -> None:
    store.save_decision(decision())
    assert ids(DecisionStore({"storage_path": store.storage_path}).get_decisions()) == ["d-1"]


def test_an_update_is_a_revision_and_the_earlier_ones_stay(store: DecisionStore) -> None:
    assert store.save_decision(decision(status="open")) == 1
    assert store.update_decision(decision(status="filled")) == 2
    assert store.update_decision(decision(status="closed")) == 3
    assert store.get_decision_by_id("d-1")["status"] == "closed"
    assert [record["status"] for record in store.get_history("d-1")] == ["open", "filled", "closed"]
    assert [record["_revision"] for record in store.get_history("d-1")] == [1, 2, 3]
    assert store.get_decision_count() == 1


def test_an_update_of_an_unknown_decision_saves_it(store: DecisionStore) -> None:
    assert store.update_decision(decision()) == 1
    assert store.get_decision_count() == 1


def test_saving_the_same_again_is_no_revision(store: DecisionStore) -> None:
    assert [store.save_decision(decision()) for _ in range(2)] == [1, 1]
    assert len(store.get_history("d-1")) == 1


def test_an_update_without_a_time_keeps_the_time(store: DecisionStore) -> None:
    store.save_decision(decision())
    store.update_decision({"id": "d-1", "status": "closed"})
    assert store.get_decision_by_id("d-1")["timestamp"] == decision()["timestamp"]


def test_another_time_of_decision_does_not_make_a_second_file(store: DecisionStore) -> None:
    store.save_decision(decision())
    store.update_decision(decision(timestamp="2025-01-01T00:00:00Z"))
    assert [path.name for path in store.storage_path.glob("*.json")] == ["2024-12-01_d-1.json"]
    assert ids(store.get_decisions(start="2025-01-01")) == ["d-1"]


def test_compare_and_set_reports_who_was_faster(store: DecisionStore) -> None:
    store.save_decision(decision(), expected_revision=0)
    store.update_decision(decision(status="open"), expected_revision=1)
    for expected in (0, 1, 3):
        with pytest.raises(ConflictError, match="revision 2"):
            store.update_decision(decision(status="mine"), expected_revision=expected)
    with pytest.raises(ConflictError):
        store.delete_decision("d-1", expected_revision=1)
    assert store.get_decision_by_id("d-1")["status"] == "open"


def test_modify_changes_what_is_there(store: DecisionStore) -> None:
    store.save_decision(decision(count=1))
    assert store.modify_decision("d-1", lambda record: record | {"count": record["count"] + 1})["count"] == 2
    with pytest.raises(NotStoredError, match="nobody"):
        store.modify_decision("nobody", lambda record: record)
    with pytest.raises(UsageError, match="another id"):
        store.modify_decision("d-1", lambda record: record | {"id": "d-2"})


def test_delete_says_whether_there_was_one_and_keeps_the_history(store: DecisionStore) -> None:
    store.save_decision(decision(status="open"))
    store.save_decision(decision(status="closed"))
    assert store.delete_decision("d-1")
    assert not store.delete_decision("d-1")
    assert store.get_decision_by_id("d-1") is None
    assert [record.get("status") for record in store.get_history("d-1")] == ["open", "closed", None]
    assert store.get_history("d-1")[-1]["_deleted"]
    assert store.save_decision(decision(status="again")) == 4
    assert [record["_revision"] for record in store.get_history("d-1")] == [1, 2, 3, 4]


def test_cleanup_goes_by_decision_time_so_an_edit_does_not_save_an_old_one(tmp_path: Path) -> None:
    clock = ManualClock()
    store = DecisionStore({"storage_path": tmp_path}, clock=clock)
    store.save_decision({"id": "old"})
    clock.advance(40 * 86_400)
    store.save_decision({"id": "new"})
    store.update_decision({"id": "old", "note": "edited today"})
    assert store.cleanup_old_decisions(days=1000) == 0
    assert store.cleanup_old_decisions(days=30) == 1
    assert ids(store.get_decisions()) == ["new"]
    assert store.get_history("old") == []


def test_cleanup_removes_a_file_whose_own_time_is_old(store: DecisionStore) -> None:
    store.save_decision({"id": "d-1"})
    (path,) = store.storage_path.glob("*.json")
    long_ago = time.time() - 60 * 86_400
    os.utime(path, (long_ago, long_ago))
    assert store.cleanup_old_decisions(days=1000) == 0
    assert store.cleanup_old_decisions(days=30) == 1
    assert store.get_decision_count() == 0


def test_cleanup_of_a_negative_age_is_refused(store: DecisionStore) -> None:
    with pytest.raises(UsageError, match="days"):
        store.cleanup_old_decisions(days=-1)


def test_wipe_removes_everything_and_counts_decisions(store: DecisionStore) -> None:
    for number in range(3):
        store.save_decision(decision(number))
    store.update_decision(decision(1, status="closed"))
    store.record_order("d-1", {"order_id": "o-1"})
    assert store.wipe_all_decisions() == 3
    assert store.get_decision_count() == 0
    assert store.get_history("d-1") == []
    assert not list(store.storage_path.rglob("*.json")) + list(store.storage_path.rglob("*.jsonl"))


def test_the_limit_of_decisions_removes_the_oldest(tmp_path: Path) -> None:
    store = DecisionStore({"storage_path": tmp_path, "max_decisions": 2})
    for number in (2, 3, 1, 4):
        store.save_decision(decision(number))
    assert ids(store.get_decisions()) == ["d-4", "d-3"]
    assert len(list(tmp_path.glob("*.json"))) == 2


@pytest.mark.parametrize("config", [{"max_decisions": 0}, {"max_decisions": "10"}, {"storage_path": 5}])
def test_a_configuration_that_makes_no_sense_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        DecisionStore(config)


def test_a_value_that_no_document_holds_is_refused_and_nothing_changes(store: DecisionStore) -> None:
    store.save_decision(decision(status="open"))
    with pytest.raises(UsageError):
        store.update_decision(decision(status=object()))
    assert store.get_decision_by_id("d-1")["status"] == "open"


def test_files_of_the_old_store_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "2024-12-29_a b.json").write_text(json.dumps({"id": "a b", "asset_pair": "BTCUSD"}))
    (tmp_path / "2024-12-30_x.json").write_text(json.dumps({"id": "x", "timestamp": "2024-12-30T01:00:00"}))
    store = DecisionStore({"storage_path": tmp_path})
    assert ids(store.get_decisions()) == ["x", "a b"]
    assert store.get_decision_by_id("a b")["timestamp"] == "2024-12-29"
    assert store.update_decision({"id": "a b", "asset_pair": "ETHUSD"}) == 2
    assert len(list(tmp_path.glob("*.json"))) == 2


def test_a_damaged_file_is_named_and_hides_no_other(store: DecisionStore) -> None:
    store.save_decision(decision(1))
    store.save_decision(decision(2))
    (store.storage_path / "2024-12-01_d-2.json").write_text('{"id": "d-2", ')
    assert ids(store.get_decisions()) == ["d-1"]
    (damaged,) = store.unreadable()
    assert damaged.endswith("2024-12-01_d-2.json")
    for call in (store.get_decision_by_id, store.delete_decision):
        with pytest.raises(UnreadableError, match="d-2"):
            call("d-2")
    for moment in ("2024-12-01", "2025-01-01"):
        with pytest.raises(UnreadableError, match="d-2"):
            store.save_decision({"id": "d-2", "timestamp": moment})
    (store.storage_path / "2024-12-01_d-2.json").unlink()
    assert store.get_decision_by_id("d-2") is None
    assert store.save_decision(decision(2)) == 1


def test_a_file_that_another_program_could_not_read_is_read_by_one_that_can(
    store: DecisionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tagged = {"id": "d-1", "timestamp": "2024-12-01", "mood": {"$type": "enum", "class": "moods:Mood", "name": "CALM"}}
    (store.storage_path / "2024-12-01_d-1.json").write_text(json.dumps(tagged))
    assert store.get_decisions() == []
    with pytest.raises(UnreadableError, match="Mood"):
        store.get_decision_by_id("d-1")
    moods = ModuleType("moods")
    moods.Mood = Enum("Mood", ["CALM"], module="moods")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "moods", moods)
    other = DecisionStore({"storage_path": store.storage_path})
    assert ids(other.get_decisions()) == ["d-1"]
    assert other.get_decision_by_id("d-1")["mood"] == 1


def test_enums_are_stored_as_their_values_so_that_every_program_can_read_them(store: DecisionStore) -> None:
    class Action(Enum):
        GO = "BUY"

    store.save_decision({"id": "d-1", "action": Action.GO, "plan": [(Action.GO, 1)]})
    found = store.get_decision_by_id("d-1")
    assert (found["action"], found["plan"]) == ("BUY", [("BUY", 1)])
    assert ids(store.get_decisions(action="BUY")) == ["d-1"]


def test_values_of_numpy_and_pandas_are_read_without_them(store: DecisionStore) -> None:
    import numpy as np
    import pandas as pd

    times = {"timestamp": pd.Timestamp("2024-12-01T12:00Z"), "exact": pd.Timestamp(1), "never": pd.NaT}
    store.save_decision({"id": "d-1", "confidence": np.float64(0.5), "is_new": np.bool_(True), **times})
    assert "numpy" not in (store.storage_path / "2024-12-01_d-1.json").read_text()
    found = store.get_decision_by_id("d-1")
    assert (type(found["confidence"]), found["is_new"], found["never"]) == (float, True, None)
    assert type(found["timestamp"]) is datetime
    assert (found["timestamp"], found["exact"]) == (
        datetime(2024, 12, 1, 12, tzinfo=UTC),
        "1970-01-01T00:00:00.000000001",
    )


def test_what_equals_nothing_is_still_the_same(store: DecisionStore) -> None:
    assert [store.save_decision(decision(rsi=float("nan"))) for _ in range(2)] == [1, 1]
