"""Retention of records: dated by what they hold, never what may still be written to, never the audit log."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ticklake.base.errors import UsageError
from ticklake.catalog.retention import Retention, RetentionReport
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.stores.audit_records import AuditKind
from ticklake.stores.lake_stores import LakeStores
from ticklake.stores.models import Action, Decision, Event, FundamentalData, PriceBar
from ticklake.stores.retention import record_shelves
from ticklake.testing.clock import ManualClock

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
CLOCK = ManualClock(wall_ns=int(NOW.timestamp()) * 10**9)


@pytest.fixture
def stores(tmp_path: Path) -> LakeStores:
    """Events of four days, bars of three months, snapshots known on two days, two series, one audited decision."""
    stores = LakeStores(tmp_path, clock=CLOCK)
    for day in (1, 2, 14, 15):
        stores.data.write_event(Event("x", None, datetime(2026, 3, day, tzinfo=UTC), NOW, "s", {}))
    starts = [datetime(2026, month, 5, tzinfo=UTC) for month in (1, 2, 3)]
    stores.data.write_bars("BTC/USD", [PriceBar("BTC/USD", start, 1.0, 1.0, 1.0, 1.0, 1) for start in starts])
    for known in (date(2026, 1, 1), date(2026, 3, 1)):
        at = datetime(known.year, known.month, known.day, 10, tzinfo=UTC)
        stores.data.write_fundamental("A*", FundamentalData("A*", at - timedelta(400), "A", "1", known_at=at))
    for symbol in ("old", "new"):
        stores.timeseries.save_data(symbol, {"timestamp": "2026-01-01T00:00:00"})
    os.utime(tmp_path / "records/timeseries/old_timeseries.jsonl", (0, 0))
    stores.data.log_decision("value", Decision("AAPL", Action.BUY, 0.5, 0.5, "why"))
    stores.data.save_strategy_state("value", {"n": 1})
    return stores


def purge(stores: LakeStores, kind: str, **limits: object) -> RetentionReport:
    retention = Retention(stores.data_root, shelves=record_shelves(stores.data_root, clock=CLOCK), clock=CLOCK)
    return retention.purge([RetentionPolicy(kind, **limits)], dry_run=False)  # type: ignore[arg-type]


def test_events_go_by_their_day_and_open_days_stay(stores: LakeStores) -> None:
    assert len(purge(stores, "events", max_age_days=12.9).deleted) == 1
    report = purge(stores, "events", max_count=0)
    assert [row["path"][-16:-6] for row in report.rows() if row["verdict"] == "in_use"] == ["2026-03-15", "2026-03-14"]
    assert stores.data.count_events() == {("2026-03-14", "x"): 1, ("2026-03-15", "x"): 1}


def test_bars_go_by_whole_months(stores: LakeStores) -> None:
    assert purge(stores, "bars", max_age_days=40).deleted == [
        "records/prices/symbol=BTC%2FUSD/timeframe=1d/2026-01.parquet"
    ]
    purge(stores, "bars", max_count=0)
    found = stores.data.read_bars("BTC/USD", date(2026, 1, 1), date(2026, 12, 31))
    assert [bar.date.month for bar in found] == [3]


def test_snapshots_go_by_when_they_were_known_not_by_what_they_are_about(stores: LakeStores) -> None:
    assert len(purge(stores, "fundamentals", max_age_days=60).deleted) == 1
    assert len(stores.data.read_fundamental_history("A*")) == 1


def test_series_go_by_their_last_change(stores: LakeStores) -> None:
    assert purge(stores, "series", max_count=0).deleted == ["records/timeseries/old_timeseries.jsonl"]
    assert stores.timeseries.load_data("old") == []
    assert len(stores.timeseries.load_data("new")) == 1


def test_decisions_go_with_their_history(stores: LakeStores) -> None:
    for day in (1, 10):
        stores.decisions.save_decision({"id": f"a/{day}", "timestamp": f"2026-03-{day:02}T10:00:00", "n": 1})
        stores.decisions.save_decision({"id": f"a/{day}", "timestamp": f"2026-03-{day:02}T10:00:00", "n": 2})
    assert len(purge(stores, "decisions", max_age_days=10).deleted) == 1
    assert [found["id"] for found in stores.decisions.get_decisions()] == ["a/10"]
    assert (stores.decisions.get_history("a/1"), len(stores.decisions.get_history("a/10"))) == ([], 2)


@pytest.mark.parametrize("kind", ["audit", "state", "records/audit"])
def test_audit_and_state_are_no_kinds(stores: LakeStores, kind: str) -> None:
    with pytest.raises(UsageError, match="unknown kind"):
        purge(stores, kind, max_count=0)


def test_nothing_else_is_touched(stores: LakeStores) -> None:
    for kind in ("events", "bars", "fundamentals", "series", "decisions", "temp"):
        purge(stores, kind, max_age_days=1)
    assert stores.data.verify_audit(AuditKind.DECISIONS).is_ok
    assert len(stores.data.read_decisions()) == 1
    assert stores.data.load_strategy_state("value") == {"n": 1}
