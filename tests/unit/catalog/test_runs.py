"""The run registry: starts, signs of life, ends, and those that die without a word."""

import multiprocessing
import os
import subprocess
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ticklake.base.errors import UsageError
from ticklake.catalog.artifacts import ArtifactStore
from ticklake.catalog.inputs import fix_input
from ticklake.catalog.run_record import RunStatus, is_crashed
from ticklake.catalog.runs import RunRegistry
from ticklake.files.errors import AlreadyStoredError, ConflictError, NotStoredError
from ticklake.testing.clock import ManualClock


@pytest.fixture
def runs(tmp_path: Path) -> RunRegistry:
    return RunRegistry(tmp_path, clock=ManualClock())


def test_a_run_keeps_what_it_was_told_and_how_it_ended(runs: RunRegistry) -> None:
    run_id = runs.register_run("backtest", parameters={"from": datetime(2024, 1, 1, tzinfo=UTC), "fee": Decimal("0.1")},
                               setup_id="s1", rule_version="2")  # fmt: skip
    assert run_id.startswith("backtest-20241216T143000-")
    assert runs.get_run(run_id).status is RunStatus.RUNNING
    runs.finish(run_id, {"sharpe": 1.5})
    run = RunRegistry(runs.root).get_run(run_id)
    assert (run.status, run.outcome, run.ended_at) == (RunStatus.FINISHED, {"sharpe": 1.5}, "2024-12-16T14:30:00+00:00")
    assert run.parameters == {"from": datetime(2024, 1, 1, tzinfo=UTC), "fee": Decimal("0.1")}
    assert {"python", "os", "machine", "polars"} <= set(run.environment)


def test_inputs_are_fixed_by_their_hashes(runs: RunRegistry, tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "in/a").write_bytes(b"abc")
    (tmp_path / "in/deep/b").write_bytes(b"de")
    run = runs.get_run(runs.register_run("k", inputs=["in/a", tmp_path / "in"]))
    file, folder = run.inputs
    assert (file.path, file.bytes, file.sha256[:8]) == ("in/a", 3, "ba7816bf")
    assert (folder.path, folder.files, folder.bytes) == ("in", 2, 5)
    (tmp_path / "in/deep/b").rename(tmp_path / "in/deep/c")
    assert fix_input(tmp_path, "in").sha256 != folder.sha256
    with pytest.raises(NotStoredError, match="check the path"):
        runs.register_run("k", inputs=["missing"])


