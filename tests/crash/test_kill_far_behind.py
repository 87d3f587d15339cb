"""kill -9 while the service catches up and acks nothing: its own position alone says where to go on."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.crash.harness_faults import Market, check_so_far, finish, healthy

from ticklake.ingest.bind import FAR_BEHIND

LIVES = 6
FLUSH_ROWS = 10_000  # commits come and go during a life
LIFE_S = (0.0, 0.5)


def test_kills_far_behind_lose_and_double_nothing(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    print(f"seed {seed}")  # pytest shows it when the test fails
    dice = random.Random(seed)
    killed_behind = stored = 0
    with Market(tmp_path) as market:
        market.publish(FAR_BEHIND + 70_000)
        service = healthy(tmp_path, market, bronze__flush_rows=FLUSH_ROWS)
        for _ in range(LIVES):
            service.start(is_ready=False)
            try:
                service.wait_for(lambda: bool(service.events("ingest.consumer_bound")), "has its consumer")
                time.sleep(dice.uniform(*LIFE_S))
            finally:
                service.kill()
            bound = [event for event in service.events("ingest.consumer_bound") if event["lane"] == "market_data"]
            killed_behind += bool(bound) and not bound[-1]["acks"]
            stored = check_so_far(service)
        assert killed_behind > 0, "every kill came when the service had caught up"
        assert stored > 0, "nothing reached the lake: the lives were too short to test anything"
        finish(service, market)
        consumer = market.consumer()
        assert consumer is not None
        assert consumer.config.ack_policy == "all", "near the end the consumer takes acks"
        assert consumer.ack_floor.stream_seq == market.published
