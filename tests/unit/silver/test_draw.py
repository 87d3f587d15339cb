"""How the certificate of a version is cut into units of work."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.integration.silver.toy import EPISODES, TOY

from ticklake.base.errors import UsageError
from ticklake.schema.lookup import TableCatalog
from ticklake.silver.draw import CertificateTask, _watched
from ticklake.silver.pipeline import default_parameters
from ticklake.silver.stage import Role

TASK = CertificateTask(
    build="one",
    root="/lake",
    tables=TableCatalog(),
    manifest="",
    date="2025-06-20",
    signals="",
    cuts=7,
    density=1.0,
)


def test_no_two_tasks_that_may_be_under_way_have_one_key() -> None:
    others = [
        replace(TASK, build="another"),
        replace(TASK, date="2025-06-19"),
        replace(TASK, cuts=0),
        replace(TASK, density=0.5),
    ]
    assert len({task.key for task in (TASK, *others)}) == 5


def test_the_dates_with_most_cuts_begin_first() -> None:
    tasks = [replace(TASK, cuts=0), replace(TASK, cuts=6), TASK]
    assert sorted(tasks, key=lambda task: -task.bytes) == [tasks[2], tasks[1], tasks[0]]


@pytest.mark.parametrize("missing", ["event_id", "ts_event_ns"])
def test_features_of_another_frame_need_a_key_and_a_time(missing: str) -> None:
    given = EPISODES.gives["episodes"]
    kept = tuple(spec for spec in given if spec.name != missing)
    if missing == "event_id":  # the time stays, and is no key
        kept = tuple(replace(spec, role=Role.INFO) if spec.role is Role.KEY else spec for spec in kept)
    pipeline = TOY.with_stages([*TOY.stages[:-1], replace(EPISODES, gives={"episodes": kept})])
    with pytest.raises(UsageError, match="frame 'episodes' has features and no key or no ts_event_ns"):
        _watched(pipeline, default_parameters(pipeline))
    assert [each.frame for each in _watched(TOY, default_parameters(TOY))] == ["events", "episodes"]
