from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.readers.test_sequences import ENTRY

from ticklake.readers.reach import check_log
from ticklake.readers.waiting import LaneLog
from ticklake.wal.seen import SeenSet
from ticklake.wal.state import Incarnation, Position, SegmentState

SETS = st.sets(st.integers(1, 30), min_size=1)


def _log(position: Position = Position(), seen: tuple[tuple[int, int, int], ...] = ()) -> LaneLog:  # noqa: B008 - frozen
    state = SegmentState("market_data", "MARKET_DATA", Incarnation(1, 7, "first"), position, seen=seen)
    return LaneLog("market_data", "MARKET_DATA", ENTRY.writer, {}, state, bool(seen))


def _set(numbers: set[int]) -> SeenSet:
    return SeenSet((number, number, 9) for number in numbers)


@given(committed=SETS, seen=SETS)
def test_the_first_sequences_that_a_log_has_seen_and_no_entry_has_are_named(
    committed: set[int], seen: set[int]
) -> None:
    ranges = _set(committed).ranges()
    entries = [
        replace(ENTRY, segment=n, reached={"incarnation": [1, 7, "first"], "seen": [list(one)]})
        for n, one in enumerate(ranges)
    ]
    found = [problem.what for problem in check_log(_log(seen=_set(seen).ranges()), entries)]
    absent = _set(seen - committed).ranges()
    wanted = [f"sequences {first} to {last} " for first, last, _ in absent[:1]]
    assert [re.findall(r"sequences \d+ to \d+ ", what)[0] for what in found] == wanted


def test_a_position_is_held_against_the_entries_of_its_own_life_of_the_stream() -> None:
    log = _log(Position(1, 10, 100, 0))
    other_life = replace(ENTRY, reached={"incarnation": [1, 8, "first"], "seen": []})
    assert list(check_log(log, [ENTRY])) == []  # an older program did not book the life
    assert [problem.code for problem in check_log(log, [other_life])] == ["sequence_gap"]
    assert [problem.code for problem in check_log(log, [replace(ENTRY, stream="OTHER")])] == ["sequence_gap"]
    assert [problem.code for problem in check_log(log, [replace(ENTRY, last_seq=9)])] == ["sequence_gap"]
