"""`verify` finds whatever is done to a lake in a bucket, and names the object."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import obstore
import pytest
from tests.integration.real_lake import RealLake, wire_trade
from tests.integration.small_lake import TABLES, SmallLake, at, trade
from tests.s3.uploaded import upload

from ticklake.base.errors import NoDataError
from ticklake.files.object_path import ObjectPath
from ticklake.readers.report import VerifyReport
from ticklake.readers.verify import verify_lake


@pytest.fixture
def small(tmp_path: Path, bucket: ObjectPath) -> SmallLake:
    """Three segments, in the bucket too."""
    small = SmallLake(tmp_path / "lake")
    small.add("futures.trades", [trade(at(14.1)), trade(at(14.2))])
    small.add("futures.trades", [trade(at(14.3)), trade(at(15.4))], duplicates=3)
    small.add("crypto.trades", [trade(at(16))], value="BTC/USD")
    upload(small.root, bucket)
    return small


def _verify(bucket: ObjectPath, *, deep: bool = False, table: str | None = None) -> VerifyReport:
    return verify_lake(bucket, None, table, deep, tables=TABLES)


def _data(bucket: ObjectPath) -> list[ObjectPath]:
    return sorted((bucket / "bronze").rglob("*.parquet"))


def _found(report: VerifyReport) -> list[tuple[str, str]]:
    return [(problem.code, problem.path) for problem in report.problems]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("table", [None, "futures.trades"])
def test_the_report_is_that_of_the_same_lake_on_a_disk(
    small: SmallLake, bucket: ObjectPath, deep: bool, table: str | None
) -> None:
    ours = _verify(bucket, deep=deep, table=table)
    assert ours == verify_lake(small.root, None, table, deep, tables=TABLES)
    assert ours.is_ok
    assert ours.files == (4 if table is None else 3)


def test_in_an_empty_bucket_is_no_lake(bucket: ObjectPath) -> None:
    with pytest.raises(NoDataError, match=f"no lake at {bucket}"):
        _verify(bucket)


def test_the_bytes_are_read_only_when_asked(small: SmallLake, bucket: ObjectPath) -> None:
    asked: Counter[str] = Counter()
    bucket.store.observe = lambda operation, result, _seconds: asked.update([operation] if result == "ok" else [])
    _verify(bucket)
    assert (asked["head"], asked["get"]) == (4, 3)  # four files; three entries of the ledger
    asked.clear()
    _verify(bucket, deep=True)
    assert asked["get"] >= 7
    bucket.store.observe = lambda _operation, _result, _seconds: None


def _delete(path: ObjectPath) -> None:
    path.unlink()


def _overwrite(path: ObjectPath) -> None:
    content = path.read_bytes()
    path.store.put(path.key, content[:50] + bytes([content[50] ^ 1]) + content[51:])


def _overwrite_by_others(path: ObjectPath) -> None:
    content = path.read_bytes()
    obstore.put(path.store._store, path.key, content[:50] + bytes([content[50] ^ 1]) + content[51:])


def _cut(path: ObjectPath) -> None:
    path.store.put(path.key, path.read_bytes()[:-1])


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_delete, "missing_file"),
        (_overwrite, "wrong_checksum"),
        (_overwrite_by_others, "wrong_checksum"),
        (_cut, "wrong_size"),
    ],
)
def test_a_changed_object_is_found(
    small: SmallLake, bucket: ObjectPath, change: Callable[[ObjectPath], None], code: str, deep: bool
) -> None:
    path = _data(bucket)[-1]
    change(path)
    assert _found(_verify(bucket, deep=deep)) == [(code, str(path.relative_to(bucket)))]


def test_a_restored_copy_without_our_marks_is_fine(small: SmallLake, bucket: ObjectPath) -> None:
    path = _data(bucket)[0]
    obstore.put(path.store._store, path.key, path.read_bytes())
    assert path.store.head(path.key).crc32c is None
    assert _verify(bucket).is_ok


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("bronze/futures/trades/symbol=NQ/date=2024-12-16/hour=14/{name}", "unknown_file"),
        ("bronze/futures/trades/symbol=ES/date=2024-12-16/hour=14/copy of {name}", "foreign_file"),
        ("quarantine/table=x/date=2024-12-16/{name}", "unknown_file"),
    ],
)
def test_a_copied_object_is_found(small: SmallLake, bucket: ObjectPath, name: str, code: str) -> None:
    original = _data(bucket)[-1]
    copy = bucket / name.format(name=original.name)
    copy.store.put(copy.key, original.read_bytes())
    assert _found(_verify(bucket)) == [(code, str(copy.relative_to(bucket)))]


@pytest.mark.parametrize("code", ["ledger_unreadable", "ledger_misplaced", "gone"])
def test_the_ledger_is_checked(small: SmallLake, bucket: ObjectPath, code: str) -> None:
    entry = sorted((bucket / "catalog/ledger").rglob("*.json"))[1]
    if code == "ledger_unreadable":
        entry.store.put(entry.key, b"{")
        assert (code, str(entry.relative_to(bucket))) in _found(_verify(bucket))
    elif code == "ledger_misplaced":
        copy = entry.parent / "000000000099.json"
        copy.store.put(copy.key, entry.read_bytes())
        assert _found(_verify(bucket)) == [(code, str(copy.relative_to(bucket)))]
    else:
        entry.unlink()
        assert {found for found, _ in _found(_verify(bucket))} == {"unknown_file", "sequence_gap"}


def test_deep_finds_what_the_books_cannot_know(small: SmallLake, bucket: ObjectPath) -> None:
    other = SmallLake(small.root.parent / "other")
    other.add("futures.trades", [trade(at(14.1)), trade(at(14.2))])
    [first] = other.add("futures.trades", [trade(at(14)), trade(at(13, day=1))])[:1]
    folder = first.parent.relative_to(other.root).as_posix().replace("hour=14", "hour=03")
    entry = other.entries[-1]
    assert entry.segment == 2
    fresh = bucket / "fresh"
    upload(other.root, fresh)
    moved = fresh / folder / first.name
    moved.store.put(moved.key, first.read_bytes())
    document = fresh / "catalog/ledger" / entry.writer / f"{entry.segment:012d}.json"
    document.store.put(
        document.key, document.read_bytes().replace(b"hour=14/" + first.name.encode(), f"hour=03/{first.name}".encode())
    )
    (fresh / first.relative_to(other.root).as_posix()).unlink()
    assert _verify(fresh).is_ok
    assert _found(_verify(fresh, deep=True)) == [("wrong_folder", f"{folder}/{first.name}")]


def test_a_commit_under_way_is_no_problem(bucket: ObjectPath, tmp_path: Path) -> None:
    real = RealLake(tmp_path)
    real.append([wire_trade(at(13))])
    real.commit()
    upload(real.root, bucket)
    real.append([wire_trade(at(14))])
    segment = real.lane.rotate()
    assert segment is not None
    name = f"part-140000-{real.lane.writer}-{segment.number:08d}.parquet"
    put = bucket / "bronze/futures/trades/symbol=ES/date=2024-12-16/hour=14" / name
    put.store.put(put.key, b"stored, not yet in the ledger")
    report = verify_lake(bucket, real.state, tables=TABLES)
    real.close()
    assert (report.problems, report.pending) == ((), (str(put.relative_to(bucket)),))
    assert [book.waiting for book in report.books] == [1]
    assert _found(_verify(bucket)) == [("unknown_file", str(put.relative_to(bucket)))]
