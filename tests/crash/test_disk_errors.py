"""T04, T05, T06 and T09 on the real service: each sync fails once, the disk fills, a write lies, the disk is slow."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from nats.js.api import RetentionPolicy
from tests.crash.harness_faults import (
    SMALL_BATCHES,
    STREAM,
    Load,
    Market,
    check_exactly_once,
    check_restart_changes_nothing,
    check_so_far,
    check_strace_works,
    faulty,
    finish,
    healthy,
    hold_ballast,
    next_segments,
    run_until_dead,
    stored_sequences,
    strace,
)
from tests.crash.harness_trace import DiskTrace
from tests.e2e.harness import Service, absent, wait_until

from ticklake.files.local import LocalFiles
from ticklake.readers.verify import verify_lake
from ticklake.wal.log import scan_log

DISK_ERROR = 74
MIB = 1024 * 1024
LOG_SYNCS = (1, 2, 3, 5, 8)
ALL_SYNCS = (("fdatasync", 2), ("fdatasync", 4), ("fdatasync", 9), ("fsync", 5), ("fsync", 12))
ACK_WAIT_S = 1.0
ROUNDS = 40  # on a machine that is slow just then, the messages of a round are sent again too


# -- T04 ---------------------------------------------------------------------------------------------------------------


def test_a_failed_sync_ends_the_process_without_an_ack_for_what_it_lost(tmp_path: Path) -> None:
    fail_each_sync(tmp_path, [(True, "fdatasync", n) for n in LOG_SYNCS] + [(False, *point) for point in ALL_SYNCS])


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_every_failed_sync_ends_the_process_without_an_ack_for_what_it_lost(tmp_path: Path) -> None:
    log = [(True, call, n) for call, last in (("fdatasync", 30), ("fsync", 12)) for n in range(1, last + 1)]
    rest = [(False, call, n) for call, last in (("fdatasync", 40), ("fsync", 60)) for n in range(1, last + 1)]
    fail_each_sync(tmp_path, log + rest)


def fail_each_sync(folder: Path, points: list[tuple[bool, str, int]]) -> None:
    """A work queue forgets what is acked, and the disk forgets what is not synced: an early ack is a lost message."""
    check_strace_works(folder)
    forgotten: list[str] = []
    with Market(folder, retention=RetentionPolicy.WORK_QUEUE) as market:
        market.make_consumer(ack_wait_s=ACK_WAIT_S)
        plain = healthy(folder, market)
        hold_ballast(plain)
        with Load(market):
            for is_log, call, count in points:
                what = f"{call} {count}{' of the log' if is_log else ''} fails"
                path = folder / "trace"
                fault = f"{call}:error=EIO:when={count}"
                service = faulty(folder, market, strace(fault, trace=path, only=next_segments(plain) if is_log else ()))
                code = run_until_dead(service, what)
                assert code == DISK_ERROR, f"{what}: ended with {code}\n{service.log_tail()}"
                wait_traced(service, path)
                trace = DiskTrace.read(path)
                assert trace.failed, f"{what}: the trace shows no failed call"
                assert not trace.linked_unsynced, f"{what}: linked before their sync: {trace.linked_unsynced}"
                forgotten += trace.forget_unsynced()
                stream = market.stream()
                acked = stream["last_seq"] - stream["messages"]
                durable = durable_sequences(service)
                assert acked <= len(durable), f"{what}: {acked} messages are acked, only {len(durable)} are durable"
                check_so_far(service)
        assert any(path.endswith(".wal") for path in forgotten), (
            "no failed sync cost the log a byte: nothing was tested"
        )
        service = plain
        with service:
            wait_until(lambda: market.stream()["messages"] == 0, "the queue is drained", seen=market.stream)
            service.flush()
            service.wait_for(lambda: service.lane()["waiting"] == 0, "has all in files", seen=service.lane)
            assert service.terminate() == 0, service.log_tail()
        check_exactly_once(service, market.published)
        check_restart_changes_nothing(service)


def wait_traced(service: Service, path: Path) -> None:
    """Until the tracer, which may outlive the service for a moment, has written all it saw."""
    wait_until(partial(DiskTrace.is_complete, path, service.pid), "the tracer writes its end")


def durable_sequences(service: Service) -> set[int]:
    """What a recovery would find: in the lake or in the log."""
    found = set(stored_sequences(service.data_root))
    for segment in scan_log(LocalFiles(), str(service.state_dir / "wal" / "market_data")):
        for frame in segment.scan.frames:
            found.update(frame.group.sequences if frame.group is not None else ())
    return found


# -- T05 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["writev:error=ENOSPC:when=12+7", "linkat:error=ENOSPC:when=2+9", "mkdir:error=EDQUOT:when=2+3"]
)
def test_a_disk_that_is_full_now_and_then_costs_time_and_nothing_else(tmp_path: Path, fault: str) -> None:
    check_strace_works(tmp_path)
    with Market(tmp_path) as market:
        plain = healthy(tmp_path, market)
        staging = plain.state_dir / "staging" / "market_data"
        only = [staging / f"{number:012d}" for number in range(2, 40)] if fault.startswith("mkdir") else []
        service = faulty(tmp_path, market, strace(fault, trace=tmp_path / "trace", only=only))
        hold_ballast(service)
        with service:
            for _ in range(8):  # each meets a full disk in another place
                market.publish(150)
                service.wait_settled(STREAM, market.published)
            service.wait_for(
                lambda: len(service.events("sink.room_again")) == len(service.events("sink.out_of_room")),
                "has said of each full disk that it has room again",
            )
            assert service.terminate() == 0, service.log_tail()
        wait_traced(service, tmp_path / "trace")
        failed = DiskTrace.read(tmp_path / "trace").failed
        assert len(failed) >= 3, f"the disk was full only at {failed}"  # the reserve may have hidden it from us
        check_exactly_once(service, market.published)
        check_restart_changes_nothing(plain)


def test_a_full_disk_pauses_intake_says_so_and_resumes_by_itself(tmp_path: Path) -> None:
    with small_disk(tmp_path, size_bytes=24 * MIB) as disk, Market(tmp_path) as market:
        service = healthy(disk, market, disk__min_free_bytes=0)
        service.log_path = tmp_path / "service.log"
        with service:
            market.publish(1000)
            service.wait_settled(STREAM, market.published)
            fill(disk / "filler")
            market.publish(4000)
            service.wait_for(
                lambda: "out_of_room" in reasons(service), "says that the disk is full", seen=service.status
            )
            process = psutil.Process(service.pid)
            before, began_s = process.cpu_times(), time.monotonic()
            code, _ = service.get("/readyz")
            assert code == 503
            assert service.get("/livez")[0] == 200, "a full disk is no reason to restart"
            held = service.lane()["position"]
            for _ in range(20):  # three seconds, in which it must neither take more nor spin
                psutil.Process().cpu_percent(0.15)
                assert "out_of_room" in reasons(service)
            after = process.cpu_times()
            cpu_s = after.user + after.system - before.user - before.system
            took_s = time.monotonic() - began_s  # longer than three seconds where the pages are slow to answer
            assert cpu_s < took_s / 2, f"{cpu_s:.2f} s of processor time in {took_s:.1f} s of waiting"
            assert service.lane()["position"] <= held + 4000
            check_so_far(service)
            (disk / "filler").unlink()
            service.wait_settled(STREAM, market.published)
            service.wait_ready()
            assert service.terminate() == 0, service.log_tail()
        check_exactly_once(service, market.published)
        check_restart_changes_nothing(service)


def test_intake_pauses_below_the_watermark_while_the_log_still_goes_out(tmp_path: Path) -> None:
    with small_disk(tmp_path, size_bytes=48 * MIB) as disk, Market(tmp_path) as market:
        service = healthy(disk, market, disk__min_free_bytes=24 * MIB)
        service.log_path = tmp_path / "service.log"
        with service:
            market.publish(500)
            service.wait_settled(STREAM, market.published)
            fill(disk / "filler", leave_bytes=12 * MIB)
            service.wait_for(lambda: "disk_low" in reasons(service), "says that the disk is low", seen=service.status)
            service.wait_for(lambda: bool(service.events("service.not_ready")), "has looked at the disk")
            market.publish(50_000)
            service.wait_for(lambda: service.lane()["waiting"] == 0, "has written out its log", seen=service.lane)
            assert service.lane()["position"] < market.published, "it went on taking messages below the watermark"
            (disk / "filler").unlink()
            service.wait_settled(STREAM, market.published)
            assert service.terminate() == 0, service.log_tail()
        check_exactly_once(service, market.published)


def test_a_disk_that_is_full_at_the_very_end_is_no_reason_to_fail(tmp_path: Path) -> None:
    check_strace_works(tmp_path)
    with Market(tmp_path) as market:
        plain = healthy(tmp_path, market)
        hold_ballast(plain)
        last = plain.state_dir / "wal" / "market_data" / "000000000002.wal"  # begun for the stream's first life
        service = faulty(tmp_path, market, strace("writev:error=ENOSPC:when=2+", trace=tmp_path / "trace", only=[last]))
        with service:
            service.wait_for(lambda: last.exists() and service.lane()["pending"] == 0, "has begun the stream's log")
            assert service.terminate() == 0, service.log_tail()
            assert service.events("sink.closed_without_mark"), "the mark was written: nothing was tested"
        market.publish(100)
        finish(plain, market)


def reasons(service: Service) -> set[str]:
    return {reason["code"] for reason in json.loads(service.get("/readyz?verbose")[1]).get("reasons", ())}


def fill(path: Path, *, leave_bytes: int = 0) -> None:
    """Take all the room of the disk but so much."""
    with path.open("wb", buffering=0) as file:
        try:
            while psutil.disk_usage(str(path.parent)).free > leave_bytes:
                file.write(b"\xff" * 4096)
        except OSError:
            return


@contextmanager
def small_disk(folder: Path, *, size_bytes: int) -> Iterator[Path]:
    """A mounted disk of that size; needs root."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        absent("a small disk cannot be mounted (needs root)")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# -- T06 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["0000.parquet", "LEDGER", "INTENT"])
