"""Incidents of a lake in a bucket: the store says no, and the state folder is lost. As their runbooks say."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.crash.harness_faults import STREAM, Market, hold_ballast
from tests.incidents.site import try_block, wait_metric, wait_reason
from tests.s3.harness import bucket_service, check_bucket, check_puts, finish

from ticklake.testing.fault_proxy import Fault, FaultProxy
from ticklake.testing.s3_server import S3Server

_FOR_EVER = 10**6


def test_the_store_says_no_and_then_the_state_folder_is_lost(tmp_path: Path) -> None:
    with Market(tmp_path) as market, S3Server() as server, FaultProxy(server.port) as proxy:
        root = server.place("lake")
        settings = {"ack_after": "commit", "writer_id": None}
        service = bucket_service(tmp_path, market.url, server, root, endpoint=proxy.url, settings=settings)
        hold_ballast(service)
        with service:
            market.publish(300)
            service.wait_settled(STREAM, market.published)
            proxy.script(Fault.DENIED_403, times=_FOR_EVER)
            market.publish(300)
            assert "403" in wait_reason(service, "storage_denied")["what"]
            wait_metric(service, "ticklake_service_not_ready_info", lambda value: value == 1, reason="storage_denied")
            assert "storage_denied" in try_block("s3-down", "look", service)
            proxy.forgive()
            service.wait_ready()
            service.wait_settled(STREAM, market.published)

            service.kill()
            shutil.rmtree(service.state_dir)
            try_block("state-folder-lost", "recover", service)
            service.start()
            market.publish(300)
            finish(service, market)
        try_block("state-folder-lost", "check", service)
        check_bucket(root, market.published)
        check_puts(proxy)
