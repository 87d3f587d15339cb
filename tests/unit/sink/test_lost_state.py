"""A state folder made anew from the ledger: where it goes on, what it moves away, and when it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.crash.mill import model_encoder, model_ids

from ticklake.base.errors import ConfigError, CorruptError, NoDataError, RetryableError, UsageError
from ticklake.files.lease import StateFolder
from ticklake.files.local import LocalFiles
from ticklake.lake.ledger import decode_entry
from ticklake.schema.lookup import TableCatalog
from ticklake.sink.lane import Lane
from ticklake.sink.lost_state import check_lost, check_not_lost, plan_rebuild, rebuild_state
from ticklake.testing.clock import ManualClock
from ticklake.testing.messages import group_messages
from ticklake.wal.state import Incarnation, Position


def open_lane(folder: Path, identity: str, *, track_seen: bool = False) -> Lane:
    return Lane.open(
        files=LocalFiles(),
        state_folder=str(folder / "state"),
        data_root=str(folder / "lake"),
        identity=identity,
        epoch=1,
        stream="MODEL",
        encode=model_encoder(),
        clock=ManualClock(),
        track_seen=track_seen,
        ballast_bytes=0,
    )


def append(lane: Lane, *sequences: int) -> None:
    lane.append(
        group_messages(
            [(b"s", None, b'{"id":%d}' % number) for number in sequences],
            incarnation=lane.incarnation.number,
            ingest_ns=1,
            sequences=list(sequences),
            server_ns=[10 * number for number in sequences],
        )
    )


def commit(lane: Lane, *sequences: int) -> None:
    append(lane, *sequences)
    segment = lane.rotate()
    assert segment is not None
    lane.commit(segment)


def write_lake(folder: Path, identity: str = "00c0ffee", **options: bool) -> Lane:
    lane = open_lane(folder, identity, **options)
    lane.new_incarnation(created_ns=7, reason="first")
    commit(lane, 1, 2, 3)
    commit(lane, 4, 5)
    return lane


def lose(folder: Path) -> None:
    for path in sorted((folder / "state").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "state").rmdir()


def recover(folder: Path, *, writer_id: str | None = None) -> str:
    root = folder / "lake"
    plan = plan_rebuild(root, TableCatalog(), tell=_silent)
    return rebuild_state(plan, root, str(folder / "state"), writer_id=writer_id, clock=ManualClock(), tell=_silent)


def _silent(_line: str) -> None:
    """Nobody listens."""


def stored(folder: Path) -> list[int]:
    return sorted(
        number
        for path in (folder / "lake/bronze").rglob("*.parquet")
        for number in model_ids(str(path), path.read_bytes())
    )


def test_the_new_writer_goes_on_behind_the_last_commit(tmp_path: Path) -> None:
    lane = write_lake(tmp_path)
    append(lane, 6, 7)  # in the log, not in the lake
    reached = lane.position
    lose(tmp_path)
    identity = recover(tmp_path)
    assert identity != "00c0ffee"
    with StateFolder.open(str(tmp_path / "state")) as state:
        assert state.identity == identity
        again = open_lane(tmp_path, identity)
    assert again.position.sequence == 5
    assert again.position == Position(1, 5, 50, again.position.payload_crc32c)
    assert again.position.payload_crc32c not in (0, reached.payload_crc32c)
    assert again.incarnation == Incarnation(1, 7, "first")
    commit(again, 6, 7)
    assert stored(tmp_path) == [1, 2, 3, 4, 5, 6, 7]


def test_files_of_an_unfinished_commit_leave_the_tables(tmp_path: Path) -> None:
    lane = write_lake(tmp_path)
    append(lane, 6, 7)
    segment = lane.rotate()
    assert segment is not None
    lane.commit(segment)
    [entry] = (tmp_path / "lake/catalog/ledger").rglob("000000000004.json")
    left = [file.path for file in decode_entry(entry.read_bytes()).files]
    entry.unlink()  # as if it had never been linked
    lose(tmp_path)
    identity = recover(tmp_path)
    assert stored(tmp_path) == [1, 2, 3, 4, 5]
    moved = tmp_path / "lake/catalog/recovered" / identity
    assert sorted(path.relative_to(moved).as_posix() for path in moved.rglob("*.parquet")) == sorted(left)
    record = json.loads((moved.parent / f"{identity}.json").read_bytes())
    assert [file["path"] for file in record["moved"]] == sorted(left)
    assert record["earlier_identities"] == ["00c0ffee"]


def test_lost_twice_it_goes_on_behind_the_newest_commit_of_both(tmp_path: Path) -> None:
    write_lake(tmp_path)
    lose(tmp_path)
    second = recover(tmp_path)
    commit(open_lane(tmp_path, second), 6)
    lose(tmp_path)
    third = recover(tmp_path)
    assert open_lane(tmp_path, third).position.sequence == 6
    assert len({"00c0ffee", second, third}) == 3


def test_a_newer_life_of_the_stream_wins(tmp_path: Path) -> None:
    lane = write_lake(tmp_path)
    lane.new_incarnation(created_ns=7, reason="sequence_reused", start_after_ns=50)
    commit(lane, 2, 3)
    lose(tmp_path)
    lane = open_lane(tmp_path, recover(tmp_path))
    assert (lane.position.incarnation, lane.position.sequence, lane.incarnation.reason) == (2, 3, "sequence_reused")


def test_a_stream_made_anew_wins_although_its_writer_counts_from_one(tmp_path: Path) -> None:
    lane = write_lake(tmp_path)
    lane.new_incarnation(created_ns=7, reason="sequence_reused", start_after_ns=50)
    commit(lane, 100)
    lose(tmp_path)
    young = open_lane(tmp_path, "0000beef")
    young.new_incarnation(created_ns=8, reason="first")
    commit(young, 1)
    lose(tmp_path)
    lane = open_lane(tmp_path, recover(tmp_path))
    assert (lane.position.sequence, lane.incarnation.created_ns) == (1, 8)


def test_a_work_queue_knows_every_sequence_again(tmp_path: Path) -> None:
    lane = write_lake(tmp_path, track_seen=True)
    commit(lane, 9, 7)
    lose(tmp_path)
    lane = open_lane(tmp_path, recover(tmp_path))
    assert lane.tracks_seen
    assert [(first, last) for first, last, _ in lane.seen.ranges()] == [(1, 5), (7, 7), (9, 9)]


def test_a_crash_in_the_middle_is_mended_by_doing_it_again(tmp_path: Path) -> None:
    write_lake(tmp_path)
    lose(tmp_path)
    first = recover(tmp_path)
    (tmp_path / "state/RECOVERING").touch()  # as if it had died just before the end
    with pytest.raises(CorruptError, match="run `ticklake recover` again"):
        StateFolder.open(str(tmp_path / "state"))
    identity = recover(tmp_path)
    assert identity != first
    with StateFolder.open(str(tmp_path / "state")):
        assert open_lane(tmp_path, identity).position.sequence == 5


def test_what_is_not_lost_is_left_alone(tmp_path: Path) -> None:
    lane = write_lake(tmp_path)
    lane.close()
    with pytest.raises(UsageError, match="is not lost: it holds wal/model/"):
        check_lost(str(tmp_path / "state"))
    with pytest.raises(UsageError, match="is not lost"):
        recover(tmp_path)
    assert open_lane(tmp_path, "00c0ffee").position.sequence == 5


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    write_lake(tmp_path)
    lose(tmp_path)
    with StateFolder.open(str(tmp_path / "state")), pytest.raises(RetryableError, match="in use by process"):
        recover(tmp_path)


def test_names_that_were_used_do_not_come_again(tmp_path: Path) -> None:
    write_lake(tmp_path)
    lose(tmp_path)
    with pytest.raises(ConfigError, match="has written to"):
        recover(tmp_path, writer_id="00c0ffee")
    assert recover(tmp_path, writer_id="another") == "another"


def test_without_a_ledger_there_is_nothing_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="no entry"):
        recover(tmp_path)


def test_entries_of_older_programs_are_refused(tmp_path: Path) -> None:
    write_lake(tmp_path)
    newest = max((tmp_path / "lake/catalog/ledger").rglob("*.json"))
    document = json.loads(newest.read_bytes())
    del document["reached"]
    newest.write_bytes(json.dumps(document).encode())
    lose(tmp_path)
    with pytest.raises(CorruptError, match="older program"):
        recover(tmp_path)


@pytest.mark.parametrize(
    ("identity", "stream", "is_refused"), [("00c0ffee", "OTHER", False), ("0000beef", "MODEL", True)]
)
def test_a_new_writer_may_not_store_a_stream_a_second_time(
    tmp_path: Path, identity: str, stream: str, is_refused: bool
) -> None:
    write_lake(tmp_path).close()
    check_not_lost(tmp_path / "lake", str(tmp_path / "state"), "MODEL", "00c0ffee")  # its own log is there
    lose(tmp_path)
    if is_refused:
        with pytest.raises(CorruptError, match="would store it twice"):
            check_not_lost(tmp_path / "lake", str(tmp_path / "state"), stream, identity)
    else:
        check_not_lost(tmp_path / "lake", str(tmp_path / "state"), stream, identity)
