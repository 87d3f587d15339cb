"""The Delta export: the same rows in every engine, each file entered once, whatever happens in between."""

from __future__ import annotations

import json
import os
import shutil
import sys
from datetime import date, time
from itertools import islice
from pathlib import Path
from urllib.parse import unquote, urlsplit

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable
from tests.integration.delta_lake import (
    TABLE,
    by_sequence,
    entries,
    export,
    lay_lake,
    log_folder,
    purge,
    rows_of_lake,
    rows_of_log,
)
from tests.integration.real_lake import Message, RealLake
from tests.integration.small_lake import SmallLake, at, trade

from ticklake.base.errors import CheckFailedError, CorruptError, NoDataError
from ticklake.cli.main import main
from ticklake.readers.lake import open_lake
from ticklake.readers.verify import verify_lake
from ticklake.testing.market import MarketSimulator, encode

HOSTILE = (
    "ES",
    "BTC/USD",
    "BTCUSD",
    "..",
    ".",
    "a=b",
    "*",
    "001",
    "1E5",
    " x y ",
    "ß",
    "h%2F",
    "#?&",
    "\x01",
    "",
    None,
)
LONG = "x" * 300


@pytest.fixture
def small(tmp_path: Path) -> SmallLake:
    return lay_lake(tmp_path)


def test_hostile_symbols_read_the_same_everywhere(small: SmallLake) -> None:
    for number, symbol in enumerate((*HOSTILE, LONG)):
        small.add(
            TABLE, [trade(at(9.5) + number, contract=f"C{number}"), trade(at(23.9), size=2**31 - 1)], value=symbol
        )
    done = export(small)
    assert (done.version, done.files, done.rows_added) == (1, 2 * 17, 2 * 17)
    expected, log = rows_of_lake(small.root), str(log_folder(small.root))
    assert rows_of_log(small.root).equals(expected)
    by_deltalake = pl.from_arrow(DeltaTable(log).to_pyarrow_table())
    assert isinstance(by_deltalake, pl.DataFrame)
    assert by_sequence(by_deltalake.select(expected.columns)).equals(expected)
    assert expected.schema == pl.scan_delta(log).collect_schema()
    assert export(small).added == 0
    for symbol in ("BTC/USD", "..", "001", " x y "):
        only = pl.scan_delta(log).filter(pl.col("symbol") == symbol).collect()
        assert only["contract"].n_unique() == 2, symbol


def test_statistics_prune_to_the_nanosecond(small: SmallLake) -> None:
    times = [at(9) + 1, at(10) + 3, at(10) + 5]
    small.add(TABLE, [trade(time) for time in times])
    export(small)
    log = str(log_folder(small.root))
    actions = pl.DataFrame(DeltaTable(log).get_add_actions(flatten=True)).sort("path")
    assert actions["min.ts_event_ns"].to_list() == [at(9) + 1, at(10) + 3]
    assert actions["max.ts_event_ns"].to_list() == [at(9) + 1, at(10) + 5]
    assert actions["num_records"].to_list() == [1, 2]
    assert pl.scan_delta(log).filter(pl.col("ts_event_ns") == at(10) + 5).select(pl.len()).collect().item() == 1


def test_a_simulated_market_reads_the_same_table_by_table(tmp_path: Path) -> None:
    events = list(islice(MarketSimulator(7, date(2024, 12, 16), scale=0.01, begin=time(15, 55)).events(), 2_000))
    crypto = {"ts_event_ns": at(9), "ts_recv_ns": at(9), "source": "x", "price": 1.5, "size": 2.5, "aggressor": 1}
    more: list[Message] = [("market.crypto.trades", {**crypto, "symbol": name}) for name in ("BTC/USD", "..", "001")]
    more += [("market.flow", b"\x00\xff"), ("market.futures.trades", b"\x00broken")]
    for stream, prefix in (("MARKET_DATA", "market."), ("LEVEL_SIGNALS", "levels.")):
        real = RealLake(tmp_path, stream=stream)
        own = [(event.subject, encode(event)) for event in events if event.subject.startswith(prefix)]
        real.append([*own, *(more if prefix == "market." else [])])
        real.commit()
        real.close()
    lake = open_lake(real.root)
    tables = [*lake.tables(), "quarantine"]
    assert {TABLE, "futures.mbp10", "options.nbbo", "crypto.trades", "levels.signals", "raw"} <= set(tables)
    for table in tables:
        export(real, table)
        assert rows_of_log(real.root, table).equals(rows_of_lake(real.root, table)), table