def test_a_lie_of_the_disk_is_caught_before_the_commit(tmp_path: Path, name: str) -> None:
    check_strace_works(tmp_path)
    with Market(tmp_path) as market:
        market.publish(500)
        plain = healthy(tmp_path, market)
        hold_ballast(plain)
        staging = plain.state_dir / "staging" / "market_data"
        only = [staging / f"{number:012d}" / name for number in range(1, 6)]
        lie = "writev:retval=40:when=1"  # says 40 bytes, takes none
        service = faulty(tmp_path, market, strace(lie, trace=tmp_path / "trace", only=only))
        assert run_until_dead(service, f"a lie about {name}") == DISK_ERROR, service.log_tail()
        assert "the disk does not give back" in service.events("service.disk_failed")[-1]["error"]
        assert check_so_far(service) == 0, "rows of a commit that never was"
        finish(plain, market)


# -- T09 ---------------------------------------------------------------------------------------------------------------


def test_what_a_slow_disk_makes_the_server_send_again_is_dropped_and_counted(tmp_path: Path) -> None:
    check_strace_works(tmp_path)
    with Market(tmp_path, retention=RetentionPolicy.WORK_QUEUE) as market:
        market.make_consumer(ack_wait_s=ACK_WAIT_S)
        plain = Service(tmp_path, market.url, settings=SMALL_BATCHES | {"wal__sync_interval_ms": 0})
        hold_ballast(plain)
        only = next_segments(plain, count=200)
        slow = strace("fdatasync:delay_enter=3000000:when=4..7", trace=tmp_path / "trace", only=only)
        service = faulty(tmp_path, market, slow, wal__sync_interval_ms=0)
        with service:
            for _ in range(6):
                market.publish(100)
            wait_until(lambda: market.stream()["messages"] == 0, "the queue is drained", seen=market.stream)
            service.wait_for(
                lambda: service.lane()["duplicates"] == sent_again(market),
                "drops all that was sent again",
                seen=lambda: (service.lane(), sent_again(market)),
            )
            for _ in range(ROUNDS):  # what was dropped last is entered in the books with the next commit
                market.publish(100)
                wait_until(lambda: market.stream()["messages"] == 0, "the queue is drained", seen=market.stream)
                service.flush()
                service.wait_for(lambda: service.lane()["waiting"] == 0, "has all in files", seen=service.lane)
                if entered(service) == sent_again(market):
                    break
            assert service.terminate() == 0, service.log_tail()
        (book,) = (book for book in verify_lake(service.data_root, service.state_dir).books if book.stream == STREAM)
        assert book.duplicates > 0, "the server sent nothing twice: nothing was tested"
        assert book.duplicates == sent_again(market)
        assert book.received == market.published + book.duplicates
        check_exactly_once(service, market.published)
        check_restart_changes_nothing(plain)


def entered(service: Service) -> int:
    """How many duplicates are in the books."""
    return sum(event["duplicates"] for event in service.events("sink.segment_committed"))


def sent_again(market: Market) -> int:
    """How many deliveries the server has made beyond the first of each message."""
    consumer = market.consumer()
    assert consumer is not None
    assert consumer.delivered is not None
    return consumer.delivered.consumer_seq - market.published
