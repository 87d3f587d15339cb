"""T08: kill -9 at random moments under load, again and again, on one lake."""

from __future__ import annotations

import random
import signal
import statistics
import time
from pathlib import Path

import pytest
from tests.crash.harness_faults import STREAM, Load, Market, check_so_far, finish, healthy
from tests.e2e.harness import Service

CYCLES = 25
NIGHTLY_CYCLES = 200
LIFE_S = 0.7  # at most, after the writers began: recovery is over, the log and the commits run


@pytest.mark.timeout(900)
def test_random_kills_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, cycles=CYCLES)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_many_random_kills_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    kill_at_random(tmp_path, cycles=NIGHTLY_CYCLES)


def kill_at_random(folder: Path, *, cycles: int) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # pytest shows it when the test fails
    dice = random.Random(seed)
    recoveries_s: list[float] = []
    left_in_log = stored = 0
    with Market(folder) as market:
        service = healthy(folder, market)
        with Load(market):
            life_s = max(LIFE_S, 2 * first_file_s(service))
            for _ in range(cycles):
                service.start(is_ready=False)
                try:
                    service.wait_for(lambda: bool(service.events("service.started")), "has recovered its log")
                    started = service.events("service.started")[-1]
                    left_in_log += started["recovered_messages"]
                    time.sleep(dice.uniform(0.0, life_s))
                    assert service.is_running(), service.log_tail()
                finally:
                    service.kill()
                recoveries_s.append(service_start_s(service.events()))
                assert service.wait_exit() == -signal.SIGKILL
                stored = check_so_far(service)
        assert stored > 0, "nothing reached the lake: the lives were too short to test anything"
        assert left_in_log > 0, "no kill left a message in the log: nothing was recovered"
        finish(service, market)
        print(
            f"{cycles} kills, {market.published} messages, {left_in_log} recovered from the log; recovery: "
            f"median {statistics.median(recoveries_s):.3f} s, longest {max(recoveries_s):.3f} s"
        )


def first_file_s(service: Service) -> float:
    """One life: from the start of its writers to the first message in a file; the slower the machine, the longer."""
    service.start(is_ready=False)
    try:
        service.wait_for(lambda: bool(service.events("service.started")), "has recovered its log")
        began_s = time.monotonic()
        service.wait_taken(STREAM, 1)
        return time.monotonic() - began_s
    finally:
        service.kill()


def service_start_s(events: list[dict[str, object]]) -> float:
    """From the first log line to the end of recovery, as the service logged it."""
    at = {str(event["event"]): str(event["time"]) for event in events}
    begin, end = (_seconds(at[name]) for name in ("service.configured", "service.started"))
    return (end - begin) % 86_400


def _seconds(text: str) -> float:
    hours, minutes, seconds = text.rstrip("Z").partition("T")[2].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
