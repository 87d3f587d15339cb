"""Who may only read a folder of decisions reads them all the same: the index is disposable."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.rights import folder_of_another_user

from ticklake.base.errors import AccessRefusedError
from ticklake.stores.decisions import DecisionStore


def save(folder: Path, *numbers: int) -> None:
    with DecisionStore({"storage_path": folder}) as store:
        for number in numbers:
            store.save_decision({"id": f"d-{number}", "timestamp": f"2024-12-0{number}"})


def fill(folder: Path) -> None:
    save(folder, 1, 2)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The caller's own, so that its cache is not that of the machine."""
    with tempfile.TemporaryDirectory(prefix="ticklake-home-") as name:
        os.chmod(name, 0o777)
        monkeypatch.setenv("HOME", name)
        yield Path(name)


def ids(store: DecisionStore) -> list[str]:
    return [record["id"] for record in store.get_decisions()]


def test_a_reader_without_the_right_to_write_has_an_index_of_its_own(home: Path) -> None:
    with folder_of_another_user(fill) as folder:
        before = sorted(folder.rglob("*"))
        for _ in range(2):
            with DecisionStore({"storage_path": folder}) as store:
                assert ids(store) == ["d-2", "d-1"]
                assert store.get_decision_count() == 2
                assert store.get_decision_by_id("d-1") is not None
                assert store.get_decision_by_id("d-9") is None
        assert sorted(folder.rglob("*")) == before
    assert list(home.rglob("decisions.sqlite3"))


def test_what_a_writer_adds_is_seen_whatever_the_clock_of_the_folder_says() -> None:
    with folder_of_another_user(fill) as folder, DecisionStore({"storage_path": folder}) as store:
        assert ids(store) == ["d-2", "d-1"]
        told = folder.stat().st_mtime_ns
        reader = os.geteuid()
        os.seteuid(os.getuid())
        folder.chmod(0o755)
        (folder / "2024-12-05_d-5.json").write_text('{"id": "d-5", "timestamp": "2024-12-05"}')
        os.utime(folder, ns=(told, told))
        os.seteuid(reader)
        assert ids(store) == ["d-5", "d-2", "d-1"]


def test_a_reader_that_saves_is_told_which_right_is_missing() -> None:
    with folder_of_another_user(fill) as folder, DecisionStore({"storage_path": folder}) as store:
        with pytest.raises(AccessRefusedError, match=f"user {os.geteuid()} the right to write {folder}"):
            store.save_decision({"id": "d-3", "timestamp": "2024-12-03"})
        assert ids(store) == ["d-2", "d-1"]
