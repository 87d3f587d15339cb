import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.base.clock import SystemClock
from ticklake.base.metrics import Metrics
from ticklake.base.settings import Settings
from ticklake.cli.doctor_machine import check_machine, nearest_folder, percentile
from ticklake.cli.doctor_nats import check_nats
from ticklake.cli.finding import Finding, Grade
from ticklake.cli.main import main
from ticklake.ingest.api import JetStreamApi
from ticklake.ingest.bus import NatsBus
from ticklake.ingest.streams import stream_config
from ticklake.testing.clock import ManualClock
from ticklake.testing.nats_server import NatsServer

STREAMS = [("MARKET_DATA", ["market.>"]), ("LEVEL_SIGNALS", ["levels.>"])]


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def test_this_machine_passes_and_the_sync_is_measured(tmp_path: Path) -> None:
    settings = Settings(data_root=tmp_path / "lake")
    found = by_check(list(check_machine(settings, SystemClock())))
    assert not [finding for finding in found.values() if finding.grade is Grade.FAIL]
    assert found["checksums"].found == "crc32c in c"
    assert "p50" in found["fdatasync"].found
    assert list(tmp_path.iterdir()) == []  # it leaves nothing behind, not even the lake's folder


def test_too_little_room_fails(tmp_path: Path) -> None:
    settings = Settings.model_validate({"data_root": tmp_path, "disk": {"min_free_bytes": "1000TiB"}})
    found = by_check(list(check_machine(settings, SystemClock())))
    assert found["data_root room"].grade is Grade.FAIL
    assert "disk.min_free_bytes" in found["data_root room"].next_step


def test_a_clock_from_the_past_fails(tmp_path: Path) -> None:
    found = by_check(list(check_machine(Settings(data_root=tmp_path), StuckClock())))
    assert found["clock"].grade is Grade.FAIL


def test_a_session_table_near_its_end_warns(tmp_path: Path) -> None:
    late = ManualClock(wall_ns=2_082_758_400 * 10**9)  # 2036
    found = by_check(list(check_machine(Settings(data_root=tmp_path), late)))
    assert found["exchange sessions"].grade is Grade.WARN
    assert (
        by_check(list(check_machine(Settings(data_root=tmp_path), SystemClock())))["exchange sessions"].grade
        is Grade.OK
    )


class StuckClock:
    def wall_ns(self) -> int:
        return 0

    def monotonic_s(self) -> float:
        return 0.0


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_percentiles_are_values_of_the_list(values: list[float]) -> None:
    assert percentile(values, 1.0) == max(values)
    assert percentile(values, 0.0) == min(values)
    assert sum(value <= percentile(values, 0.5) for value in values) >= len(values) / 2


def test_percentiles_by_nearest_rank() -> None:
    assert [percentile([4.0, 1.0, 3.0, 2.0], share) for share in (0.25, 0.5, 0.75, 0.99)] == [1.0, 2.0, 3.0, 4.0]


def test_the_nearest_folder_is_one_that_exists(tmp_path: Path) -> None:
    assert nearest_folder(tmp_path / "a" / "b") == tmp_path
    (tmp_path / "file").write_text("")
    assert nearest_folder(tmp_path / "file" / "b") == tmp_path
    assert nearest_folder(tmp_path / ("x" * 300)) == tmp_path, "a name that the system refuses to look at"


def test_a_file_where_a_folder_is_wanted_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "lake"):
        found = by_check(list(check_machine(Settings(data_root=root), SystemClock())))
        assert found["data_root writable"].grade is Grade.FAIL
        assert str(tmp_path / "file") in found["data_root writable"].found


def test_tables_that_the_service_refuses_are_refused_offline(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "bad.toml"
    config.write_text('[tables."fx.quotes"]\nsubject = 5\n')
    assert main(["doctor", "--offline", "--config", str(config)]) == 78
    assert main(["config", "show", "--config", str(config)]) == 78
    assert capsys.readouterr().err.count("fx.quotes") == 2


async def test_a_server_without_our_streams_is_reported_as_such() -> None:
    async with NatsServer() as server:
        settings = Settings.model_validate({"nats": {"url": server.url}})
        found = by_check(await check_nats(settings, SystemClock(), streams=STREAMS))
        assert found["NATS"].grade is Grade.OK
        assert ".".join(map(str, server.version)) in found["NATS"].found
        assert found["JetStream"].grade is Grade.OK
        assert found["stream MARKET_DATA"].grade is Grade.WARN
        assert "ticklake nats init" in found["stream MARKET_DATA"].next_step


async def test_a_stream_that_differs_is_echoed_field_by_field_and_a_wrong_clock_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ticklake.cli.doctor_nats._SKEW_MAX_S", 60.0)  # an answer may be slow on a busy machine
    async with NatsServer() as server:
        settings = Settings.model_validate({"nats": {"url": server.url}})
        await make_stream(settings, stream_config("MARKET_DATA", ["market.>"]) | {"max_msgs": 5, "discard": "new"})
        found = by_check(await check_nats(settings, SystemClock(), streams=STREAMS[:1]))
        assert found["stream MARKET_DATA"].grade is Grade.NOTE
        assert "discard: ours 'old', there 'new'" in found["stream MARKET_DATA"].found
        assert found["clock against MARKET_DATA"].grade is Grade.OK
        found = by_check(await check_nats(settings, StuckClock(), streams=STREAMS[:1]))
        assert found["clock against MARKET_DATA"].grade is Grade.WARN


async def make_stream(settings: Settings, config: dict[str, object]) -> None:
    bus = NatsBus(settings.nats, clock=SystemClock(), metrics=Metrics(version="1"))
    await bus.connect()
    try:
        await JetStreamApi(bus).create_stream(config)
    finally:
        await bus.close()


def test_without_a_server_doctor_says_so_and_exits_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKLAKE_DATA_ROOT", str(tmp_path))
    monkeypatch.setenv("TICKLAKE_NATS__URL", "nats://me:planted@127.0.0.1:1")
    assert main(["doctor", "--output", "json"]) == 3
    captured = capsys.readouterr()
    found = {line["check"]: line for line in json.loads(captured.out)}
    assert found["NATS"]["grade"] == "fail"
    assert "1 of" in captured.err
    assert "planted" not in captured.out + captured.err


def test_offline_leaves_the_server_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TICKLAKE_DATA_ROOT", str(tmp_path))
    assert main(["doctor", "--offline"]) == 0
    assert "NATS" not in capsys.readouterr().out.split("libraries")[1].split("\n", 1)[1]