def test_each_export_adds_only_what_is_new(small: SmallLake) -> None:
    log = log_folder(small.root)
    for day in range(3):
        small.add(TABLE, [trade(at(9, day=day)), trade(at(10, day=day))])
        done = export(small)
        assert (done.version, done.added, done.removed, done.files) == (day + 1, 2, 0, 2 * day + 2)
    again = export(small)
    assert (again.version, again.added, again.files) == (3, 0, 6)
    assert DeltaTable(str(log)).version() == 3  # nothing new is no commit
    assert set(entries(log, "add").values()) == {1}
    assert rows_of_log(small.root).equals(rows_of_lake(small.root))
    assert pl.scan_delta(str(log), version=1).select(pl.len()).collect().item() == 2  # time travel


def test_nothing_is_copied_and_no_table_folder_changes(small: SmallLake) -> None:
    [path] = small.add(TABLE, [trade(at(9))])
    export(small)
    [linked] = log_folder(small.root).rglob("*.parquet")
    assert linked.samefile(path)
    assert [found.name for found in (small.root / "bronze").rglob("*") if found.is_file()] == [path.name]
    assert duckdb.sql(f"SELECT count(*) FROM '{small.root}/bronze/futures/trades/**/*.parquet'").fetchall() == [(1,)]
    assert verify_lake(small.root).is_ok


def test_what_retention_took_leaves_the_log_and_frees_its_room(small: SmallLake) -> None:
    for day in range(3):
        small.add(TABLE, [trade(at(9, day=day))])
    export(small)
    purge(small, days=8)
    done = export(small)
    assert (done.version, done.added, done.removed, done.files) == (2, 0, 2, 1)
    log = log_folder(small.root)
    assert len(list(log.rglob("*.parquet"))) == 1
    assert rows_of_log(small.root).equals(rows_of_lake(small.root))
    small.add(TABLE, [trade(at(9, day=4))])
    assert (export(small).removed, set(entries(log, "add").values()), set(entries(log, "remove").values())) == (
        0,
        {1},
        {1},
    )


def test_files_that_were_retired_before_the_first_export_never_come(small: SmallLake) -> None:
    small.add(TABLE, [trade(at(9))])
    small.add(TABLE, [trade(at(9, day=2))])
    purge(small, days=8)
    assert export(small).added == 1
    assert rows_of_log(small.root).equals(rows_of_lake(small.root))


def test_a_lost_file_stops_the_export_and_the_log_stays(small: SmallLake) -> None:
    small.add(TABLE, [trade(at(9))])
    export(small)
    [path] = small.add(TABLE, [trade(at(10))])
    path.unlink()
    with pytest.raises(CorruptError, match=r"in the ledger, but not there.*ticklake verify"):
        export(small)
    assert DeltaTable(str(log_folder(small.root))).version() == 1


def test_a_thousand_small_files_are_one_commit(small: SmallLake) -> None:
    for _ in range(100):
        small.add(TABLE, [trade(at(hour)) for hour in range(10)])
    done = export(small)
    assert (done.version, done.files) == (1, 1000)
    assert rows_of_log(small.root).height == 1000
    assert export(small).added == 0


def test_absolute_uris_name_exactly_the_files_of_the_lake(small: SmallLake) -> None:
    paths = [path for symbol in HOSTILE for path in small.add(TABLE, [trade(at(9))], value=symbol)]
    to = small.root.parent / "log"
    assert export(small, to=str(to), absolute=True).files == len(HOSTILE)
    assert export(small, to=str(to), absolute=True).added == 0
    named = [
        unquote(urlsplit(json.loads(line)["add"]["path"]).path)
        for line in (to / "_delta_log/00000000000000000001.json").read_text().splitlines()
        if "add" in json.loads(line)
    ]
    assert sorted(named) == sorted(map(str, paths))
    assert not list(to.rglob("*.parquet"))
    with pytest.raises(CheckFailedError, match="--absolute changed"):
        export(small, to=str(to))


