"""The server is gone, does not let us in, holds messages back, or has another clock. Each heals and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nats
from tests.crash.harness_faults import CONSUMER, STREAM
from tests.e2e.harness import Service, absent, wait_until
from tests.incidents.site import (
    QUICK,
    Site,
    assert_healed,
    finish,
    new_service,
    reasons,
    try_block,
    wait_logged,
    wait_metric,
    wait_reason,
)

BAD_CONFIGURATION = 78
FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def test_nats_down(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        service = new_service(tmp_path, site)
        with service:
            site.publish(60)
            service.wait_logged(STREAM, site.published)
            site.server.kill()
            reason = wait_reason(service, "nats_disconnected")
            assert site.server.url.removeprefix("nats://") in reason["what"]
            wait_metric(service, "ticklake_nats_connected", lambda value: value == 0)
            wait_metric(service, "ticklake_service_ready", lambda value: value == 0)
            wait_logged(service, "service.not_ready", "nats_disconnected")
            assert "nats_disconnected" in try_block("nats-down", "look", service)
            site.server.start()
            assert_healed(service, site)
            wait_metric(service, "ticklake_nats_connected", lambda value: value == 1)
            wait_metric(service, "ticklake_service_ready", lambda value: value == 1)
            try_block("nats-down", "over", service)
            finish(service, site)


class LockedSite(Site):
    """A market behind a password that can be changed while it runs."""

    password = "first-password"

    @property
    def url(self) -> str:
        return self.server.url.replace("//", f"//owner:{self.password}@")

    def change_password(self, password: str) -> None:
        config = self.server.folder / "nats.conf"
        config.write_text(config.read_text().replace(self.password, password))
        self.password = password
        self._reload()

    def _reload(self) -> None:
        reloads = self._reloads()
        os.kill(self.server.pid, signal.SIGHUP)
        wait_until(lambda: self._reloads() > reloads, "the users are in force")

    def _reloads(self) -> int:
        return self.server.log_path.read_text(errors="replace").count("Reloaded server configuration")

    def __enter__(self) -> LockedSite:
        self.server.start()
        config = self.server.folder / "nats.conf"
        rule = f'authorization {{ users: [{{user: owner, password: "{self.password}"}}] }}\n'
        config.write_text(config.read_text() + rule)
        try:
            self._reload()
            asyncio.run(self._create())
        except BaseException:
            self.server.stop()
            raise
        return self


def test_wrong_credentials(tmp_path: Path) -> None:
    with LockedSite(tmp_path) as site:
        right = site.password
        settings = QUICK | {"nats__user": "owner", "nats__password": right}
        service = Service(tmp_path, site.server.url, settings=settings)
        with service:
            site.publish(60)
            service.wait_settled(STREAM, site.published)
            site.change_password("second-password")  # somebody rotated it and forgot us
            reason = wait_reason(service, "nats_refused")
            assert "authorization" in reason["what"].lower()
            assert right not in service.log_text() + json.dumps(reason)
            wait_metric(service, "ticklake_service_not_ready_info", lambda value: value == 1, reason="nats_refused")
            wait_logged(service, "service.not_ready", "nats_refused")
            site.publish(60)
            assert "nats_refused" in try_block("wrong-credentials", "look", service)
            assert "authorization" in try_block("wrong-credentials", "check", service, code=3).lower()
            site.change_password(right)
            assert_healed(service, site)
            assert "nats_refused" not in reasons(service)
            try_block("wrong-credentials", "check", service)
            finish(service, site)


def test_a_key_file_that_cannot_be_used_ends_the_process(tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.write_text("no seed at all")
    seed.chmod(0o600)
    service = Service(tmp_path, "nats://127.0.0.1:1", settings=QUICK | {"nats__nkey_file": seed})
    try:
        service.start(is_ready=False)
        assert service.wait_exit() == BAD_CONFIGURATION, service.log_tail()
        assert "nats.nkey_file" in service.log_text()
        assert "no seed at all" not in service.log_text()
    finally:
        service.kill()


def test_stalled_consumer(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        service = new_service(tmp_path, site)
        with service:
            site.publish(60)
            service.wait_settled(STREAM, site.published)
            pause_consumer(site, until="2030-01-01T00:00:00Z")
            site.publish(90)
            wait_reason(service, "consumer_stalled")
            service.wait_for(  # it may have looked first when not all of them were there
                lambda: "90 messages wait" in reasons(service).get("consumer_stalled", {}).get("what", ""),
                "names all that wait",
                seen=lambda: reasons(service),
            )
            wait_metric(service, "ticklake_ingest_consumer_pending", lambda value: value == 90, lane="market_data")
            wait_logged(service, "service.not_ready", "consumer_stalled")
            assert "consumer_stalled" in try_block("lagging-consumer", "look", service)
            pause_consumer(site, until="")
            assert_healed(service, site)
            wait_metric(service, "ticklake_ingest_consumer_pending", lambda value: value == 0, lane="market_data")
            finish(service, site)


def pause_consumer(site: Site, *, until: str) -> None:
    """What an operator's `nats consumer pause` does; empty: resume."""

    async def ask() -> None:
        client = await nats.connect(site.url)
        body = json.dumps({"pause_until": until} if until else {}).encode()
        answer = await client.request(f"$JS.API.CONSUMER.PAUSE.{STREAM}.{CONSUMER}", body, timeout=30)
        assert json.loads(answer.data)["paused"] == bool(until), answer.data
        await client.close()

    asyncio.run(ask())


def test_clock_skew(tmp_path: Path) -> None:
    offset = tmp_path / "offset"
    with Site(tmp_path) as site, wrong_clock(tmp_path, site, offset) as service:
        site.publish(60)
        service.wait_settled(STREAM, site.published)
        service.wait_for(lambda: service.status()["nats"]["clock_skew_s"] is not None, "knows the server's time")
        service.wait_for(lambda: abs(service.status()["nats"]["clock_skew_s"]) < 1, "agrees with the server's clock")
        offset.write_text("+90s\n")
        reason = wait_reason(service, "clock_skew")
        assert "ahead of the NATS server's" in reason["what"]
        wait_metric(service, "ticklake_nats_clock_skew_seconds", lambda value: -95 < value < -85)
        wait_metric(service, "ticklake_service_ready", lambda value: value == 0)
        wait_logged(service, "service.not_ready", "clock_skew")
        assert "clock_skew" in try_block("clock-skew", "look", service)
        site.publish(60)  # messages go on; only their ingest time is off
        service.wait_settled(STREAM, site.published)
        offset.write_text("+0s\n")
        assert_healed(service, site)
        wait_metric(service, "ticklake_nats_clock_skew_seconds", lambda value: abs(value) < 1)
        finish(service, site)


@contextmanager
def wrong_clock(folder: Path, site: Site, offset: Path) -> Iterator[Service]:
    """A service whose clock is off by what the file says."""
    if not FAKETIME:
        absent("libfaketime is not installed")
    offset.write_text("+0s\n")
    environment = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with Service(folder, site.url, settings=dict(QUICK), environment=environment) as service:
        yield service
