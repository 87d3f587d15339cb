"""The audit log on a disk: what a killed writer leaves is taken over or put aside, everything else stops the log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ticklake.base.errors import CorruptError
from ticklake.stores.audit_records import AuditKind
from ticklake.stores.file_store import FileDataStore
from ticklake.stores.models import Action, Decision
from ticklake.testing.clock import ManualClock

DAY_S = 86_400
DECISION = Decision("AAPL", Action.BUY, 0.5, 0.5, "why")


class Log:
    """A log with a clock, and its files."""

    def __init__(self, base: Path) -> None:
        self.clock = ManualClock()
        self.store = FileDataStore(base, clock=self.clock)
        self.folder = base / "audit" / "decisions"
        self.head = self.folder / "HEAD.json"

    def write(self, times: int = 1) -> None:
        for _ in range(times):
            self.store.log_decision("value", DECISION)

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.jsonl"))

    @property
    def numbers(self) -> list[int]:
        return [one.seq for one in self.store.read_decisions()]

    @property
    def is_whole(self) -> bool:
        return self.store.verify_audit(AuditKind.DECISIONS).is_ok


@pytest.fixture
def log(tmp_path: Path) -> Log:
    log = Log(tmp_path)
    log.write(2)
    return log


def test_a_day_has_a_file_and_the_chain_goes_on(log: Log) -> None:
    log.clock.advance(DAY_S)
    log.write()
    assert [path.stem for path in log.files] == ["2024-12-16", "2024-12-17"]
    assert log.numbers == [1, 2, 3]
    assert log.is_whole


def test_a_clock_set_back_reorders_nothing(log: Log) -> None:
    log.clock.set_wall_ns(log.clock.wall_ns() - 3 * DAY_S * 10**9)
    log.write()
    assert [path.stem for path in log.files] == ["2024-12-16"]
    assert log.numbers == [1, 2, 3]
    assert log.is_whole
    early = log.store.read_decisions()[-1].timestamp
    assert [one.seq for one in log.store.read_decisions(early, early)] == [3]


@pytest.mark.parametrize("days", [0, 1], ids=["same day", "next day"])
def test_a_line_that_its_writer_did_not_live_to_report_is_taken_over(log: Log, days: int) -> None:
    before = log.head.read_bytes()
    log.clock.advance(days * DAY_S)
    log.write()
    log.head.write_bytes(before)  # killed between the line and the head
    assert log.is_whole
    log.write()
    assert log.numbers == [1, 2, 3, 4]
    assert log.is_whole


@pytest.mark.parametrize("days", [0, 1], ids=["same day", "next day"])
def test_a_torn_line_is_put_aside(log: Log, days: int) -> None:
    with log.files[-1].open("ab") as file:
        file.write(b'{"seq":3,"prev')
    report = log.store.verify_audit(AuditKind.DECISIONS)
    assert (report.is_ok, report.lines, report.unfinished_bytes) == (True, 2, 14)
    assert log.numbers == [1, 2]
    log.clock.advance(days * DAY_S)
    log.write()
    assert log.numbers == [1, 2, 3]
    assert log.is_whole
    assert [path.read_bytes() for path in log.folder.glob(".torn-*")] == [b'{"seq":3,"prev']


def test_a_torn_first_line_of_a_day_leaves_no_file(log: Log) -> None:
    (log.folder / "2024-12-17.jsonl").write_bytes(b'{"seq"')
    log.write()
    assert [path.stem for path in log.files] == ["2024-12-16"]
    assert log.is_whole


def lose_head(log: Log) -> None:
    log.head.unlink()


def lose_day(log: Log) -> None:
    log.files[-1].unlink()


def cut_line(log: Log) -> None:
    path = log.files[-1]
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


def add_two_lines(log: Log) -> None:
    head = log.head.read_bytes()
    log.write(2)
    log.head.write_bytes(head)


def add_foreign_line(log: Log) -> None:
    path = log.files[-1]
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])


def garble_head(log: Log) -> None:
    log.head.write_bytes(b"{")


def empty_head(log: Log) -> None:
    log.head.write_bytes(b"{}")


DAMAGES = [lose_head, lose_day, cut_line, add_two_lines, add_foreign_line, garble_head, empty_head]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_what_no_killed_writer_leaves_stops_the_log_and_is_found(log: Log, damage: Callable[[Log], None]) -> None:
    damage(log)
    assert not log.is_whole
    with pytest.raises(CorruptError):
        log.write()


def test_a_changed_line_is_never_read_as_if_it_were_good(log: Log) -> None:
    path = log.files[-1]
    path.write_bytes(path.read_bytes().replace(b"why", b"shy", 1))
    with pytest.raises(CorruptError, match=r"2024-12-16\.jsonl line 1"):
        log.store.read_decisions()


def test_lines_are_json_for_everybody(log: Log) -> None:
    lines = [json.loads(line) for line in log.files[-1].read_text().splitlines()]
    assert [line["seq"] for line in lines] == [1, 2]
    assert lines[1]["previous"] == lines[0]["hash"]
