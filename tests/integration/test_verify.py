"""`verify` finds whatever is done to a lake, and names it."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.integration.small_lake import TABLES, SmallLake, at, trade

from ticklake.base.errors import NoDataError
from ticklake.cli.main import main
from ticklake.lake.ledger import decode_entry, encode_entry
from ticklake.readers.report import VerifyReport
from ticklake.readers.verify import verify_lake


@pytest.fixture
def small(tmp_path: Path) -> SmallLake:
    """Three segments: two of trades, one of two hours."""
    small = SmallLake(tmp_path / "lake")
    small.add("futures.trades", [trade(at(14.1)), trade(at(14.2))])
    small.add("futures.trades", [trade(at(14.3)), trade(at(15.4))], duplicates=3)
    small.add("crypto.trades", [trade(at(16))], value="BTC/USD")
    return small


def _verify(small: SmallLake, *, deep: bool = False, table: str | None = None) -> VerifyReport:
    return verify_lake(small.root, None, table, deep, tables=TABLES)


def _data(small: SmallLake) -> list[Path]:
    return sorted((small.root / "bronze").rglob("*.parquet"))


def _ledger(small: SmallLake) -> list[Path]:
    return sorted((small.root / "catalog").rglob("*.json"))


def _only(report: VerifyReport, code: str, path: Path, root: Path) -> None:
    assert not report.is_ok
    assert [(problem.code, problem.path) for problem in report.problems] == [(code, path.relative_to(root).as_posix())]


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_lake_is_ok_and_its_books_balance(small: SmallLake, deep: bool) -> None:
    report = _verify(small, deep=deep)
    assert report.problems == ()
    assert report.is_ok
    [book] = report.books
    assert (book.received, book.stored, book.quarantined, book.duplicates, book.waiting) == (8, 5, 0, 3, None)
    assert (report.files, report.rows, book.segments, book.stored_rows) == (4, 5, 3, 5)


def test_where_no_lake_is_nothing_is_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("nothing", "empty"):
        with pytest.raises(NoDataError, match=rf"no lake at .*{place}: no catalog/ledger and no log; check --data"):
            verify_lake(tmp_path / place, tmp_path / "state", tables=TABLES)
        assert main(["verify", "--data", str(tmp_path / place)]) == 1
        assert "mount the volume" in capsys.readouterr().err


def test_a_deleted_file_is_found(small: SmallLake) -> None:
    for path in _data(small):
        content = path.read_bytes()
        path.unlink()
        _only(_verify(small), "missing_file", path, small.root)
        path.write_bytes(content)
    assert _verify(small).is_ok


def test_a_flipped_byte_anywhere_in_a_data_file_is_found(small: SmallLake) -> None:
    path = _data(small)[0]
    content = path.read_bytes()
    for offset in range(0, len(content), 97):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
        _only(_verify(small), "wrong_checksum", path, small.root)


def test_a_longer_and_a_shorter_file_are_found(small: SmallLake) -> None:
    path = _data(small)[0]
    content = path.read_bytes()
    for changed in (content + b"\0", content[:-1], b""):
        path.write_bytes(changed)
        _only(_verify(small), "wrong_size", path, small.root)


def test_a_changed_digit_in_a_ledger_entry_is_found(small: SmallLake) -> None:
    path = _ledger(small)[1]
    text = path.read_text()
    before_stamp = text.index('"committed_ns"')
    for offset, letter in enumerate(text[:before_stamp]):
        if letter.isdigit():
            path.write_text(text[:offset] + str((int(letter) + 1) % 10) + text[offset + 1 :])
            assert not _verify(small, deep=True).is_ok, text[max(offset - 30, 0) : offset + 10]


def test_a_damaged_ledger_entry_is_found(small: SmallLake) -> None:
    path = _ledger(small)[0]
    path.write_bytes(path.read_bytes()[:-9])
    problems = {problem.code: problem for problem in _verify(small).problems}
    assert {"ledger_unreadable", "unknown_file"} <= problems.keys()
    text = str(problems["ledger_unreadable"])
    assert text.count(path.name) == 1
    assert "ticklake verify" not in text  # which is what said it


def test_a_copied_file_is_found(small: SmallLake) -> None:
    source = _data(small)[0]
    copy = source.with_name(source.name.replace("part-1", "part-0"))
    shutil.copy(source, copy)
    _only(_verify(small), "unknown_file", copy, small.root)


def test_a_renamed_and_a_moved_file_are_found(small: SmallLake) -> None:
    source = _data(small)[0]
    for target in (source.with_name("renamed.parquet"), source.parents[1] / "hour=23" / source.name):
        target.parent.mkdir(exist_ok=True)
        source.rename(target)
        report = _verify(small)
        paths = {(problem.code, problem.path) for problem in report.problems}
        assert ("missing_file", source.relative_to(small.root).as_posix()) in paths
        assert target.relative_to(small.root).as_posix() in {path for _, path in paths}
        target.rename(source)


@pytest.mark.parametrize(
    "name",
    [
        "bronze/futures/trades/symbol=ES/date=2024-12-16/hour=14/notes.txt",
        "bronze/futures/trades/symbol=ES/date=2024-12-16/hour=14/x.parquet.tmp",
        "bronze/futures/trades/_tmp/part.parquet",
        "bronze/nobody/knows/x.parquet",
        "gold/levels/signals/underlying=ES/x.parquet",
        "quarantine/x.parquet",
        "quarantine/table=raw/date=2024-12-16/x.parquet",
    ],
)
def test_a_foreign_file_is_found(small: SmallLake, name: str) -> None:
    path = small.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    _only(_verify(small), "foreign_file", path, small.root)


def test_a_link_in_the_place_of_a_file_is_found(small: SmallLake, tmp_path: Path) -> None:
    path = _data(small)[0]
    path.rename(tmp_path / "elsewhere.parquet")
    path.symlink_to(tmp_path / "elsewhere.parquet")
    _only(_verify(small), "unreadable_file", path, small.root)


def test_a_missing_ledger_entry_is_found(small: SmallLake) -> None:
    _ledger(small)[1].unlink()
    codes = [problem.code for problem in _verify(small).problems]
    assert sorted(codes) == ["sequence_gap", "unknown_file", "unknown_file"]


def test_a_copied_ledger_entry_is_found(small: SmallLake) -> None:
    path = _ledger(small)[0]
    copy = path.with_name("000000000099.json")
    shutil.copy(path, copy)
    _only(_verify(small), "ledger_misplaced", copy, small.root)


def _change(small: SmallLake, index: int, **changes: object) -> Path:
    path = _ledger(small)[index]
    entry = decode_entry(path.read_bytes())
    path.write_bytes(encode_entry(replace(entry, **changes)))  # type: ignore[arg-type]
    return path


def test_doubled_sequences_are_found(small: SmallLake) -> None:
    path = _change(small, 1, first_seq=2, last_seq=3)
    found = {(problem.code, problem.path) for problem in _verify(small).problems}
    assert ("sequence_overlap", path.relative_to(small.root).as_posix()) in found


def test_books_that_do_not_balance_are_found(small: SmallLake) -> None:
    path = _change(small, 1, received=6)
    found = {(problem.code, problem.path) for problem in _verify(small).problems}
    assert ("unbalanced", path.relative_to(small.root).as_posix()) in found


def _rewrite(small: SmallLake, change: Callable[[list[dict[str, object]]], list[dict[str, object]]]) -> None:
    """A writer with a bug: one segment whose bytes and ledger agree, but whose rows are wrong."""
    small.add("futures.trades", change([trade(at(17.1)), trade(at(17.2))]))


def test_deep_finds_a_sequence_that_is_stored_twice(small: SmallLake) -> None:
    twice = small.sequence + 1
    _rewrite(small, lambda rows: [{**row, "stream_seq": twice} for row in rows])
    assert _verify(small).is_ok
    codes = {problem.code for problem in _verify(small, deep=True).problems}
    assert codes == {"duplicate_rows", "wrong_sequences"}


def test_deep_finds_a_sequence_from_elsewhere(small: SmallLake) -> None:
    _rewrite(small, lambda rows: [rows[0], {**rows[1], "stream_seq": 1}])
    codes = [problem.code for problem in _verify(small, deep=True).problems]
    assert codes == ["wrong_sequences"]


def test_deep_finds_rows_in_the_wrong_hour(small: SmallLake) -> None:
    [path] = small.add("futures.trades", [trade(at(17.1))])
    wrong = path.parents[1] / "hour=18" / path.name
    wrong.parent.mkdir()
    path.rename(wrong)
    entry = small.entries[-1]
    small.commit(
        replace(entry, files=(dataclasses.replace(entry.files[0], path=wrong.relative_to(small.root).as_posix()),))
    )
    assert _verify(small).is_ok
    _only(_verify(small, deep=True), "wrong_folder", wrong, small.root)


def test_deep_finds_a_footer_of_another_segment(small: SmallLake) -> None:
    [path] = small.add("futures.trades", [trade(at(17.1))])
    small.root.joinpath(_ledger(small)[-1]).unlink()
    entry = replace(small.entries[-1], segment=77)
    small.commit(entry)
    _only(_verify(small, deep=True), "wrong_footer", path, small.root)


def test_one_table_can_be_checked_alone(small: SmallLake) -> None:
    trades, crypto = _data(small)[-1], _data(small)[0]
    assert "crypto" in str(crypto)
    trades.unlink()
    assert _verify(small, table="crypto.trades").is_ok
    _only(_verify(small, table="futures.trades"), "missing_file", trades, small.root)


def test_the_command_names_problems_and_exits_with_three(small: SmallLake) -> None:
    arguments = ["verify", "--data", str(small.root), "--output", "json"]
    assert main(arguments) == 0
    _data(small)[0].unlink()
    assert main(arguments) == 3


def test_a_state_folder_that_is_named_must_be_there(small: SmallLake, capsys: pytest.CaptureFixture[str]) -> None:
    data = ["verify", "--data", str(small.root)]
    assert main([*data, "--state", str(small.root / "nope")]) == 2
    assert "no state folder at" in capsys.readouterr().err
    assert main(data) == 0
    shown = capsys.readouterr()
    assert f"waiting is unknown: no state folder at {small.root / '_state'}; only the lake was checked" in shown.err
    (small.root / "_state").mkdir()
    assert main(data) == 0
    assert "unknown" not in capsys.readouterr().err


@pytest.mark.parametrize("form", ["csv", "ndjson", "markdown"])
def test_problems_come_as_rows(small: SmallLake, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["verify", "--data", str(small.root), "--output", form]
    assert main(arguments) == 0
    assert "missing_file" not in capsys.readouterr().out
    [path, *_] = _data(small)
    path.unlink()
    assert main(arguments) == 3
    shown = capsys.readouterr()
    [row] = [line for line in shown.out.splitlines() if path.name in line]
    assert "missing_file" in row
    assert "restore the file" in row
    assert "1 problem found; it names its next step" in shown.err


def test_the_report_is_json(small: SmallLake, capsys: pytest.CaptureFixture[str]) -> None:
    _data(small)[0].unlink()
    main(["verify", "--data", str(small.root), "--output", "json"])
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["books"][0]["stream"] == "MARKET_DATA"
    assert report["problems"][0]["code"] == "missing_file"
    assert report["problems"][0]["next_step"]