def test_the_commit_and_its_changes_are_recorded(runs: RunRegistry, tmp_path: Path) -> None:
    tree = tmp_path / "code"
    tree.mkdir()
    assert runs.get_run(runs.register_run("k", code_folder=tree)).commit is None

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        return subprocess.run(
            ["git", "-C", str(tree), *who, *arguments], check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    (tree / "a").write_text("1")
    git("add", "a")
    git("commit", "-qm", "first")
    clean = runs.get_run(runs.register_run("k", code_folder=tree))
    (tree / "a").write_text("2")
    dirty = runs.get_run(runs.register_run("k", code_folder=tree))
    assert clean.commit == dirty.commit == git("rev-parse", "HEAD").strip()
    assert (clean.dirty, dirty.dirty) == (False, True)


def test_an_id_of_ones_own_is_taken_once(runs: RunRegistry) -> None:
    for run_id in ("../x", "a/b", "r" * 300, "*"):
        assert runs.register_run("k", run_id=run_id) == run_id
        with pytest.raises(AlreadyStoredError):
            runs.register_run("k", run_id=run_id)
        assert runs.get_run(run_id).run_id == run_id
    with pytest.raises(UsageError):
        runs.register_run("")
    with pytest.raises(NotStoredError, match="runs ls"):
        runs.get_run("unknown")


def test_an_end_is_not_changed_into_another_end(runs: RunRegistry) -> None:
    run_id = runs.register_run("k")
    runs.fail(run_id, ValueError("no data"))
    assert runs.get_run(run_id).error == "ValueError: no data"
    with pytest.raises(ConflictError, match="failed already"):
        runs.finish(run_id)


def test_a_block_is_a_run(runs: RunRegistry) -> None:
    with runs.run("k") as good:
        assert runs.get_run(good).status is RunStatus.RUNNING
    with pytest.raises(ZeroDivisionError), runs.run("k") as bad:
        _ = 1 / 0
    assert runs.get_run(good).status is RunStatus.FINISHED
    assert (runs.get_run(bad).status, runs.get_run(bad).error) == (
        RunStatus.FAILED,
        "ZeroDivisionError: division by zero",
    )


def test_artifacts_and_datasets_are_attached_once(runs: RunRegistry) -> None:
    run_id, ref = runs.register_run("k"), ArtifactStore(runs.root).save_binary(b"x", "k", "f")
    for _ in range(2):
        runs.attach_artifact(run_id, ref)
        runs.attach_dataset(run_id, "d")
    assert runs.get_run(run_id).artifacts == (ref,)
    assert runs.get_run(run_id).datasets == ("d",)
    with pytest.raises(NotStoredError):
        runs.attach_artifact("unknown", ref)


def test_runs_are_found_newest_first_by_what_they_ran(tmp_path: Path) -> None:
    clock = ManualClock()
    runs = RunRegistry(tmp_path, clock=clock)
    for number in range(6):
        clock.advance(1)
        parent = "r0" if number == 5 else None
        runs.register_run(
            "ab"[number % 2], run_id=f"r{number}", setup_id="s", rule_version=str(number % 3), parent=parent
        )
    runs.finish("r1")

    def ids(**wanted: str) -> list[str]:
        return [run.run_id for run in runs.find_runs(**wanted)]  # type: ignore[arg-type]

    assert ids() == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert ids(kind="a") == ["r4", "r2", "r0"]
    assert ids(setup_id="s", rule_version="1") == ["r4", "r1"]
    assert ids(rule_version="1", status="finished") == ["r1"]
    assert ids(parent="r0") == ["r5"]
    assert len(runs.find_runs(limit=2)) == 2
    with pytest.raises(UsageError, match="crashed"):
        ids(status="gone")
    with pytest.raises(NotStoredError, match="parent"):
        runs.register_run("k", parent="nobody")


def _die(root: str) -> None:
    RunRegistry(root).register_run("k", run_id="victim")
    os._exit(9)


def test_a_run_whose_process_died_is_crashed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_die, args=(str(tmp_path),))
    process.start()
    process.join(30)
    runs = RunRegistry(tmp_path)
    runs.register_run("k", run_id="alive")
    assert runs.get_run("victim").status is RunStatus.CRASHED
    assert [run.run_id for run in runs.find_runs(status="crashed")] == ["victim"]
    assert runs.mark_crashed() == ["victim"]
    assert runs.mark_crashed() == []
    assert runs.get_run("victim").ended_at is not None
    assert runs.get_run("alive").status is RunStatus.RUNNING


def test_a_run_elsewhere_is_crashed_when_it_is_silent_for_too_long(tmp_path: Path) -> None:
    clock = ManualClock()
    runs = RunRegistry(tmp_path, clock=clock, heartbeat_timeout_s=60)
    run_id = runs.register_run("k")
    runs._folder.change(run_id, lambda old: {**old, "host": "another machine"})
    clock.advance(50)
    runs.heartbeat(run_id)
    clock.advance(50)
    assert runs.get_run(run_id).status is RunStatus.RUNNING
    clock.advance(11)
    assert runs.get_run(run_id).status is RunStatus.CRASHED
    runs.heartbeat(run_id)
    assert runs.get_run(run_id).status is RunStatus.RUNNING
    with pytest.raises(NotStoredError):
        runs.heartbeat("unknown")


@pytest.mark.parametrize(
    ("alive", "age_s", "crashed"), [(True, 999, False), (False, 0, True), (None, 60, False), (None, 61, True)]
)
def test_crashed_means_dead_here_or_silent_elsewhere(alive: bool | None, age_s: float, crashed: bool) -> None:
    assert is_crashed(alive=alive, heartbeat_age_s=age_s, timeout_s=60) is crashed
