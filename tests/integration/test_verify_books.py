"""The books against what logs and recoveries know: whatever is gone from the ledger is named, and nothing else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.real_lake import RealLake
from tests.integration.small_lake import TABLES, at

from ticklake.readers.verify import verify_lake

Codes = list[tuple[str, str]]


def _off(real: RealLake, *, has_state: bool = True) -> Codes:
    report = verify_lake(real.root, real.state if has_state else None, tables=TABLES)
    return [(problem.code, problem.path) for problem in report.problems]


def _both(real: RealLake) -> tuple[Codes, Codes]:
    return _off(real), _off(real, has_state=False)


def _entries(real: RealLake) -> list[Path]:
    return sorted((real.root / "catalog/ledger").rglob("*.json"))


def _forget(real: RealLake, *entries: Path) -> None:
    """Take entries and the files they name out of the lake."""
    for path in entries:
        for file in json.loads(path.read_bytes())["files"]:
            (real.root / file["path"]).unlink()
        path.unlink()


@pytest.fixture
def lake_of(tmp_path: Path) -> Callable[..., RealLake]:
    def make(*, track_seen: bool = False, stream: str = "MARKET_DATA") -> RealLake:
        return RealLake(tmp_path, stream=stream, track_seen=track_seen)

    return make


# -- nothing is left of the books -------------------------------------------------------------------------------------


@pytest.mark.parametrize("track_seen", [False, True])
def test_an_emptied_lake_is_a_gap(lake_of: Callable[..., RealLake], track_seen: bool) -> None:
    real = lake_of(track_seen=track_seen)
    real.append_trades(1, 2, 3)
    real.commit()
    for folder in ("catalog", "bronze"):
        shutil.rmtree(real.root / folder)
    assert _off(real) == [("sequence_gap", "MARKET_DATA")]
    real.append_trades(4)  # it makes no difference that more waits
    assert _off(real) == [("sequence_gap", "MARKET_DATA")]


def test_a_log_that_was_opened_and_took_nothing_yet_is_fine(lake_of: Callable[..., RealLake]) -> None:
    real = lake_of()
    assert _off(real) == []
    real.lane.new_incarnation(created_ns=at(1), reason="stream_recreated", start_sequence=501)  # 1 to 500 expired
    assert _off(real) == []
    real.append_trades(501)
    assert _off(real) == []
    real.commit()
    assert _both(real) == ([], [])


def test_a_recovered_writer_stands_on_the_entries_of_the_lost_one(lake_of: Callable[..., RealLake]) -> None:
    real = lake_of()
    real.append_trades(1, 2, 3)
    real.commit()
    first = _entries(real)
    real.recover()
    assert _both(real) == ([], [])
    real.append_trades(4, 5)
    real.commit()
    assert _both(real) == ([], [])
    second = [path for path in _entries(real) if path not in first]
    keep = {path: path.read_bytes() for path in [*first, *second]}
    files = {path: path.read_bytes() for path in (real.root / "bronze").rglob("*.parquet")}

    _forget(real, *second)  # all of the new writer
    assert _off(real) == [("sequence_gap", "MARKET_DATA")]
    for path, content in [*keep.items(), *files.items()]:
        path.write_bytes(content)
    assert _off(real) == []
    _forget(real, *first)  # all of the lost writer: only the record of the recovery knows that there was one
    record = next((real.root / "catalog/recovered").glob("*.json")).relative_to(real.root).as_posix()
    assert _both(real) == ([("sequence_gap", record)], [("sequence_gap", record)])


def test_a_recovery_knows_how_far_the_lost_writer_came(lake_of: Callable[..., RealLake]) -> None:
    real = lake_of()
    for sequence in (1, 2, 3):
        real.append_trades(sequence)
        real.commit()
    newest = _entries(real)[-1]
    real.recover()
    _forget(real, newest)
    record = next((real.root / "catalog/recovered").glob("*.json")).relative_to(real.root).as_posix()
    assert _off(real, has_state=False) == [("sequence_gap", record)]
    assert ("sequence_gap", "MARKET_DATA") in _off(real)


def test_a_gap_between_the_lost_writer_and_the_new_one_is_found(lake_of: Callable[..., RealLake]) -> None:
    real = lake_of()
    real.append_trades(1, 2)
    real.commit()
    real.recover()
    real.append_trades(4, 5)
    real.commit()
    path = _entries(real)
    assert [code for code, _ in _off(real, has_state=False)] == ["sequence_gap"]
    assert len(path) == 2


def test_a_log_whose_oldest_header_is_damaged_accuses_nobody_else(lake_of: Callable[..., RealLake]) -> None:
    real = lake_of()
    real.append_trades(1, 2)
    real.commit()
    real.append_trades(3, 4)
    real.lane.rotate()
    oldest = min((real.state / "wal/market_data").glob("*.wal"))
    content = bytearray(oldest.read_bytes())
    content[60] ^= 1
    oldest.write_bytes(content)
    assert [code for code, _ in _off(real)] == ["wal_damaged"]


def test_a_log_behind_half_a_repair_is_damaged(lake_of: Callable[..., RealLake]) -> None:
    real = lake_of()
    real.append_trades(1, 2)
    [segment] = (real.state / "wal/market_data").glob("*.wal")
    segment.rename(segment.with_name(f"{segment.name}.repaired"))
    assert _off(real) == [("wal_damaged", str(segment))]


# -- streams that are read by explicit acks: any order ----------------------------------------------------------------


@pytest.fixture
def queue(lake_of: Callable[..., RealLake]) -> RealLake:
    """Three segments of a work queue, as it happened to deliver."""
    real = lake_of(track_seen=True)
    for sequences in ((5, 1, 9), (2, 8), (10, 3, 4)):
        real.append_trades(*sequences)
        real.commit()
    return real


def test_any_order_is_fine_with_and_without_the_state_folder(queue: RealLake) -> None:
    assert _both(queue) == ([], [])


def test_any_order_is_fine_when_the_stream_was_made_anew(queue: RealLake) -> None:
    queue.lane.new_incarnation(created_ns=at(2), reason="stream_recreated", start_sequence=1)
    assert _both(queue) == ([], [])
    queue.append_trades(2, 1)
    queue.commit()
    assert _both(queue) == ([], [])


def test_any_order_is_fine_when_the_state_folder_was_lost(queue: RealLake) -> None:
    queue.recover()
    assert _both(queue) == ([], [])
    queue.append_trades(11, 6)
    queue.commit()
    assert _both(queue) == ([], [])


def test_a_lost_entry_of_a_work_queue_is_found_by_what_the_log_has_seen(queue: RealLake) -> None:
    _forget(queue, _entries(queue)[1])
    report = verify_lake(queue.root, queue.state, tables=TABLES)
    assert [(problem.code, problem.path) for problem in report.problems] == [("sequence_gap", "MARKET_DATA")]
    assert "2 to 2" in report.problems[0].what


def test_a_sequence_in_two_entries_of_a_work_queue_is_found(queue: RealLake) -> None:
    path = _entries(queue)[2]
    path.write_bytes(path.read_bytes().replace(b"[3,4,", b"[2,3,"))
    assert ("sequence_overlap", path.relative_to(queue.root).as_posix()) in _off(queue, has_state=False)


def test_ranges_that_do_not_add_up_to_what_was_taken_are_found(queue: RealLake) -> None:
    path = _entries(queue)[2]
    path.write_bytes(path.read_bytes().replace(b"[3,4,", b"[3,3,"))
    assert ("ledger_wrong", path.relative_to(queue.root).as_posix()) in _off(queue, has_state=False)
