"""SIGTERM under load with a slow disk: everything out in order. A second one: out at once, and nothing lost either."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.crash.harness_faults import (
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
    strace,
)
from tests.e2e.harness import EXIT_TIMEOUT_S

SLOW_DISK = "fdatasync:delay_enter=50000"  # each sync takes 50 ms longer: a tired spinning disk
GRACE_S = 90  # the grace time of a service manager may be shorter; how long it takes is not what is shown here


def test_sigterm_under_load_on_a_slow_disk_brings_everything_into_the_lake(tmp_path: Path) -> None:
    check_strace_works(tmp_path)
    with Market(tmp_path) as market:
        plain = healthy(tmp_path, market)
        hold_ballast(plain)
        service = faulty(tmp_path, market, strace(SLOW_DISK, trace=tmp_path / "trace"), shutdown_grace_s=GRACE_S)
        with Load(market), service:
            service.wait_for(lambda: service.lane()["stored"] > 500, "has stored something", seen=service.lane)
            assert service.terminate(timeout_s=GRACE_S + 5) == 0, service.log_tail()
            stored = check_so_far(service)
            assert not list((service.state_dir / "staging" / "market_data").iterdir())
        position = service.events("sink.segment_committed")[-1]["last_sequence"]
        assert stored == position, f"{stored} messages in files, but the log had reached {position}"
        assert service.events()[-1]["event"] == "service.stopped"
        plain.start()
        recovered = plain.events("service.started")[-1]["recovered_messages"]
        assert recovered == 0, f"{recovered} messages were left in the log by a graceful end"
        plain.wait_settled(STREAM, market.published)
        assert plain.terminate() == 0, plain.log_tail()
        check_exactly_once(plain, market.published)
        check_restart_changes_nothing(plain)


def test_a_second_sigterm_leaves_at_once_and_the_log_keeps_what_was_taken(tmp_path: Path) -> None:
    check_strace_works(tmp_path)
    with Market(tmp_path) as market:
        plain = healthy(tmp_path, market)
        hold_ballast(plain)
        staging = plain.state_dir / "staging" / "market_data"
        only = [staging / f"{number:012d}" for number in range(6, 40)]
        stuck = strace(
            "fsync:delay_enter=8000000", trace=tmp_path / "trace", only=only
        )  # a commit hangs, the log goes on
        service = faulty(tmp_path, market, stuck)
        with Load(market), service:
            service.wait_for(lambda: service.lane()["waiting"] > 200, "has messages in its log only", seen=service.lane)
            service.signal(signal.SIGTERM)
            service.wait_for(lambda: bool(service.events("service.stopping")), "begins to stop")
            assert service.is_running()
            service.signal(signal.SIGTERM)
            assert service.wait_exit(timeout_s=EXIT_TIMEOUT_S) == -signal.SIGTERM
            assert not service.events("service.stopped"), "it drained in spite of the second signal"
        check_so_far(service)
        finish(plain, market)
        assert plain.events("service.started", all_runs=True)
