from __future__ import annotations

from dataclasses import replace

import pytest

from ticklake.base.settings import Settings
from ticklake.service.alarms import AlarmBook, Notice, clock_notices, lane_notices
from ticklake.service.recent import WINDOW_S, Recent
from ticklake.service.status import HealthLimits, LaneStatus, NatsStatus, TableStatus

S = 1_000_000_000
NOW = 1_734_359_400 * S
LIMITS = HealthLimits()
NATS = NatsStatus(connected=True, url="nats://h:4222", server_version="2.15.1", since_ns=NOW)
LANE = LaneStatus(name="market_data", stream="MARKET_DATA", mode="jetstream", last_message_ns=NOW - S)


def notices(lane: LaneStatus) -> list[str]:
    return [notice.code for notice in lane_notices(lane, LIMITS, NOW)]


def with_table(rows: int, rejected: int) -> LaneStatus:
    return replace(LANE, tables={"fx.quotes": TableStatus(rows_recent=rows, quarantined_rows_recent=rejected)})


def test_an_alarm_keeps_its_time_and_begins_anew_when_it_comes_back() -> None:
    book, notice = AlarmBook(), Notice("slow_disk", "a", "slow", "look")
    assert [alarm.since_ns for alarm in book.enter([notice], NOW)] == [NOW]
    later = replace(notice, what="slower")
    assert [(alarm.what, alarm.since_ns) for alarm in book.enter([later], NOW + S)] == [("slower", NOW)]
    assert book.enter([], NOW + 2 * S) == ()
    assert [alarm.since_ns for alarm in book.enter([notice], NOW + 3 * S)] == [NOW + 3 * S]


def test_two_lanes_have_their_own_times_and_a_part_that_knows_is_believed() -> None:
    book = AlarmBook()
    first, second = Notice("slow_disk", "a", "slow", "look"), Notice("slow_disk", "b", "slow", "look")
    known = Notice("out_of_room", "a", "full", "free space", since_ns=NOW - S)
    book.enter([first], NOW)
    assert [alarm.since_ns for alarm in book.enter([first, second, known], NOW + S)] == [NOW, NOW + S, NOW - S]


@pytest.mark.parametrize(("skew_s", "words"), [(2.1, "behind"), (-2.1, "ahead of")])
def test_a_clock_that_is_off_says_in_which_direction(skew_s: float, words: str) -> None:
    (notice,) = clock_notices(replace(NATS, clock_skew_s=skew_s), LIMITS)
    assert (notice.code, words in notice.what) == ("clock_skew", True)


@pytest.mark.parametrize("skew_s", [None, 0.0, 2.0, -2.0])
def test_a_clock_within_the_limit_or_unknown_is_no_alarm(skew_s: float | None) -> None:
    assert not list(clock_notices(replace(NATS, clock_skew_s=skew_s), LIMITS))


def test_a_slow_disk_is_one_that_is_slow_now() -> None:
    assert notices(replace(LANE, sync_s=0.51)) == ["slow_disk"]
    assert notices(replace(LANE, sync_s=0.5)) == []
    assert notices(replace(LANE, sync_s=9.0, last_message_ns=NOW - 61 * S)) == []
    assert notices(replace(LANE, sync_s=9.0, last_message_ns=None)) == []


def test_a_flood_is_many_rows_and_a_large_share() -> None:
    assert notices(with_table(rows=800, rejected=100)) == ["quarantine_flood"]
    assert notices(with_table(rows=0, rejected=100)) == ["quarantine_flood"]
    assert notices(with_table(rows=900, rejected=100)) == []  # a tenth
    assert notices(with_table(rows=0, rejected=99)) == []


def test_growth_looks_back_one_minute_and_no_further() -> None:
    recent = Recent()
    assert recent.growth("rows", 50, 0.0) == 50  # began at zero when first seen
    for second in range(1, 121):
        grown = recent.growth("rows", 50 + 10 * second, float(second))
        assert grown == (50 + 10 * second if second <= WINDOW_S else 10 * WINDOW_S)
    assert recent.growth("rows", 1250, 120.5) == 590  # looked twice within a second: the window moves, nothing is added
    for second in range(121, 182):
        grown = recent.growth("rows", 1250, float(second))
    assert grown == 0
    assert recent.growth("other", 3, 182.0) == 3


def test_the_settings_name_the_limits_and_their_defaults() -> None:
    assert HealthLimits(**Settings().health.model_dump()) == HealthLimits()
