"""`ticklake demo` shows every tier, and its exit code is the proof."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.e2e.harness import run_ticklake


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The lake of a short demo, and what it printed."""
    root = tmp_path_factory.mktemp("demo") / "lake"
    run = run_ticklake("demo", "--seconds", "1", "--data", root, timeout_s=220)
    assert run.returncode == 0, run.stdout + run.stderr
    return root, run.stdout


def rows(root: Path, *command: str) -> list[dict[str, object]]:
    run = run_ticklake(*command, "--data", root, "--output", "json")
    assert run.returncode == 0, run.stderr
    return list(json.loads(run.stdout))


def test_it_tells_of_every_step(demo: tuple[Path, str]) -> None:
    _, printed = demo
    for told in (
        "every one of them is in the lake",
        "checksums and pages verified",
        "es_levels",
        "book_flow",
        "Validation of v2: passed",
        "Rolled back to v1",
        "bronze/futures/trades",
        "demo-levels-v1.html",
        "demo-flow-v1.html",
    ):
        assert told in printed, printed
    assert "FAILED" not in printed


def test_its_tables_fit_a_terminal_of_80_columns(demo: tuple[Path, str]) -> None:
    tables, folded = demo[1].split("Gates between")
    assert [line for line in tables.splitlines() if line[:1] in set("┏┃┡│└") and len(line) > 80] == []
    assert "┃ reason" in folded  # sentences and paths take more than one line there
    assert " -0.0 " not in tables


def test_both_versions_are_complete_and_one_is_the_training_set(demo: tuple[Path, str]) -> None:
    root, _ = demo
    states = {str(row["version"]): (row["state"], row["dates"]) for row in rows(root, "silver", "ls")}
    assert states == {"demo-levels-v1": ("complete", 1), "demo-flow-v1": ("complete", 1)}
    (training_set,) = rows(root, "gold", "ls")
    assert (training_set["name"], training_set["version"], training_set["versions"]) == ("demo_levels", 1, 2)


def test_the_reports_are_pages_of_their_own(demo: tuple[Path, str]) -> None:
    root, _ = demo
    for page in (root / "silver" / "reports").glob("*.html"):
        assert 'src="http' not in page.read_text(encoding="utf-8")
    assert len(list((root / "silver" / "reports").glob("*.html"))) == 2


def test_the_lake_is_whole_afterwards(demo: tuple[Path, str]) -> None:
    root, _ = demo
    run = run_ticklake("verify", "--deep", "--data", root)
    assert run.returncode == 0, run.stdout + run.stderr
