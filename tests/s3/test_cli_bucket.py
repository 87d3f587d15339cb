"""Every command that looks at a lake takes `s3://bucket/prefix`, by flag and by settings, and prints no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.integration.real_lake import RealLake
from tests.integration.small_lake import TABLES, SmallLake, at, trade
from tests.s3.uploaded import upload

from ticklake.base.clock import SystemClock
from ticklake.base.settings import load_settings
from ticklake.cli.doctor_store import check_store
from ticklake.cli.finding import Finding, Grade
from ticklake.cli.main import main
from ticklake.cli.recipes import Engine, write_recipe
from ticklake.files.object_path import ObjectPath
from ticklake.files.object_store import ObjectStore
from ticklake.readers.lake import open_lake
from ticklake.testing.clock import ManualClock
from ticklake.testing.s3_server import S3Server

SYMBOLS = ["ES", "001", "1E5", "BTC/USD", "..", "a=b", "*", "é", "x" * 300]
SECRETS = ("lake-key", "lake-secret")


@pytest.fixture
def at_bucket(bucket: ObjectPath, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ObjectPath:
    """A process whose lake lies in the bucket."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TICKLAKE_DATA_ROOT", str(bucket))
    monkeypatch.setenv("TICKLAKE_STATE_DIR", str(tmp_path / "state"))
    return bucket


@pytest.fixture
def lake(at_bucket: ObjectPath, tmp_path: Path) -> ObjectPath:
    """Trades of hostile symbols, and two rejected messages."""
    small = SmallLake(tmp_path / "lake", identity="small")
    for symbol in SYMBOLS:
        small.add("futures.trades", [trade(at(5), symbol), trade(at(14, day=1), symbol, seq=2**53 + 1)], value=symbol)
    upload(small.root, at_bucket)
    real = RealLake(tmp_path / "real")
    real.append([("market.futures.mbp10", b"no json"), ("market.futures.mbp10", b'{"symbol": 5}')])
    real.commit()
    real.close()
    upload(real.root, at_bucket)
    return at_bucket


def _run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main([*arguments]) == code, capsys.readouterr().err
    shown = capsys.readouterr()
    assert not [secret for secret in SECRETS if secret in shown.out + shown.err]
    return shown.out if code == 0 else shown.out + shown.err


def test_the_commands_look_into_the_bucket(lake: ObjectPath, capsys: pytest.CaptureFixture[str]) -> None:
    for place in ((), ("--data", str(lake))):
        rows = json.loads(_run(capsys, "ls", "-o", "json", *place))
        assert [(row["table"], row["files"], row["rows"]) for row in rows] == [
            ("futures.trades", 18, 18),
            ("quarantine", 1, 2),
        ]
        assert len(json.loads(_run(capsys, "ls", "futures.trades", "-o", "json", *place))) == 18
        query = "SELECT count(DISTINCT symbol) AS n FROM futures.trades"
        assert json.loads(_run(capsys, "sql", query, "-o", "json", *place)) == [{"n": len(SYMBOLS)}]
        assert "ok: received = stored" in _run(capsys, "verify", *place)
        report = json.loads(_run(capsys, "verify", "--deep", "-o", "json", *place))
        assert (report["ok"], report["files"]) == (True, 19)
        rejected = json.loads(_run(capsys, "quarantine", "ls", "-o", "json", *place))
        assert len(rejected) == 2
        assert "no json" in _run(capsys, "quarantine", "show", str(rejected[-1]["id"]), *place)


def test_a_deleted_object_is_exit_three_and_named(lake: ObjectPath, capsys: pytest.CaptureFixture[str]) -> None:
    gone = next(lake.rglob("part-*.parquet"))
    gone.unlink()
    shown = _run(capsys, "verify", code=3)
    assert f"missing_file: {gone.relative_to(lake)}" in shown


