"""Records of the first version open for ever, and the same calls still write the same bytes."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

from ticklake.stores.audit_records import AuditKind
from ticklake.stores.file_store import FileDataStore
from ticklake.stores.models import Action, Decision
from ticklake.testing.clock import ManualClock

FROZEN = Path(__file__).with_name("records_audit_v1")
DECISIONS = (
    Decision("AAPL", Action.BUY, Decimal("0.05"), 0.8, "Stärke\n", "d-1"),
    Decision("BTC/USD", Action.EXIT, 0, 1, ""),
)


def write(base: Path) -> FileDataStore:
    clock = ManualClock()
    store = FileDataStore(base, clock=clock)
    for decision in DECISIONS:
        store.log_decision("value", decision)
        clock.advance(86_400)
    return store


def test_an_audit_log_of_version_1_is_read_and_verified(tmp_path: Path) -> None:
    store = FileDataStore(tmp_path)
    shutil.copytree(FROZEN, tmp_path / "audit" / "decisions", dirs_exist_ok=True)
    report = store.verify_audit(AuditKind.DECISIONS)
    assert (report.is_ok, report.lines) == (True, 2)
    assert tuple(one.decision for one in store.read_decisions()) == DECISIONS


def test_an_audit_log_is_still_written_so(tmp_path: Path) -> None:
    write(tmp_path)
    folder = tmp_path / "audit" / "decisions"
    for path in FROZEN.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
