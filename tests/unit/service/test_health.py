from dataclasses import replace

import msgspec
import pytest

from ticklake.service.health import CODES, Health, HealthLimits, liveness, readiness, startup
from ticklake.service.status import Alarm, DiskStatus, LaneStatus, NatsStatus, RecoveryStatus, Status, TableStatus

S = 1_000_000_000
START = 1_734_359_400 * S
NOW = START + 3600 * S
LANE = LaneStatus(
    name="market_data",
    stream="MARKET_DATA",
    mode="jetstream",
    pending=0,
    last_message_ns=NOW,
    tables={"futures.trades": TableStatus(rows=7)},
)
WELL = Status(
    version="1",
    identity="0a1b2c3d",
    phase="running",
    phase_since_ns=START + S,
    started_ns=START,
    taken_ns=NOW,
    uptime_s=3600.0,
    nats=NatsStatus(connected=True, url="nats://h:4222", server_version="2.15.1", since_ns=START),
    lanes=(LANE,),
    disk=DiskStatus(path="/lake", free_bytes=100, total_bytes=1000, min_free_bytes=10),
    recovery=RecoveryStatus(done=True),
)


def with_lane(**changes: object) -> Status:
    return replace(WELL, lanes=(replace(LANE, **changes),))  # type: ignore[arg-type]


def codes(health: Health) -> list[str]:
    return [reason.code for reason in health.reasons]


def test_a_well_service_is_live_and_ready() -> None:
    for health in (liveness(WELL, NOW), readiness(WELL, NOW), startup(WELL)):
        assert health == Health(ok=True, reasons=())


SICK = {
    "nats_disconnected": replace(WELL, nats=replace(WELL.nats, connected=False, since_ns=NOW - S)),
    "nats_refused": replace(
        WELL, nats=replace(WELL.nats, connected=False, refusal="authorization violation", since_ns=NOW - S)
    ),
    "stopping": replace(WELL, phase="stopping", phase_since_ns=NOW - S),
    "starting": replace(WELL, phase="starting", phase_since_ns=NOW - S),
    "disk_low": replace(WELL, disk=replace(WELL.disk, free_bytes=9, low_since_ns=NOW - S)),
    "wal_sync_stale": with_lane(unsynced_since_ns=NOW - 11 * S),
    "consumer_stalled": with_lane(pending=1, last_message_ns=NOW - 31 * S),
    "commit_failing": with_lane(commit_s=31.0),
    "backlog": with_lane(oldest_unflushed_s=121.0),
    "stream_regressed": replace(WELL, alarms=(Alarm("stream_regressed", "born again", NOW - S, "look"),)),
    "out_of_room": replace(WELL, alarms=(Alarm("out_of_room", "full", NOW - S, "free space"),)),
    **{
        code: replace(WELL, alarms=(Alarm(code, "a part says so", NOW - S, "look"),))
        for code in (
            "clock_skew",
            "quarantine_flood",
            "slow_disk",
            "storage_denied",
            "storage_unavailable",
        )
    },
}


def test_every_code_has_its_case() -> None:
    assert set(SICK) == CODES


@pytest.mark.parametrize("code", sorted(SICK))
def test_what_is_wrong_is_named_with_a_time_and_a_next_step(code: str) -> None:
    health = readiness(SICK[code], NOW)
    assert not health.ok
    (reason,) = health.reasons
    assert reason.code == code
    assert START <= reason.since_ns <= NOW
    assert reason.what
    assert reason.next_step


@pytest.mark.parametrize("code", sorted(SICK))
def test_nothing_that_a_restart_cannot_mend_makes_us_not_live(code: str) -> None:
    assert liveness(SICK[code], NOW).ok


def test_a_hanging_log_makes_us_not_live() -> None:
    assert codes(liveness(with_lane(unsynced_since_ns=NOW - 61 * S), NOW)) == ["wal_sync_stale"]


@pytest.mark.parametrize(
    "status",
    [
        with_lane(unsynced_since_ns=NOW - 10 * S),
        with_lane(pending=1, last_message_ns=NOW - 30 * S),
        with_lane(pending=1_000_000),
        with_lane(pending=None, last_message_ns=None),
        with_lane(oldest_unflushed_s=120.0),
        with_lane(commit_s=30.0),
    ],
)
def test_at_the_limit_is_within_it(status: Status) -> None:
    assert readiness(status, NOW).ok


def test_a_quiet_stream_is_not_a_stalled_one() -> None:
    assert readiness(with_lane(pending=0, last_message_ns=NOW - 86_400 * S), NOW).ok


def test_a_fresh_connection_gets_its_time_before_it_counts_as_stalled() -> None:
    status = with_lane(pending=5, last_message_ns=NOW - 600 * S)
    assert readiness(replace(status, nats=replace(status.nats, since_ns=NOW - S)), NOW).ok


def test_a_pause_for_lack_of_room_is_not_reported_as_a_stall() -> None:
    status = with_lane(pending=5, last_message_ns=NOW - 600 * S)
    full = replace(status, alarms=(Alarm("out_of_room", "full", NOW - 600 * S, "free space"),))
    assert codes(readiness(full, NOW)) == ["out_of_room"]


def test_a_commit_that_waits_for_a_known_reason_is_told_by_that_reason() -> None:
    status = with_lane(commit_s=600.0)
    away = replace(status, alarms=(Alarm("storage_unavailable", "away", NOW - 600 * S, "look at the store"),))
    assert codes(readiness(away, NOW)) == ["storage_unavailable"]


def test_recovery_is_reported_with_its_progress() -> None:
    status = replace(WELL, phase="starting", recovery=RecoveryStatus(segments_found=9, segments_done=4))
    assert codes(startup(status)) == ["starting"]
    assert "4 of 9 segments" in startup(status).reasons[0].what


def test_reasons_come_oldest_first() -> None:
    status = replace(
        with_lane(unsynced_since_ns=NOW - 20 * S), nats=replace(WELL.nats, connected=False, since_ns=NOW - 40 * S)
    )
    assert codes(readiness(status, NOW)) == ["nats_disconnected", "wal_sync_stale"]


def test_limits_are_the_callers_choice() -> None:
    assert codes(readiness(with_lane(pending=11), NOW, HealthLimits(pending_max=10))) == ["backlog"]


def test_without_other_limits_those_of_the_service_count() -> None:
    status = replace(with_lane(pending=11), limits=HealthLimits(pending_max=10))
    assert codes(readiness(status, NOW)) == ["backlog"]
    assert readiness(status, NOW, HealthLimits()).ok


def test_status_and_health_become_plain_json() -> None:
    page = msgspec.json.decode(msgspec.json.encode(WELL.to_dict()))
    assert page["lanes"][0]["tables"]["futures.trades"]["rows"] == 7
    assert page["nats"]["server_version"] == "2.15.1"
    answer = msgspec.json.decode(msgspec.json.encode(readiness(SICK["disk_low"], NOW).to_dict()))
    assert answer["ok"] is False
    assert answer["reasons"][0]["code"] == "disk_low"
