"""What a build does while its last dates are still built: the certificate of the others, and it comes out the same."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.silver.test_engine_build import FRAGILE, outcomes, sums
from tests.integration.silver.toy import add_day, toy_lake, toy_manifest

from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.crew import Crew
from ticklake.silver.result import BuildResult
from ticklake.silver.task import Done, Task

DAYS = 4


class Wide:
    """Says it is as wide as it is told, does one task after the other, and notes what follows when."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.done: list[str] = []
        self.asked: list[tuple[int, str, str]] = []  # after how many tasks, unit, day

    def get_ready(self, manifest: str) -> None:
        """It is."""

    def run(self, tasks: Sequence[Task], done: Done) -> None:
        waiting = deque(tasks)
        while waiting:
            task = waiting.popleft()
            content = task.unit(*task.arguments())
            self.done.append(task.unit.__name__)
            for following in done(task, content):
                self.asked.append((len(self.done), following.unit.__name__, following.date[-2:]))
                waiting.append(following)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Wide:
    crew = Wide(3)

    @contextmanager
    def hired(*_: object, **__: object) -> Iterator[Crew]:
        yield crew

    monkeypatch.setattr("ticklake.silver.build.hire", hired)
    return crew


def build(root: Path, **more: object) -> BuildResult:
    return SilverFeatureBuilder(root).build_feature_set(toy_manifest(**more))  # type: ignore[arg-type]


def test_the_certificate_is_drawn_as_soon_as_fewer_dates_are_under_way_than_workers(tmp_path: Path, wide: Wide) -> None:
    toy_lake(tmp_path, DAYS)
    assert build(tmp_path).certificate_passed
    assert wide.done == ["build_date"] * 4 + ["certify_date"] * 5 + ["check_files_of"] * 4
    drawn = [(after, day) for after, unit, day in wide.asked if unit == "certify_date"]
    assert sorted(drawn) == [(2, "16"), (2, "16"), (2, "17"), (3, "18"), (4, "19")], "with two of four left for three"
    assert {after for after, unit, _ in wide.asked if unit == "check_files_of"} == {4}


def test_a_date_that_turns_out_empty_shares_out_the_cuts_anew(
    tmp_path: Path, wide: Wide, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("overlapped", "plain"):
        lake = toy_lake(tmp_path / name, DAYS)
        add_day(lake, DAYS, rows=2)  # too few for an event
    assert outcomes(build(tmp_path / "overlapped")) == ["built"] * 4 + ["empty"]
    assert wide.done.count("certify_date") > 5, "some was drawn before the last date was known to be empty"
    monkeypatch.undo()
    assert build(tmp_path / "plain").certificate_passed
    assert sums(tmp_path / "overlapped") == sums(tmp_path / "plain")


def test_nothing_is_drawn_once_a_date_has_failed(tmp_path: Path, wide: Wide) -> None:
    toy_lake(tmp_path, DAYS)
    assert build(tmp_path, pipeline=FRAGILE).status == "failed"
    assert wide.done == ["build_date"] * DAYS


def test_documents_alone_take_no_date_and_all_of_the_judgement(tmp_path: Path, wide: Wide) -> None:
    toy_lake(tmp_path, DAYS)
    build(tmp_path)
    wide.done.clear()
    assert outcomes(build(tmp_path, cuts=8)) == ["skipped"] * DAYS
    assert wide.done == ["certify_date"] * 5 + ["check_files_of"] * DAYS
