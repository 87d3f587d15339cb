"""Ids that people, exchanges and attackers write: no collision, no escape, and they come back as they were."""

import unicodedata
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.errors import UsageError
from ticklake.base.moments import iso_text
from ticklake.stores.decision_time import date_text, moment_ns
from ticklake.stores.decisions import DecisionStore

HOSTILE = [
    "../x", "..", ".", "a/b", "a\\b", "*", "?", "[a]", "nul\0l", "x" * 300, "x" * 299 + "y", "BTC/USD", "BTCUSD",
    "BTC%2FUSD", "🚀", unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"), "A", "a", "-rf", "~",
    "h~1", "_index", ".lock-decisions", "history", "con", "a\nb", "__empty__", "'; DROP TABLE decisions; --", "%", "_",
]  # fmt: skip


def test_hostile_ids_do_not_collide_do_not_escape_and_come_back(tmp_path: Path) -> None:
    store = DecisionStore({"storage_path": tmp_path / "in" / "decisions"})
    for number, decision_id in enumerate(HOSTILE):
        store.save_decision({"id": decision_id, "number": number, "timestamp": "2024-12-01"})
        store.update_decision({"id": decision_id, "number": number, "seen": True, "asset_pair": decision_id})
    assert store.get_decision_count() == len(HOSTILE)
    for number, decision_id in enumerate(HOSTILE):
        found = store.get_decision_by_id(decision_id)
        assert (found["id"], found["number"], found["seen"]) == (decision_id, number, True)
        assert [record["number"] for record in store.get_decisions(decision_id)] == [number]
        assert [record["_revision"] for record in store.get_history(decision_id)] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["decisions"]
    for number, decision_id in enumerate(HOSTILE):
        assert store.delete_decision(decision_id)
        assert store.get_decision_count() == len(HOSTILE) - 1 - number


def test_hostile_names_of_orders_stay_apart(tmp_path: Path) -> None:
    store = DecisionStore({"storage_path": tmp_path})
    store.save_decision({"id": "d"})
    for name in HOSTILE:
        assert store.record_order("d", {"order_id": name})
    assert sorted(order.link_id for order in store.get_trail("d").orders) == sorted(HOSTILE)


@pytest.mark.parametrize("wrong", [None, "", "  ", True, [], {}, {"id": None}, 1.5])
def test_what_is_no_id_is_refused(tmp_path: Path, wrong: Any) -> None:
    store = DecisionStore({"storage_path": tmp_path})
    with pytest.raises(UsageError):
        store.save_decision({"id": wrong})
    assert store.get_decision_by_id(wrong) is None
    assert not store.delete_decision(wrong)


NOON_NS = 1_733_054_400_000_000_000


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2024-12-01T12:00:00Z", NOON_NS),
        ("2024-12-01 12:00", NOON_NS),
        ("2024-12-01T13:00:00+01:00", NOON_NS),
        ("2024-12-01T12:00:00.123456789Z", NOON_NS + 123_456_789),
        ("2024-12-01T12:00:00.5", NOON_NS + 500_000_000),
        (datetime(2024, 12, 1, 12), NOON_NS),
        (datetime(2024, 12, 1, 12, tzinfo=UTC), NOON_NS),
        (date(2024, 12, 1), NOON_NS - 43_200_000_000_000),
        (NOON_NS // 1_000_000_000, NOON_NS),
        (1_733_054_400.25, NOON_NS + 250_000_000),
        (NOON_NS // 1_000_000, NOON_NS),
        (NOON_NS // 1_000, NOON_NS),
        (NOON_NS, NOON_NS),
    ],
)
def test_times_as_people_and_feeds_write_them(text: Any, ns: int) -> None:
    assert moment_ns(text) == ns


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "noon",
        "2024-02-30",
        "2024-12-01T25:00",
        "9999-12-31",
        "0999-01-01",
        float("nan"),
        float("inf"),
        1e300,
        10**30,
        None,
    ],
)
def test_what_is_no_time_is_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="no time"):
        moment_ns(wrong)


@given(st.datetimes(datetime(1700, 1, 1), datetime(2260, 1, 1), timezones=st.just(UTC)), st.integers(0, 999))
def test_times_come_back_to_the_nanosecond(moment: datetime, rest: int) -> None:
    ns = moment_ns(moment) + rest
    assert moment_ns(iso_text(ns)) == ns
    assert date_text(ns) == moment.date().isoformat()
