"""How the certificate of a version is cut into units of work."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

import pytest

from ticklake.schema.lookup import TableCatalog
from ticklake.silver.draw import CertificateTask, _pieces

TASK = CertificateTask(
    root="/lake",
    tables=TableCatalog(),
    manifest="",
    version="v1",
    date="2025-06-20",
    signals="",
    cuts=7,
    density=1.0,
    all_rows=False,
    piece=(0, 1),
)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("days", [1, 2, 3, 5, 8, 20])
def test_every_date_is_whole_and_no_round_leaves_half_of_the_workers_idle(days: int, width: int) -> None:
    names = [f"day {number:02}" for number in range(days)]
    units = list(_pieces(names, width))
    pieces = {day: [piece for _, piece in found] for day, found in groupby(units, key=lambda unit: unit[0])}
    assert list(pieces) == names
    for found in pieces.values():
        assert found == [(number, len(found)) for number in range(len(found))]
    assert len(units) % width == 0 or len(units) % width > width / 2
    assert all(len(found) == 1 for found in list(pieces.values())[: days // width * width])


def test_no_two_tasks_that_may_be_under_way_have_one_key() -> None:
    others = [
        replace(TASK, version="v2"),
        replace(TASK, root="/other"),
        replace(TASK, date="2025-06-19"),
        replace(TASK, piece=(1, 2)),
    ]
    assert len({task.key for task in (TASK, *others)}) == 5


def test_the_date_with_every_row_begins_first_and_pieces_last() -> None:
    tasks = [replace(TASK, piece=(0, 2)), TASK, replace(TASK, all_rows=True), replace(TASK, piece=(1, 2))]
    assert sorted(tasks, key=lambda task: -task.bytes) == [tasks[2], tasks[1], tasks[0], tasks[3]]
