from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from ticklake.lake.ledger import LedgerEntry, LedgerFile
from ticklake.readers.sequences import check_entry, check_lives
from ticklake.schema.messages import Skipped

ENTRY = LedgerEntry(
    writer="0123abcd-market_data",
    lane="market_data",
    stream="MARKET_DATA",
    segment=1,
    incarnation=1,
    first_seq=1,
    last_seq=10,
    received=12,
    stored=9,
    quarantined=1,
    duplicates=2,
    committed_ns=0,
    missing=(),
    rows={"futures.trades": 9},
    quarantined_rows={"futures.trades": 1},
    reasons={"wrong_type": 1},
    files=(
        LedgerFile("bronze/futures/trades/a.parquet", "futures.trades", 9, 1, "00000000"),
        LedgerFile("quarantine/table=futures.trades/b.parquet", "futures.trades", 1, 1, "00000000"),
    ),
)


def _follow(first: int, last: int, segment: int = 2, taken: int | None = None, **more: object) -> LedgerEntry:
    taken = last - first + 1 if taken is None else taken
    changes = {"first_seq": first, "last_seq": last, "segment": segment, "received": taken, "duplicates": 0, **more}
    return replace(ENTRY, **changes)  # type: ignore[arg-type]


def _codes(entries: Sequence[LedgerEntry]) -> list[str]:
    return [problem.code for problem in check_lives(entries)]


def test_an_entry_that_adds_up_is_fine() -> None:
    assert list(check_entry(ENTRY, "x")) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"received": 13}, "unbalanced"),
        ({"stored": 8}, "unbalanced"),
        ({"lane": "other"}, "ledger_wrong"),
        ({"stream": "OTHER"}, "ledger_wrong"),
        ({"rows": {"futures.trades": 8}}, "ledger_wrong"),
        ({"quarantined_rows": {}}, "ledger_wrong"),
        ({"reasons": {"wrong_type": 2}}, "ledger_wrong"),
        ({"files": (ENTRY.files[0], ENTRY.files[0])}, "ledger_wrong"),
    ],
)
def test_an_entry_that_contradicts_itself_is_named(change: dict[str, object], code: str) -> None:
    found = [problem.code for problem in check_entry(replace(ENTRY, **change), "x")]  # type: ignore[arg-type]
    assert code in found


def test_entries_that_follow_each_other_are_fine() -> None:
    assert _codes([ENTRY, _follow(11, 20), _follow(21, 21, 5)]) == []  # segment numbers may skip


def test_a_gap_in_the_sequences_is_named() -> None:
    assert _codes([ENTRY, _follow(12, 20)]) == ["sequence_gap"]
    assert _codes([ENTRY, _follow(11, 20, taken=9)]) == ["sequence_gap"]


def test_a_gap_that_the_server_explains_is_fine() -> None:
    assert _codes([ENTRY, _follow(14, 20, missing=((11, 13),))]) == []
    assert _codes([ENTRY, _follow(11, 20, taken=8, missing=((15, 16),))]) == []


def test_what_a_filter_passed_over_is_no_gap_and_hides_none() -> None:
    def skipped(after: int, sequences: int) -> dict[str, object]:
        return {"skipped": Skipped(after, sequences)}

    assert _codes([ENTRY, _follow(14, 20, taken=5, **skipped(10, 5))]) == []
    assert _codes([_follow(14, 20, taken=5, **skipped(10, 5))]) == []
    assert _codes([_follow(14, 20, taken=5, missing=((12, 13),), **skipped(14, 2))]) == []  # missing before it began
    assert _codes([_follow(14, 20, taken=4, missing=((15, 15),), **skipped(10, 5))]) == []
    assert _codes([ENTRY, _follow(14, 20, taken=5, **skipped(11, 4))]) == ["sequence_gap"]  # one before it is gone
    assert _codes([ENTRY, _follow(14, 20, taken=4, **skipped(10, 5))]) == ["sequence_gap"]  # one inside is gone
    assert _codes([ENTRY, _follow(14, 20, taken=6, **skipped(10, 5))]) == ["sequence_overlap"]
    assert _codes([ENTRY, _follow(10, 20, taken=6, **skipped(9, 5))]) == ["sequence_overlap"]


def test_an_overlap_is_named() -> None:
    assert _codes([ENTRY, _follow(10, 20)]) == ["sequence_overlap"]
    assert _codes([ENTRY, _follow(11, 20, taken=11)]) == ["sequence_overlap"]


def test_a_new_incarnation_starts_its_own_count() -> None:
    assert _codes([ENTRY, _follow(1, 5, incarnation=2), _follow(6, 9, 3, incarnation=2)]) == []


def test_core_messages_have_no_sequences_to_check() -> None:
    assert _codes([ENTRY, _follow(1, 1, first_seq=None, last_seq=None), _follow(11, 12, 3)]) == []


def test_a_writer_that_goes_on_for_a_lost_one_is_in_its_chain() -> None:
    reached = {"incarnation": [1, 7, "first"], "position": [1, 10, 100, 0], "seen": []}
    before = replace(ENTRY, reached=reached)
    other = {"writer": "9999abcd-market_data", "reached": reached}
    assert _codes([_follow(11, 20, 1, **other), before]) == []
    assert _codes([_follow(12, 20, 1, **other), before]) == ["sequence_gap"]
    assert _codes([_follow(10, 20, 1, **other), before]) == ["sequence_overlap"]
    assert _codes([_follow(1, 9, 1, **{**other, "reached": {**reached, "incarnation": [1, 8, "first"]}}), before]) == []


def test_an_entry_inside_another_one_is_named_once() -> None:
    assert _codes([_follow(1, 100), _follow(50, 60, 3), _follow(101, 102, 4)]) == ["sequence_overlap"]
