"""The runbooks: each reason has its page, each page its parts, and each command that claims to be tried is tried."""

from __future__ import annotations

import asyncio
import re
import shutil
from pathlib import Path

import nats
import pytest
from tests.crash.harness_faults import STREAM
from tests.incidents.site import RUNBOOKS, Site, blocks, finish, new_service, try_block, wait_reason

from ticklake.readers.verify import verify_lake
from ticklake.service.health import CODES

PAGES = sorted(path.stem for path in RUNBOOKS.glob("*.md") if path.stem != "README")
CORRUPT = 65


def test_the_index_leads_from_every_reason_to_a_page_and_to_every_page() -> None:
    index = (RUNBOOKS / "README.md").read_text()
    rows = [line for line in index.splitlines() if line.startswith("|")]
    assert not [code for code in CODES if not any(f"`{code}`" in row for row in rows)]
    linked = set(re.findall(r"\]\(([a-z0-9-]+)\.md\)", index))
    assert linked == set(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_says_what_is_seen_what_to_do_and_when_it_is_over(page: str) -> None:
    text = (RUNBOOKS / f"{page}.md").read_text()
    assert "## What to do" in text
    if page not in ("upgrade", "restore"):  # those are undertaken, not met
        assert "**You see**" in text
        assert "**It means**" in text
    assert "## It is over when" in text


@pytest.mark.parametrize("page", PAGES)
def test_every_block_that_claims_to_be_tried_is(page: str) -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    text = (RUNBOOKS / f"{page}.md").read_text()
    assert len(blocks(page)) == text.count("# tried: ")
    for name in blocks(page):
        assert f'try_block("{page}", "{name}"' in tests, f"{page}: nobody runs the block {name}"


@pytest.mark.nightly
def test_a_stream_made_anew_an_upgrade_and_a_restore(tmp_path: Path) -> None:
    """One lake's bad week."""
    with Site(tmp_path) as site:
        service = new_service(tmp_path, site)
        with service:
            site.publish(60)
            service.wait_settled(STREAM, site.published)
            try_block("upgrade", "before", service)
            assert service.terminate() == 0
        try_block("restore", "copy", service)
        with service:
            said = try_block("upgrade", "after", service)
            assert "MARKET_DATA" in said
            site.publish(60)
            service.wait_settled(STREAM, site.published)
        try_block("restore", "back", service)  # the lake of before; what came since is still in the stream
        with service:
            service.wait_settled(STREAM, site.published)
            assert service.status()["lanes"][0]["duplicates"] == 0
            finish(service, site)
        with service:
            asyncio.run(recreate(site))
            assert "stream_recreated" in wait_reason(service, "stream_regressed")["what"]
            assert "stream_regressed" in try_block("stream-recreated", "look", service)
            assert service.terminate() == 0
        with service:  # the alarm stays until somebody looked and restarted
            service.wait_ready()
            assert service.terminate() == 0
        assert verify_lake(service.data_root, service.state_dir).is_ok


async def recreate(site: Site) -> None:
    client = await nats.connect(site.url)
    await client.jetstream(timeout=30).delete_stream(STREAM)
    await client.jetstream(timeout=30).add_stream(name=STREAM, subjects=["market.>"])
    await client.publish("market.odd", b"of the new life")
    await client.flush()
    await client.close()


@pytest.mark.nightly
def test_a_lost_log_is_noticed_before_anything_is_taken_twice(tmp_path: Path) -> None:
    with Site(tmp_path) as site:
        service = new_service(tmp_path, site)
        with service:
            site.publish(60)
            service.wait_settled(STREAM, site.published)
            assert service.terminate() == 0
        shutil.rmtree(service.state_dir / "wal")
        try:
            service.start(is_ready=False)
            assert service.wait_exit() == CORRUPT, service.log_tail()
        finally:
            service.kill()
        assert "the log is empty although" in service.log_text()