@pytest.mark.parametrize("command", [("ls",), ("verify",), ("sql", "SELECT 1 FROM raw"), ("quarantine", "ls")])
@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("TICKLAKE_S3__SECRET_KEY", "wrong", "refuses us"), ("TICKLAKE_S3__ENDPOINT", "http://127.0.0.1:9", "not answer")],
)
def test_a_store_that_is_down_or_denies_is_exit_69(
    at_bucket: ObjectPath,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    name: str,
    value: str,
    says: str,
) -> None:
    monkeypatch.setenv(name, value)
    shown = _run(capsys, *command, code=69)
    assert says in shown
    assert str(at_bucket) in shown


def test_the_demo_makes_no_folder_named_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--data", "s3://lake/demo"]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_settings_are_shown_without_secrets(at_bucket: ObjectPath, capsys: pytest.CaptureFixture[str]) -> None:
    assert str(at_bucket) in _run(capsys, "config", "show")


@pytest.mark.parametrize("engine", Engine)
def test_no_snippet_holds_a_key(at_bucket: ObjectPath, capsys: pytest.CaptureFixture[str], engine: Engine) -> None:
    snippet = _run(capsys, "recipe", engine, "futures.trades")
    compile(snippet, "recipe", "exec")
    assert "AWS_SECRET_ACCESS_KEY" in snippet
    assert str(at_bucket.store.access.endpoint).partition("//")[2] in snippet


@pytest.mark.parametrize("engine", [Engine.POLARS, Engine.PYARROW, Engine.PANDAS])
def test_a_snippet_reads_what_scan_reads(lake: ObjectPath, monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", SECRETS[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRETS[1])
    stored = open_lake(lake, tables=TABLES)
    names: dict[str, Any] = {}
    snippet = write_recipe(engine, stored.relation("futures.trades"), lake)
    exec(compile(snippet, "recipe", "exec"), names)  # the promise is that people can paste it
    rows = names["rows"]
    theirs = (rows.collect() if isinstance(rows, pl.LazyFrame) else pl.DataFrame(rows)).sort("stream_seq")
    ours = stored.scan("futures.trades").collect().sort("stream_seq")
    columns = ["symbol", "date", "hour", "contract", "ts_event_ns", "price", "seq", "stream_seq"]
    kinds = {"symbol": pl.String, "date": pl.Date, "hour": pl.Int8}
    cast = [pl.col(name).cast(kind) for name, kind in kinds.items()]
    assert ours.height == 2 * len(SYMBOLS)
    assert theirs.select(columns).with_columns(cast).equals(ours.select(columns))


def _findings(clock: SystemClock | ManualClock | None = None) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_store(load_settings(), clock or SystemClock())}


def test_doctor_finds_a_good_store_good_and_leaves_nothing(
    at_bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticklake.cli.doctor_store._PUT_P50_MAX_MS", 60_000.0)  # this machine may be busy
    found = _findings()
    assert {finding.grade for finding in found.values()} == {Grade.OK}
    assert set(found) >= {"store list", "store conditional writes", "store latency", "store clock"}
    assert not at_bucket.exists()


def test_doctor_says_what_is_wrong_with_a_store(at_bucket: ObjectPath, monkeypatch: pytest.MonkeyPatch) -> None:
    late = ManualClock(wall_ns=SystemClock().wall_ns() + 900 * 10**9)
    assert _findings(late)["store clock"].grade is Grade.WARN
    with monkeypatch.context() as careless:
        careless.setattr(ObjectStore, "_try_create", lambda self, key, content, _marks: self.put(key, content))
        assert _findings()["store conditional writes"].grade is Grade.FAIL
    with monkeypatch.context() as denied:
        denied.setenv("TICKLAKE_S3__SECRET_KEY", "wrong")
        found = _findings()["store"]
        assert (found.grade, "s3.access_key" in found.next_step) == (Grade.FAIL, True)
    with monkeypatch.context() as lost:
        lost.setenv("TICKLAKE_DATA_ROOT", "s3://no-such-bucket/lake")
        found = _findings()["store"]
        assert (found.grade, "make the bucket" in found.next_step) == (Grade.FAIL, True)


def test_doctor_is_silent_about_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TICKLAKE_DATA_ROOT", str(tmp_path))
    assert _findings() == {}
