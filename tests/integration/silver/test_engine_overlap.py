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
        self.workers: int | None = None
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
    def hired(*_: object, workers: int | None = None, **__: object) -> Iterator[Crew]:
        crew.workers = workers
        yield crew

    monkeypatch.setattr("ticklake.silver.build.hire", hired)
    return crew


def build(root: Path, **more: object) -> BuildResult:
    return SilverFeatureBuilder(root).build_feature_set(toy_manifest(**more))  # type: ignore[arg-type]


def test_workers_without_a_date_draw_one_share_each_while_others_build(tmp_path: Path, wide: Wide) -> None:
    toy_lake(tmp_path, DAYS)
    result = build(tmp_path)
    assert result.certificate_passed
    assert 0 < result.certificate_seconds < result.build_time_seconds
    assert wide.done == ["build_date"] * 4 + ["certify_date"] * 5 + ["check_files_of"] * 4
    drawn = [(after, day) for after, unit, day in wide.asked if unit == "certify_date"]
    assert drawn[:2] == [(2, "16"), (3, "16")], "two of four dates are left for three workers, then one"
    assert {after for after, _, _ in wide.asked[2:]} == {4}


def test_dates_that_turn_out_empty_share_out_the_cuts_anew(
    tmp_path: Path, wide: Wide, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("overlapped", "plain"):
        lake = toy_lake(tmp_path / name, DAYS)
        for day in (DAYS, DAYS + 3):  # Friday and Monday
            add_day(lake, day, rows=1)  # too few for an event
    assert outcomes(build(tmp_path / "overlapped")) == ["built"] * DAYS + ["empty"] * 2
    shares = 5
    assert shares < wide.done.count("certify_date") <= shares + wide.width, "what was drawn in vain is little"
    monkeypatch.undo()
    assert build(tmp_path / "plain").certificate_passed
    assert sums(tmp_path / "overlapped") == sums(tmp_path / "plain")


@pytest.mark.parametrize("days", [2, DAYS], ids=["the last", "one of the first"])
def test_nothing_more_is_drawn_and_nothing_checked_once_a_date_has_failed(
    tmp_path: Path, wide: Wide, days: int
) -> None:
    toy_lake(tmp_path, days)
    assert build(tmp_path, pipeline=FRAGILE).status == "failed"
    assert wide.done.count("certify_date") == {2: 2, DAYS: 0}[days], "before the second date failed"
    assert set(wide.done) <= {"build_date", "certify_date"}


def test_documents_alone_take_no_date_and_all_of_the_judgement(tmp_path: Path, wide: Wide) -> None:
    toy_lake(tmp_path, DAYS)
    build(tmp_path)
    wide.done.clear()
    assert outcomes(build(tmp_path, cuts=8)) == ["skipped"] * DAYS
    assert wide.done == ["certify_date"] * 5 + ["check_files_of"] * DAYS


def test_no_more_workers_are_hired_than_ever_have_something_to_do(tmp_path: Path, wide: Wide) -> None:
    toy_lake(tmp_path, DAYS)
    builder = SilverFeatureBuilder(tmp_path)
    hired = []
    for workers in (1000, 2, 0, None):
        builder.build_feature_set(toy_manifest(), workers=workers, force=True)
        hired.append(wide.workers)
    assert hired == [DAYS + 1, 2, 0, None]


@pytest.mark.parametrize("width", [1, 3])
def test_signals_that_a_second_pass_rewrites_are_compared_as_they_stay(tmp_path: Path, wide: Wide, width: int) -> None:
    """Whatever the second pass makes of them no rebuild can know."""
    wide.width = width
    toy_lake(tmp_path, DAYS)
    result = build(tmp_path, pipeline="tests.integration.silver.fragile:REWRITTEN")
    assert (result.status, result.certificate_passed) == ("complete", False)
    assert "step_points know the future" in result.reason
    assert {after for after, unit, _ in wide.asked if unit == "certify_date"} == {DAYS}


def test_a_share_that_cannot_be_drawn_fails_the_version_even_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    monkeypatch.setenv("TOY_MARK", str(mark))
    toy_lake(tmp_path)
    manifest = toy_manifest(pipeline="tests.integration.silver.fragile:SPEECHLESS")

    def once_all_are_built(_: object, done: int, total: int) -> None:
        if done == total:
            mark.touch()

    result = SilverFeatureBuilder(tmp_path).build_feature_set(manifest, workers=0, progress=once_all_are_built)
    assert result.status == "failed"
    assert "the causality certificate could not be drawn: 2024-12-17: NoDataError" in result.reason


def test_checks_that_fail_are_told_even_when_the_certificate_cannot_be_drawn(tmp_path: Path) -> None:
    toy_lake(tmp_path)
    builder = SilverFeatureBuilder(tmp_path)
    result = builder.build_feature_set(toy_manifest(pipeline="tests.integration.silver.fragile:TIMELESS"), workers=0)
    assert (result.status, builder.get_state("v1").state) == ("failed", "failed")
    assert "null signals.ts_event_ns (3 of 240" in result.reason
