"""The store goes away under 5,000 events a second: nothing is lost, memory stays flat, readiness says why."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import nats
import psutil
import pytest
from tests.crash.harness_faults import STREAM, Load, Market, hold_ballast, payload
from tests.e2e.harness import Service
from tests.s3.harness import bucket_service, check_bucket, finish, reasons

from ticklake.files.object_path import ObjectPath
from ticklake.testing.s3_server import S3Server

EVENTS_PER_S = 5_000
MIB = 2**20
GROWTH_MAX_BYTES = 160 * MIB  # two segments, what is on its way, and what the allocator keeps
SETTINGS = {"bronze__flush_rows": 1000, "bronze__flush_seconds": 1.0, "bronze__flush_interval_min_s": 0.5}


class FastMarket(Market):
    """The market of the fault tests, at 5,000 events a second."""

    async def publish_until(self, done: threading.Event) -> None:
        client = await nats.connect(self.url)
        begin_s = time.monotonic()
        while not done.is_set():
            due = int((time.monotonic() - begin_s) * EVENTS_PER_S)
            while self.published < due:
                self.published += 1
                await client.publish("market.futures.trades", payload(self.published))
                if self.published % 4_000 == 0:
                    await self._check_stored(client)
            await client.flush()
            await asyncio.sleep(0.02)
        await self._check_stored(client)
        await client.close()


@pytest.mark.timeout(900)
def test_ten_seconds_without_the_store(tmp_path: Path) -> None:
    live_through(tmp_path, away_s=10.0, segment_bytes=4 * MIB)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_two_minutes_without_the_store(tmp_path: Path) -> None:
    live_through(tmp_path, away_s=120.0, segment_bytes=32 * MIB)


def live_through(folder: Path, *, away_s: float, segment_bytes: int) -> None:
    settings = {**SETTINGS, "wal__segment_bytes_max": segment_bytes}
    with FastMarket(folder) as market, S3Server() as server:
        root = server.place("lake")
        service = bucket_service(folder, market.url, server, root, settings=settings)
        hold_ballast(service)
        with service:
            with Load(market):
                service.wait_taken(STREAM, 2 * EVENTS_PER_S)
                resident = psutil.Process(service.pid).memory_info().rss
                server.kill()
                peak = watch(service, resident, until_s=time.monotonic() + away_s)
                service.wait_for(lambda: "storage_unavailable" in reasons(service), "says why it is not ready")
                assert service.get("/livez")[0] == 200
                service.wait_for(  # a slow market takes longer to fill the log that may wait
                    lambda: service.lane()["position"] < market.published - EVENTS_PER_S, "pauses its intake"
                )
                lane, published = service.lane(), market.published
                waiting = published - (lane["received"] - lane["waiting"])
                server.start()
                back_s = time.monotonic()
                service.wait_taken(STREAM, published, timeout_s=200)
                took_s = time.monotonic() - back_s
                service.wait_ready()
            finish(service, market)
        check_bucket(root, market.published, service.state_dir)
        server.kill()  # its own way out takes seconds
        speed = waiting / took_s / EVENTS_PER_S
        print(
            f"away {away_s:g} s: {waiting} messages caught up in {took_s:.1f} s = {speed:.1f} x real time; "
            f"resident {resident / MIB:.0f} MiB before, {peak / MIB:.0f} MiB at most"
        )
        assert peak - resident < GROWTH_MAX_BYTES, f"{(peak - resident) / MIB:.0f} MiB more than before"


def watch(service: Service, resident: int, *, until_s: float) -> int:
    """The largest resident size until then."""
    peak = resident
    while time.monotonic() < until_s:
        peak = max(peak, psutil.Process(service.pid).memory_info().rss)
        time.sleep(0.1)
    return peak


def test_a_start_without_the_store_waits_and_says_why(tmp_path: Path) -> None:
    with Market(tmp_path) as market, S3Server() as server:
        root = server.place("lake")
        service = bucket_service(tmp_path, market.url, server, root)
        hold_ballast(service)
        market.publish(100)
        with service:
            service.wait_settled(STREAM, market.published)
            server.kill()
            market.publish(100)
            service.wait_logged(STREAM, market.published)
            service.wait_for(lambda: "storage_unavailable" in reasons(service), "says why it is not ready")
            with Load(market):  # what still comes while it drains belongs into the log
                assert service.terminate() == 0, service.log_tail()
            [left] = [event for event in service.events("sink.left_in_log") if event["lane"] == "market_data"]
            assert left["messages"] > 0
            assert len(service.events("sink.store_down")) == 1, "one warning for one outage"
            service.start(is_ready=False)
            service.wait_for(lambda: "storage_unavailable" in reasons(service), "says why it does not start")
            assert service.get("/startupz")[0] == 503
            assert service.get("/livez")[0] == 200
            assert service.terminate() == 0, service.log_tail()
            service.start(is_ready=False)
            service.wait_for(lambda: "storage_unavailable" in reasons(service), "waits again")
            server.start()
            service.wait_ready()
            assert service.events("sink.store_back")
            finish(service, market)
        check_bucket(root, market.published, service.state_dir)
        server.kill()


def test_a_store_that_stands_still_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with Market(tmp_path) as market, S3Server() as server:
        root = server.place("lake")
        service = bucket_service(tmp_path, market.url, server, root, settings={"shutdown_grace_s": 15})
        hold_ballast(service)
        with service:
            server.pause()
            market.publish(200)
            service.wait_logged(STREAM, market.published)
            assert service.terminate() == 0, service.log_tail()
            assert service.events("sink.left_in_log")
        server.resume()
        with service:
            finish(service, market)
        check_bucket(root, market.published, service.state_dir)
        server.kill()


def test_a_key_that_may_not_write_is_named_and_may_be_mended(
    tmp_path: Path, s3_server: S3Server, bucket: ObjectPath
) -> None:
    with Market(tmp_path) as market:
        wrong = {"s3__secret_key": "not-the-secret"}
        service = bucket_service(tmp_path, market.url, s3_server, bucket, settings=wrong)
        hold_ballast(service)
        service.start(is_ready=False)
        try:
            service.wait_for(lambda: "storage_denied" in reasons(service), "says that it is refused")
            assert service.terminate() == 0, service.log_tail()
            assert "not-the-secret" not in service.log_text()
        finally:
            service.kill()
        market.publish(60)
        with bucket_service(tmp_path, market.url, s3_server, bucket) as mended:
            finish(mended, market)
        check_bucket(bucket, market.published, service.state_dir)
