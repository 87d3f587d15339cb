"""Snapshots of runs."""

from pathlib import Path

import pytest

from ticklake.catalog.provenance import RunProvenance
from ticklake.files.errors import AlreadyStoredError, NotStoredError, UnreadableError


def test_a_snapshot_proves_that_data_are_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"1")
    (tmp_path / "b.csv").write_bytes(b"2")
    provenance = RunProvenance(tmp_path)
    provenance.create_snapshot(
        "r/1", "s", "2", [tmp_path / "a.csv", "b.csv"], data_range=("2024", "2025"), meta={"x": 1}
    )
    snapshot = provenance.load_snapshot("r/1")
    assert (snapshot["setup_id"], snapshot["rule_version"], snapshot["data_range"]) == ("s", "2", ("2024", "2025"))
    assert {"python", "os", "machine"} <= set(snapshot["env"])
    assert provenance.verify_data_hash("r/1", tmp_path / "a.csv")
    assert provenance.changed_inputs("r/1") == []
    (tmp_path / "a.csv").write_bytes(b"3")
    (tmp_path / "b.csv").unlink()
    assert not provenance.verify_data_hash("r/1", tmp_path / "a.csv")
    assert not provenance.verify_data_hash("r/1", "b.csv")
    assert provenance.changed_inputs("r/1") == ["a.csv", "b.csv"]


def test_a_run_has_one_snapshot_and_it_is_not_overwritten(tmp_path: Path) -> None:
    provenance = RunProvenance(tmp_path)
    ref = provenance.create_snapshot("r", "s", "1")
    assert provenance.load_snapshot("r")["data_hash"] == "none"
    assert not provenance.verify_data_hash("r", ref.path)
    with pytest.raises(AlreadyStoredError):
        provenance.create_snapshot("r", "s", "2")
    with pytest.raises(NotStoredError, match="no snapshot"):
        provenance.load_snapshot("q")
    (tmp_path / ref.path).write_text("{}")
    with pytest.raises(UnreadableError):
        provenance.load_snapshot("r")


def test_data_that_are_missing_are_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(NotStoredError):
        RunProvenance(tmp_path).create_snapshot("r", "s", "1", tmp_path / "missing")
