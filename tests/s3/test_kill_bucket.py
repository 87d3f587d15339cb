"""Kill -9 at random moments while the lake lies in a bucket: exactly once, one object per key, none overwritten."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from tests.crash.harness_faults import STREAM, Load, Market, hold_ballast
from tests.crash.test_kill_random import first_file_s
from tests.s3.harness import bucket_service, check_bucket, check_puts, finish

from ticklake.files.object_path import ObjectPath
from ticklake.testing.fault_proxy import Fault, FaultProxy
from ticklake.testing.s3_server import S3Server

CYCLES = 10
NIGHTLY_CYCLES = 100
LIFE_S = 0.5  # at most, after the writers began: the log and the commits run


@pytest.mark.timeout(900)
def test_random_kills_lose_double_and_overwrite_nothing(
    tmp_path: Path, s3_server: S3Server, bucket: ObjectPath
) -> None:
    kill_at_random(tmp_path, s3_server, bucket, cycles=CYCLES)


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_many_random_kills_lose_double_and_overwrite_nothing(
    tmp_path: Path, s3_server: S3Server, bucket: ObjectPath
) -> None:
    kill_at_random(tmp_path, s3_server, bucket, cycles=NIGHTLY_CYCLES)


def kill_at_random(folder: Path, server: S3Server, root: ObjectPath, *, cycles: int) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # pytest shows it when the test fails
    dice = random.Random(seed)
    left_in_log = puts_seen_twice = 0
    with Market(folder) as market, FaultProxy(server.port) as proxy:
        service = bucket_service(folder, market.url, server, root, endpoint=proxy.url)
        hold_ballast(service)
        with Load(market):
            life_s = max(LIFE_S, 2 * first_file_s(service))
            for _ in range(cycles):
                if dice.random() < 0.3:  # stored, and never heard of: the next life must find its own bytes
                    proxy.script(Fault.RESET, part=dice.choice((".parquet", "catalog/ledger/")))
                service.start(is_ready=False)
                try:
                    service.wait_for(lambda: bool(service.events("service.started")), "has recovered its log")
                    left_in_log += service.events("service.started")[-1]["recovered_messages"]
                    time.sleep(dice.uniform(0.0, life_s))
                    assert service.is_running(), service.log_tail()
                finally:
                    service.kill()
                assert service.wait_exit() == -signal.SIGKILL
                check_puts(proxy)
        assert left_in_log > 0, "no kill left a message in the log: nothing was recovered"
        assert proxy.stored(), "nothing reached the lake: the lives were too short to test anything"
        puts_seen_twice = sum(1 for request in proxy.requests if request.method == "PUT" and request.status == 412)
        proxy.forgive()
        with service:
            finish(service, market)
        check_bucket(root, market.published, service.state_dir)
        check_puts(proxy)
        before = sorted((path.key, path.stat()) for path in root.rglob("*"))
        with service:
            service.wait_settled(STREAM, market.published)
            assert service.terminate() == 0, service.log_tail()
        assert sorted((path.key, path.stat()) for path in root.rglob("*")) == before, "an idle start changed the lake"
        print(
            f"{cycles} kills, {market.published} messages, {left_in_log} from the log, {puts_seen_twice} PUTs repeated"
        )
