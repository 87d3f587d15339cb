"""The books beside a live log, and the commands that look at quarantine and log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.real_lake import RealLake, wire_trade
from tests.integration.small_lake import TABLES, at

from ticklake.base.clock import SystemClock
from ticklake.cli.main import main
from ticklake.files.lease import FolderLock
from ticklake.readers.lake import open_lake
from ticklake.readers.quarantine import relation_of_quarantine
from ticklake.readers.verify import verify_lake
from ticklake.sink.quarantine import QUARANTINE_SCHEMA, QUARANTINE_SCHEMA_ID

BAD = b'{"symbol": "ESZ4", \x00\xff}'


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealLake]:
    real = RealLake(tmp_path)
    yield real
    real.close()


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main([*arguments, "--output", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_readers_know_quarantine_as_it_is_written() -> None:
    relation = relation_of_quarantine()
    assert relation.schema_id == QUARANTINE_SCHEMA_ID
    assert [(f.name, f.type) for f in relation.file_schema] == [(f.name, f.type) for f in QUARANTINE_SCHEMA]


def test_messages_in_the_log_are_waiting(real: RealLake) -> None:
    real.append(wire_trade(at(14) + step) for step in range(5))
    real.commit()
    real.append(wire_trade(at(15) + step) for step in range(3))
    report = verify_lake(real.root, real.state, tables=TABLES)
    [book] = report.books
    assert report.problems == ()
    assert (book.received, book.stored, book.waiting, book.is_balanced) == (8, 5, 3, True)
    real.reopen()  # the start commits what waited
    [book] = verify_lake(real.root, real.state, tables=TABLES).books
    assert (book.received, book.stored, book.waiting) == (8, 8, 0)


def test_a_lost_newest_entry_is_found_by_the_log(real: RealLake) -> None:
    real.append([wire_trade(at(14))])
    real.commit()
    real.append([wire_trade(at(15))])
    real.commit()
    newest = sorted((real.root / "catalog").rglob("*.json"))[-1]
    entry = json.loads(newest.read_bytes())
    newest.unlink()
    for file in entry["files"]:
        (real.root / file["path"]).unlink()
    report = verify_lake(real.root, real.state, tables=TABLES)
    assert [(problem.code, problem.path) for problem in report.problems] == [("sequence_gap", "MARKET_DATA")]


def test_a_commit_under_way_is_no_problem(real: RealLake) -> None:
    real.append([wire_trade(at(14))])
    segment = real.lane.rotate()
    assert segment is not None
    folder = real.root / "bronze/futures/trades/symbol=ES/date=2024-12-16/hour=14"
    folder.mkdir(parents=True)
    linked = folder / f"part-140000-{real.lane.writer}-{segment.number:08d}.parquet"
    linked.write_bytes(b"linked, not yet in the ledger")
    relative = linked.relative_to(real.root).as_posix()
    report = verify_lake(real.root, real.state, tables=TABLES)
    assert (report.problems, report.pending) == ((), (relative,))
    alone = verify_lake(real.root, None, tables=TABLES)
    assert [problem.code for problem in alone.problems] == ["unknown_file"]
    linked.unlink()
    real.lane.commit(segment)


def test_damage_in_the_log_is_found_and_repaired(real: RealLake, capsys: pytest.CaptureFixture[str]) -> None:
    for hour in (14, 15, 16):
        real.append([wire_trade(at(hour))])
    real.lane.close()
    state = ["--state", str(real.state)]
    [segment] = sorted((real.state / "wal").rglob("*.wal"))
    assert [row["messages"] for row in _json(capsys, "wal", "ls", *state)] == [3]
    assert main(["wal", "verify", *state]) == 0
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)

    capsys.readouterr()
    assert main(["wal", "verify", *state]) == 65
    assert segment.name in capsys.readouterr().err
    assert main(["wal", "repair", "--dry-run", *state]) == 65
    assert segment.read_bytes() == content
    codes = [problem.code for problem in verify_lake(real.root, real.state, tables=TABLES).problems]
    assert codes == ["wal_damaged"]

    lock = FolderLock.acquire(str(real.state), clock=SystemClock())
    capsys.readouterr()
    assert main(["wal", "repair", *state]) == 75
    assert "in use by process" in capsys.readouterr().err
    assert segment.read_bytes() == content
    lock.release()

    [repair] = _json(capsys, "wal", "repair", *state)
    assert Path(repair["kept_copy"]).read_bytes() == content
    assert repair["lost_sequences"] == [[2, 2]]
    assert main(["wal", "verify", *state]) == 0
    capsys.readouterr()
    assert _json(capsys, "wal", "repair", *state) == []
    real.lane = real._open()


@pytest.mark.parametrize("command", ["ls", "verify", "repair"])
def test_a_log_is_found_by_its_lake_and_a_missing_one_is_said(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    real = RealLake(tmp_path)
    real.append([wire_trade(at(14))])
    real.close()
    real.state.rename(real.root / "_state")
    assert main(["wal", command, "--data", str(real.root)]) == 0
    capsys.readouterr()
    for where in (["--state", str(tmp_path / "nope")], ["--data", str(tmp_path)]):
        assert main(["wal", command, *where]) == 1
        shown = capsys.readouterr()
        assert "no log below" in shown.err
        assert "check --state" in shown.err
        assert not shown.out


def test_rejected_messages_are_listed_and_shown_whole(real: RealLake, capsys: pytest.CaptureFixture[str]) -> None:
    subject, body = wire_trade(at(14), price=-1.0)
    assert not isinstance(body, bytes)
    real.append([wire_trade(at(14)), (subject, body)])
    real.append([(subject, BAD)], headers=b"NATS/1.0\r\nNats-Msg-Id: 7\r\n\r\n")
    real.commit()
    data = ["--data", str(real.root)]
    rows = _json(capsys, "quarantine", "ls", *data)
    assert [(row["table"], row["reason"], row["stream_seq"]) for row in rows] == [
        ("futures.trades", rows[0]["reason"], 3),
        ("futures.trades", "out_of_range", 2),
    ]
    assert rows[0]["payload_bytes"] == len(BAD)
    assert [row["stream_seq"] for row in _json(capsys, "quarantine", "ls", "--reason", "out_of_range", *data)] == [2]
    assert _json(capsys, "quarantine", "ls", "--table", "raw", *data) == []
    assert len(_json(capsys, "quarantine", "ls", "--limit", "1", *data)) == 1
    assert main(["quarantine", "ls", *data]) == 0
    assert main(["ls", *data]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100  # a small terminal
    assert main(["quarantine", "ls", "--table", "future.trades", *data]) == 2
    assert "futures.trades" in capsys.readouterr().err
    assert main(["quarantine", "ls", "--reason", "out_of_rnge", *data]) == 2
    assert "out_of_range" in capsys.readouterr().err
    assert _json(capsys, "quarantine", "ls", "--reason", "bad_arrow", "--table", "unknown", *data) == []
    capsys.readouterr()

    assert main(["quarantine", "show", rows[1]["id"], *data]) == 0
    shown = capsys.readouterr().out
    assert "path: $.price" in shown
    assert json.dumps(body) in shown
    assert main(["quarantine", "show", rows[0]["id"], *data]) == 0
    shown = capsys.readouterr().out
    assert "Nats-Msg-Id: 7" in shown
    assert BAD[:16].hex(" ") in shown
    assert "\x00" not in shown
    assert main(["quarantine", "show", "00000000-9", *data]) == 1
    assert main(["quarantine", "show", "nonsense", *data]) == 2


def test_quarantine_is_a_table_like_others(real: RealLake) -> None:
    real.append([("market.futures.trades", BAD), ("market.futures.mbp10", b"[]"), wire_trade(at(14))])
    real.commit()
    lake = open_lake(real.root, tables=TABLES)
    assert lake.scan("quarantine", symbol="futures.trades").collect()["payload"].to_list() == [BAD]
    assert lake.sql('SELECT "table" FROM quarantine ORDER BY 1')["table"].to_list() == [
        "futures.mbp10",
        "futures.trades",
    ]
    assert verify_lake(real.root, real.state, deep=True, tables=TABLES).problems == ()


def test_deep_verify_agrees_with_everything_the_encoder_writes(real: RealLake) -> None:
    quote = {"ts_recv_ns": at(3), "symbol": "BTC/USD", "bid_px": 1.0, "bid_sz": 1.0, "ask_px": 2.0, "ask_sz": 1.0}
    arrow_rows = b"\n".join(json.dumps(wire_trade(at(14.5) + row)[1]).encode() for row in range(5))
    real.append([wire_trade(at(14) - step) for step in range(20)])
    real.append([("market.crypto.quotes", {**quote, "ts_event_ns": at(4) if n % 2 else None}) for n in range(6)])
    real.append([("market.flow", b"\x00raw"), ("market.flow.x", b"")])
    real.append(
        [("market.futures.trades", arrow_rows)], headers=b"NATS/1.0\r\nContent-Type: application/x-ndjson\r\n\r\n"
    )
    real.append([("market.futures.trades", BAD), wire_trade(at(25), "..")])
    real.commit()
    report = verify_lake(real.root, real.state, deep=True, tables=TABLES)
    assert report.problems == ()
    [book] = report.books
    assert (book.received, book.stored, book.quarantined) == (31, 30, 1)
    assert report.rows == 20 + 6 + 2 + 5 + 2
