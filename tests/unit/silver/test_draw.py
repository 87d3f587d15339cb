"""How the certificate of a version is cut into units of work."""

from __future__ import annotations

from dataclasses import replace

from ticklake.schema.lookup import TableCatalog
from ticklake.silver.draw import CertificateTask

TASK = CertificateTask(
    root="/lake",
    tables=TableCatalog(),
    manifest="",
    version="v1",
    date="2025-06-20",
    signals="",
    cuts=7,
    density=1.0,
)


def test_no_two_tasks_that_may_be_under_way_have_one_key() -> None:
    others = [
        replace(TASK, version="v2"),
        replace(TASK, root="/other"),
        replace(TASK, date="2025-06-19"),
        replace(TASK, cuts=0),
    ]
    assert len({task.key for task in (TASK, *others)}) == 5


def test_the_dates_with_most_cuts_begin_first() -> None:
    tasks = [replace(TASK, cuts=0), replace(TASK, cuts=6), TASK]
    assert sorted(tasks, key=lambda task: -task.bytes) == [tasks[2], tasks[1], tasks[0]]
