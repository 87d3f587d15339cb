"""The disk is full, slow, or gives back other bytes than it got; a second process wants it too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crash.harness_faults import (
    STREAM,
    Load,
    check_exactly_once,
    check_so_far,
    check_strace_works,
    faulty,
    hold_ballast,
    strace,
)
from tests.crash.test_disk_errors import fill, small_disk
from tests.e2e.harness import Service, run_ticklake
from tests.incidents.site import (
    QUICK,
    Site,
    assert_healed,
    finish,
    metric,
    new_service,
    reasons,
    try_block,
    wait_logged,
    wait_metric,
    wait_reason,
)

from ticklake.readers.verify import verify_lake

MIB = 1024 * 1024
CORRUPT, RETRY_LATER = 65, 75


def test_disk_full(tmp_path: Path) -> None:
    with small_disk(tmp_path, size_bytes=24 * MIB) as disk, Site(tmp_path) as site:
        service = new_service(disk, site, disk__min_free_bytes=2 * MIB)
        service.log_path = tmp_path / "service.log"
        with service:
            site.publish(200)
            service.wait_settled(STREAM, site.published)
            fill(disk / "filler")
            reason = wait_reason(service, "disk_low")
            assert str(disk) in reason["what"]
            wait_metric(service, "ticklake_disk_free_bytes", lambda value: value < 2 * MIB)
            wait_logged(service, "service.not_ready", "disk_low")
            site.publish(500)
            assert "disk_low" in try_block("disk-full", "look", service)
            try_block("disk-full", "what-is-large", service)
            check_so_far(service)
            (disk / "filler").unlink()
            assert_healed(service, site)
            wait_metric(service, "ticklake_disk_free_bytes", lambda value: value > 2 * MIB)
            finish(service, site)


def test_slow_disk(tmp_path: Path) -> None:
    check_strace_works(tmp_path)
    with Site(tmp_path) as site:
        slow = strace("fdatasync:delay_enter=700000:when=6..22", trace=tmp_path / "trace")
        service = faulty(tmp_path, site, slow, **QUICK | {"health__sync_slow_s": 0.5})
        hold_ballast(service)
        with service:
            with Load(site):
                reason = wait_reason(service, "slow_disk")
            assert "an fdatasync takes " in reason["what"]  # with no load it stays so while we look
            wait_logged(service, "service.not_ready", "slow_disk")
            assert "slow_disk" in try_block("slow-disk", "look", service)
            with Load(site):
                service.wait_for(lambda: "slow_disk" not in reasons(service), "has a good disk again", timeout_s=200)
            slow_syncs = metric(service, "ticklake_wal_fsync_seconds_count", lane="market_data") - metric(
                service, "ticklake_wal_fsync_seconds_bucket", lane="market_data", le="0.5"
            )
            assert slow_syncs >= 5, "the histogram does not show what the alert looks for"
            assert_healed(service, site)
            finish(service, site)


@pytest.fixture
def damaged(tmp_path: Path) -> Iterator[tuple[Site, Service]]:
    """A killed service with six groups in its log, the third of them damaged."""
    with Site(tmp_path) as site:
        service = new_service(tmp_path, site, bronze__flush_seconds=600, bronze__flush_rows=1_000_000)
        with service:
            for _ in range(6):
                site.publish(50)
                service.wait_logged(STREAM, site.published)
        segment = max((service.state_dir / "wal" / "market_data").glob("*.wal"))
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 0xFF
        segment.write_bytes(content)
        yield site, service
        service.kill()


def test_corrupt_segment(damaged: tuple[Site, Service], tmp_path: Path) -> None:
    site, service = damaged
    service.start(is_ready=False)
    assert service.wait_exit() == CORRUPT, service.log_tail()
    assert ".wal: damage at byte " in service.log_text()
    assert "ticklake wal repair" in service.log_text()
    assert not service.events("service.started")
    with pytest.raises(OSError, match="refused"):
        service.get("/metrics")  # nothing to scrape: the alert is that the service is down
    assert "corrupt" in try_block("corrupt-segment", "look", service, code=CORRUPT)
    said = json.loads(try_block("corrupt-segment", "repair", service))
    ((first, last),) = said[0]["lost_sequences"]
    service.start()
    site.publish(30)
    service.wait_logged(STREAM, site.published)
    service.flush()
    service.wait_settled(STREAM, site.published)
    gap = try_block("corrupt-segment", "count", service, code=3)
    assert "sequence_gap" in gap
    assert 0 < last - first + 1 <= 50, "one group of the fifty that were published at once"
    assert service.terminate() == 0
    check_so_far(service)
    rebuilt = Service(tmp_path / "again", site.url, settings=QUICK | {"writer_id": "again"})
    with rebuilt:  # the stream still has them: the same lake once more, whole
        rebuilt.wait_settled(STREAM, site.published)
        assert rebuilt.terminate() == 0
    check_exactly_once(rebuilt, site.published)


def test_second_writer(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        first, second = new_service(tmp_path, site), new_service(tmp_path, site)
        second.log_path = tmp_path / "second.log"
        with first:
            second.start(is_ready=False)
            assert second.wait_exit() == RETRY_LATER, second.log_tail()
            assert f"is in use by process {first.pid} on " in second.log_text()
            assert not second.events("web.listening"), "it was up for a moment: the alert is that its target is down"
            assert str(first.pid) in try_block("second-writer", "who", first)
            first.wait_for(lambda: not reasons(first), "has nothing to complain of", seen=lambda: reasons(first))
            site.publish(60)
            first.wait_settled(STREAM, site.published)
            finish(first, site)


def test_quarantine_flood(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        service = new_service(tmp_path, site)
        with service:
            site.publish(200)  # each fiftieth is broken: normal life
            service.wait_settled(STREAM, site.published)
            service.wait_for(lambda: not reasons(service), "has nothing to complain of", seen=lambda: reasons(service))
            rejected = metric(service, "ticklake_ingest_messages_rejected_total")
            flood(tmp_path, site, messages=300)
            site.published += 300
            service.wait_settled(STREAM, site.published)
            reason = wait_reason(service, "quarantine_flood")
            assert "futures.trades" in reason["what"]
            assert metric(service, "ticklake_ingest_messages_rejected_total") == rejected + 300
            wait_logged(service, "service.not_ready", "quarantine_flood")
            said = try_block("quarantine-flood", "look", service)
            assert "quarantine_flood" in said
            assert "missing" in said or "wrong_type" in said, said
            assert service.terminate() == 0, service.log_tail()
        report = verify_lake(service.data_root, service.state_dir, deep=True)
        assert report.is_ok, report.problems
        book = next(book for book in report.books if book.stream == STREAM)
        assert (book.received, book.quarantined) == (500, 304)


def flood(folder: Path, site: Site, *, messages: int) -> None:
    """A publisher that was changed: the price is called something else now."""
    lines = "".join(
        json.dumps({"ts_event_ns": 1_734_350_400_000_000_000 + n, "symbol": "ESZ5", "px": 1.0, "size": n}) + "\n"
        for n in range(messages)
    )
    path = folder / "flood.ndjson"
    path.write_text(lines)
    run = run_ticklake("publish", path, "--subject", "market.futures.trades", settings={"nats__url": site.url})
    assert run.returncode == 0, run.stderr
