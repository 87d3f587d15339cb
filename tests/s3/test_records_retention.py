"""Retention in a bucket: records by their days, feature versions whole, lake files entered in the books first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from tests.s3.laid import let_reach, upload
from tests.unit.gold.small_version import lay_version

from ticklake.catalog.feature_versions import version_names
from ticklake.catalog.lineage_gone import Gone
from ticklake.catalog.retention import Retention, RetentionReport
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.catalog.retention_versions import FeatureShelf
from ticklake.files import atomic
from ticklake.files.atomic import replace
from ticklake.files.bucket_files import files_of
from ticklake.files.object_path import ObjectPath
from ticklake.lake.layout import ledger_folder, ledger_name
from ticklake.lake.ledger import LedgerEntry, LedgerFile, encode_entry
from ticklake.lake.retired import decide_retirement, read_retirements
from ticklake.readers.retired import read_retired
from ticklake.stores.audit_records import AuditKind
from ticklake.stores.lake_stores import LakeStores
from ticklake.stores.models import Action, Decision, Event, PriceBar
from ticklake.stores.retention import record_shelves
from ticklake.testing.clock import ManualClock
from ticklake.testing.s3_server import S3Server

NOW = datetime(2126, 3, 15, 12, tzinfo=UTC)  # so late that what is written here is old
CLOCK = ManualClock(wall_ns=int(NOW.timestamp()) * 10**9)


@pytest.fixture(autouse=True)
def _reached(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    let_reach(s3_server, monkeypatch, tmp_path)
    return


def purge(root: ObjectPath, kind: str, **limits: object) -> RetentionReport:
    retention = Retention(root, shelves=record_shelves(root, clock=CLOCK), clock=CLOCK)
    return retention.purge([RetentionPolicy(kind, **limits)], dry_run=False)  # type: ignore[arg-type]


def test_records_go_by_what_they_hold(bucket: ObjectPath) -> None:
    stores = LakeStores(bucket, clock=CLOCK)
    for days in (20, 20, 14, 0):
        stores.data.write_event(Event("x", None, NOW - timedelta(days), NOW, "s", {}))
    starts = [datetime(2126, month, 5, tzinfo=UTC) for month in (1, 2, 3)]
    stores.data.write_bars("BTC/USD", [PriceBar("BTC/USD", start, 1.0, 1.0, 1.0, 1.0, 1) for start in starts])
    stores.timeseries.save_data("old", {"n": 1})
    stores.decisions.save_decision({"id": "a", "timestamp": "2126-01-01"})
    stores.decisions.save_decision({"id": "a", "timestamp": "2126-01-01", "action": "BUY"})
    stores.data.log_decision("value", Decision("AAPL", Action.BUY, 0.5, 0.5, "why"))
    assert purge(bucket, "events", max_age_days=16).deleted == ["records/events/2126-02-23.jsonl"]
    assert stores.data.count_events() == {("2126-03-01", "x"): 1, ("2126-03-15", "x"): 1}
    stores.data.write_event(Event("x", None, NOW - timedelta(20), NOW, "s", {}))  # the day begins anew
    assert stores.data.count_events()["2126-02-23", "x"] == 1
    [gone] = purge(bucket, "bars", max_age_days=40).deleted
    assert gone.endswith("timeframe=1d/2126-01.parquet")
    assert len(stores.data.read_bars("BTC/USD", date(2126, 1, 1), date(2126, 12, 31))) == 2
    assert purge(bucket, "series", max_age_days=1).deleted == ["records/timeseries/old_timeseries.jsonl"]
    assert stores.timeseries.load_data("old") == []
    assert len(purge(bucket, "decisions", max_age_days=30).deleted) == 1
    assert stores.decisions.get_history("a") == []
    assert stores.data.verify_audit(AuditKind.DECISIONS).is_ok
    assert len(list((bucket / "catalog/retention").iterdir())) == 4


def test_a_feature_version_leaves_whole_and_one_built_again_stays(
    bucket: ObjectPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("v1", "v2"):
        lay_version(tmp_path / "laid", version)
    lay_version(tmp_path / "laid", "v3", state="building")
    upload(tmp_path / "laid", bucket)
    features = bucket / "silver/features"
    with monkeypatch.context() as patch:
        patch.setattr(FeatureShelf, "_finish_leaving", killed)
        with pytest.raises(KeyboardInterrupt):
            purge(bucket, "silver", max_count=0)
    assert (features / "v1/state.json").exists()  # told to leave, by a run that was killed
    replace(features / "v1/state.json", b'{"state":"complete"}')  # built again meanwhile
    report = purge(bucket, "silver", max_age_days=100_000)  # asks for nothing more, but goes on with what was told
    assert report.deleted == []
    assert version_names(bucket) == ["v1", "v3"]
    assert [path.name for path in features.rglob("*") if "v3" not in str(path)] == ["state.json"]
    assert purge(bucket, "silver", max_count=0).deleted == ["silver/features/v1"]
    assert version_names(bucket) == ["v3"]
    assert [path.name for path in (bucket / "silver/staging").glob("*.json")] == []


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_lake_files_are_entered_in_the_books_before_they_go(bucket: ObjectPath) -> None:
    path = "bronze/futures/trades/symbol=ES/date=2024-12-16/hour=14/part-140000-abc-MD-00000001.parquet"
    kept = path.replace("2024-12-16", "2126-03-15")
    for name in (path, kept):
        replace(bucket / name, b"rows")
    files = tuple(LedgerFile(name, "futures.trades", 1, 4, "00000000") for name in (path, kept))
    entry = LedgerEntry(
        writer="abc-MD", lane="MD", stream="MARKET_DATA", segment=1, incarnation=1, first_seq=1, last_seq=2,
        received=2, stored=2, quarantined=0, duplicates=0, missing=(), rows={}, quarantined_rows={}, reasons={},
        files=files, committed_ns=1,
    )  # fmt: skip
    replace(bucket / ledger_folder(entry.writer) / ledger_name(entry.segment), encode_entry(entry))
    report = purge(bucket, "bronze/futures", max_age_days=30)
    assert (report.deleted, dict(report.failed)) == ([path], {})
    assert (bucket / kept).exists()
    assert not (bucket / path).exists()
    [decision] = read_retirements(files_of(bucket), str(bucket))
    assert decision.is_finished
    found = read_retired(bucket, [entry])
    assert (found.gone, found.leaving, found.problems) == (frozenset({path}), (), ())
    assert Gone(bucket).told(path).startswith("retired 2126")
    decide_retirement(files_of(bucket), str(bucket), list(decision.files), decided_ns=1)
    replace(bucket / path, b"rows")
    assert read_retired(bucket, [entry]).problems  # twice in the books, and there again


def test_temp_and_locks_are_no_files_of_anybody(bucket: ObjectPath) -> None:
    with atomic.locked(bucket / "cache/x"):
        replace(bucket / "cache/x", b"1")
    assert purge(bucket, "cache", max_count=0).deleted == ["cache/x"]
