"""What /readyz promises: from the first 200 on, whatever is published arrives."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.harness import Service
from tests.e2e.raw_client import Publication, RawClient

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer


@pytest.mark.parametrize("mode", ["jetstream", "core"])
def test_ready_means_that_every_consumer_is_bound(tmp_path: Path, mode: str) -> None:
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server, RawClient(server.url) as client:
        service = Service(tmp_path, server.url, settings={"nats__mode": mode})
        try:
            service.start(is_ready=False)
            service.wait_for(lambda: service.get("/livez")[0] == 200, "answers")
            while service.get("/readyz")[0] != 200:  # no pause: the moment between ready and bound is short
                assert service.is_running(), service.log_tail()
            client.publish(Publication(b"market.odd", b"x"))
            client.flush()
            pending = [lane["pending"] for lane in service.status()["lanes"]]
            assert None not in pending, "ready before the consumers are bound"
            if mode == "jetstream":  # core NATS promises nothing
                service.wait_logged("MARKET_DATA", 1)
        finally:
            service.kill()
