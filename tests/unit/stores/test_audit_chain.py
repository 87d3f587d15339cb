"""The chain itself: what a walk says about lines that do not fit."""

from __future__ import annotations

import pytest

from ticklake.base.errors import CorruptError, UsageError
from ticklake.stores.audit_chain import GENESIS, START, ChainHead, check_chain, decode_entry, encode_entry, hashes_of


def chain(length: int) -> list[bytes]:
    lines, head = [], START
    for number in range(length):
        line, head = encode_entry(head, {"day": "2026-01-05", "word": f"é\n{number}"})
        lines.append(line)
    return lines


def walk(lines: list[bytes]) -> list[str]:
    _, _, problems = check_chain((f"line {number}", "2026-01-05", line) for number, line in enumerate(lines, start=1))
    return [str(problem) for problem in problems]


def test_a_line_says_what_was_logged_and_where_it_belongs() -> None:
    first, second = (decode_entry(line, where="here") for line in chain(2))
    assert (first.head.seq, first.previous, first.record["word"]) == (1, GENESIS, "é\n0")
    assert second.previous == first.head.hash
    assert b"\n" not in chain(1)[0]


def test_a_whole_chain_has_no_problem() -> None:
    lines = chain(5)
    last, before, problems = check_chain((str(number), None, line) for number, line in enumerate(lines))
    assert (last.seq, before.seq, problems) == (5, 4, [])
    assert hashes_of([("", None, line) for line in lines])[5] == last.hash


def test_a_changed_line_is_reported_once() -> None:
    lines = chain(5)
    lines[2] = lines[2].replace(b'"word"', b'"ward"')
    assert walk(lines) == ["line 3: was changed: the line does not have its own hash"]


def test_a_missing_a_repeated_and_a_moved_line_are_told_apart() -> None:
    lines = chain(5)
    assert walk(lines[:2] + lines[3:]) == ["line 3: line number 4 where 3 belongs: lines are missing before it"]
    assert walk([*lines, lines[4]]) == ["line 6: line number 5 where 6 belongs: it is out of order or repeated"]
    assert len(walk([lines[1], lines[0], *lines[2:]])) == 3


def test_a_line_of_another_chain_does_not_follow() -> None:
    foreign, _ = encode_entry(ChainHead(1, "f" * 64), {"day": "2026-01-05"})
    assert walk([chain(1)[0], foreign]) == ["line 2: does not follow from the line before: one of them was replaced"]


def test_a_line_in_the_file_of_another_day_is_found() -> None:
    _, _, problems = check_chain([("line 1", "2026-01-06", chain(1)[0])])
    assert [problem.what for problem in problems] == ["was moved here from the file of 2026-01-05"]


def test_a_line_that_is_none_is_refused() -> None:
    for line in (b"", b"{}", chain(1)[0][:-1], chain(1)[0] + b" ", chain(1)[0].upper()):
        with pytest.raises(CorruptError):
            decode_entry(line, where="here")


def test_a_head_can_be_written_down() -> None:
    head = ChainHead(7, "a" * 64)
    assert ChainHead.parse(str(head)) == head
    for text in ("", "7", f"7:{'A' * 64}", f"-1:{'a' * 64}"):
        with pytest.raises(UsageError):
            ChainHead.parse(text)
