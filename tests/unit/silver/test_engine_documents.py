"""What is written about a version: whole or not at all, and the register that many may write at once."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from ticklake.base.errors import CorruptError, UsageError
from ticklake.files.errors import NotStoredError
from ticklake.silver.experiments import ExperimentRegister
from ticklake.silver.folder import VersionFolder, version_folders
from ticklake.silver.record import DateRecord, DateStatus, OutputFile, VersionState, VersionStatus

DAY = "2024-12-16"


def staged(tmp_path: Path, name: str, content: bytes) -> tuple[OutputFile, Path]:
    path = tmp_path / "staged" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return OutputFile(name, 1, len(content), hashlib.sha256(content).hexdigest()), path


def publish(folder: VersionFolder, tmp_path: Path, **contents: bytes) -> DateRecord:
    files = [staged(tmp_path, f"{name}.parquet", content) for name, content in contents.items()]
    record = DateRecord(DAY, DateStatus.BUILT, rows=1, files=tuple(file for file, _ in files))
    folder.publish(record, {file.name: path for file, path in files})
    return record


def test_a_date_is_its_files_and_its_record(tmp_path: Path) -> None:
    folder = VersionFolder(tmp_path, "v1")
    record = publish(folder, tmp_path, signals=b"one", state=b"two")
    assert folder.read_records() == {DAY: record}
    assert folder.is_whole(record)
    later = publish(folder, tmp_path, signals=b"three")
    assert [path.name for path in folder.date_path(DAY).iterdir()] == ["signals.parquet"]
    assert folder.is_whole(later)
    assert not folder.is_whole(record)


def test_damage_and_strangers_are_noticed(tmp_path: Path) -> None:
    folder = VersionFolder(tmp_path, "v1")
    record = publish(folder, tmp_path, signals=b"one")
    stranger = folder.data_path(DAY, "other.parquet")
    stranger.write_bytes(b"x")
    assert not folder.is_whole(record)
    stranger.unlink()
    folder.data_path(DAY, "signals.parquet").write_bytes(b"onE")
    assert not folder.is_whole(record)


def test_an_empty_date_has_a_record_and_no_folder(tmp_path: Path) -> None:
    folder = VersionFolder(tmp_path, "v1")
    publish(folder, tmp_path, signals=b"one")
    empty = DateRecord(DAY, DateStatus.EMPTY, "no row")
    folder.publish(empty, {})
    assert not folder.date_path(DAY).exists()
    assert folder.is_whole(folder.read_records()[DAY])


def test_a_crash_between_files_and_record_leaves_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = VersionFolder(tmp_path, "v1")
    publish(folder, tmp_path, signals=b"one")

    def die(path: object, content: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ticklake.silver.folder.replace", die)
    with pytest.raises(KeyboardInterrupt):
        publish(folder, tmp_path, signals=b"two")
    assert folder.read_records() == {}


def test_versions_are_found_by_their_folders(tmp_path: Path) -> None:
    assert version_folders(tmp_path) == []
    for name in ("v2", "v1"):
        VersionFolder(tmp_path, name).write_state(VersionState(VersionStatus.BUILDING))
    ExperimentRegister(tmp_path).register("v1", "e1")
    assert [folder.version for folder in version_folders(tmp_path)] == ["v1", "v2"]


def test_a_damaged_document_is_named(tmp_path: Path) -> None:
    folder = VersionFolder(tmp_path, "v1")
    folder.path.mkdir(parents=True)
    (folder.path / "state.json").write_text("{")
    with pytest.raises(CorruptError, match=r"state\.json"):
        folder.read_state()


def test_an_experiment_comes_back_as_registered_and_keeps_its_birth(tmp_path: Path) -> None:
    register = ExperimentRegister(tmp_path)
    first = register.register("v1", "e1", status="running", tags=["knn"], notes="n")
    second = register.register("v1", "e1", metrics={"auc": 0.7}, model_path="models/e1")
    register.register("v2", "e2", parent="e1")
    assert second.created_at == first.created_at
    assert register.get("e1") == second
    assert [item.id for item in register.all()] == ["e1", "e2"]
    with pytest.raises(NotStoredError, match="'e3' is not registered"):
        register.get("e3")


def test_an_experiment_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    register = ExperimentRegister(tmp_path)
    with pytest.raises(UsageError, match="no status 'done'; choose one of running, completed"):
        register.register("v1", "e1", status="done")
    with pytest.raises(UsageError, match="not empty"):
        register.register("v1", "")
    register.path.parent.mkdir(parents=True, exist_ok=True)
    register.path.write_text("[]")
    with pytest.raises(CorruptError, match=r"experiments\.json"):
        register.all()


def test_many_may_register_at_once(tmp_path: Path) -> None:
    def work(worker: int) -> None:
        for n in range(5):
            ExperimentRegister(tmp_path).register("v1", f"e{worker}-{n}")

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ExperimentRegister(tmp_path).all()) == 20