def test_a_log_that_somebody_else_wrote_to_is_refused(small: SmallLake) -> None:
    small.add(TABLE, [trade(at(9)), trade(at(10))])
    export(small)
    log = str(log_folder(small.root))
    whole = shutil.copytree(log, f"{log}.copy")
    DeltaTable(log).delete("hour = 9")
    with pytest.raises(CheckFailedError, match="somebody else added or removed"):
        export(small)
    shutil.rmtree(log)
    shutil.move(whole, log)
    DeltaTable(log).optimize.compact()
    DeltaTable(log).delete("size = 5")
    assert export(small).added == 0  # nothing to compact, nothing to delete: still ours
    small.add(TABLE, [trade(at(9.5))])
    export(small)
    DeltaTable(log).optimize.compact()
    with pytest.raises(CheckFailedError, match="which is no file of"):
        export(small)
    assert verify_lake(small.root).is_ok


def test_a_lost_link_is_made_again(small: SmallLake) -> None:
    small.add(TABLE, [trade(at(9)), trade(at(10))])
    export(small)
    shutil.rmtree(next(log_folder(small.root).glob("symbol=*")))
    done = export(small)
    assert (done.version, done.added) == (1, 0)
    assert rows_of_log(small.root).equals(rows_of_lake(small.root))


def test_links_to_an_older_copy_of_a_file_are_replaced(small: SmallLake) -> None:
    [path] = small.add(TABLE, [trade(at(9))])
    target = log_folder(small.root) / path.relative_to(small.root / "bronze/futures/trades")
    target.parent.mkdir(parents=True)
    target.write_bytes(b"from a lake that was restored")
    export(small)
    assert target.samefile(path)


def test_vacuum_takes_no_link_that_is_about_to_be_committed(small: SmallLake) -> None:
    small.add(TABLE, [trade(at(9))])
    export(small)
    [path] = small.add(TABLE, [trade(at(10))])
    os.utime(path, (0, 0))  # as old as files of history are
    linked = log_folder(small.root) / path.relative_to(small.root / "bronze/futures/trades")
    linked.parent.mkdir(parents=True)
    linked.hardlink_to(path)
    assert DeltaTable(str(log_folder(small.root))).vacuum(dry_run=False, full=True) == []
    assert linked.exists()


def test_the_command_says_what_it_did_and_a_dry_run_does_nothing(
    small: SmallLake, capsys: pytest.CaptureFixture[str]
) -> None:
    small.add(TABLE, [trade(at(9)), trade(at(10))])
    command = ["export", "delta", TABLE, "--data", str(small.root), "--output", "json"]
    assert main([*command, "--dry-run"]) == 0
    [said] = json.loads(capsys.readouterr().out)
    assert (said["version"], said["added"], said["rows_added"], said["dry_run"]) == (None, 2, 2, True)
    assert not (small.root / "delta").exists()
    assert main(command) == 0
    [said] = json.loads(capsys.readouterr().out)
    assert said["log"] == str(log_folder(small.root))
    assert (said["version"], said["files"]) == (1, 2)
    assert main(["export", "delta", "no.such", "--data", str(small.root)]) == 2
    assert main([*command, "--to", str(small.root / "bronze/x")]) == 2


def test_a_table_without_files_gives_no_log(small: SmallLake) -> None:
    with pytest.raises(NoDataError, match="nothing to export"):
        export(small)
    assert not (small.root / "delta").exists()


def test_without_deltalake_the_command_names_the_extra(
    small: SmallLake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "ticklake.readers.delta_log")
    monkeypatch.setitem(sys.modules, "deltalake", None)
    assert main(["export", "delta", TABLE, "--data", str(small.root)]) == 2
    assert 'pip install "ticklake[delta]"' in capsys.readouterr().err
