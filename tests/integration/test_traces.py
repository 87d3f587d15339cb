"""One trace from `ticklake publish` over a real server to the commit; nothing at all when switched off."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nats
import pytest
from tests.e2e.harness import Service, clean_environment, run_ticklake
from tests.e2e.raw_client import Publication, RawClient
from tests.integration.collector import Collector

from ticklake.cli.main import main
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

ROWS = 20
SECRET_PRICE = 60612.34567
ON = {"otel__enabled": "true"}
SETTINGS = {"bronze__flush_seconds": 0.2, "bronze__flush_interval_min_s": 0}


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as running:
        yield running


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with Collector() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        yield running


def trades(folder: Path) -> Path:
    path = folder / "trades.ndjson"
    begin_ns = 1_734_359_400_000_000_000
    rows = [
        {"ts_event_ns": begin_ns + n, "ts_recv_ns": begin_ns + n, "source": "s", "symbol": "BTCUSD"}
        | {"price": SECRET_PRICE, "size": 1.5, "aggressor": 1}
        for n in range(ROWS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_publish_serve_and_commit_are_one_trace(server: NatsServer, collector: Collector, tmp_path: Path) -> None:
    with Service(tmp_path, server.url, settings=SETTINGS | ON) as service:
        sent = run_ticklake("publish", trades(tmp_path), "-s", "market.crypto.trades", "--url", server.url, settings=ON)
        assert sent.returncode == 0, sent.stderr
        service.wait_taken("MARKET_DATA", ROWS)
        assert service.terminate() == 0, service.log_tail()

    (published,) = collector.spans("ticklake.publish")
    received, logged = collector.spans("ticklake.receive"), collector.spans("ticklake.log")
    committed = collector.spans("ticklake.commit")
    assert collector.paths == {"/v1/traces"}
    assert {span.trace for span in collector.spans()} == {published.trace}
    assert {span.service for span in collector.spans()} == {"ticklake"}
    assert {span.parent for span in received} == {published.span}
    assert sorted(span.parent for span in logged) == sorted(span.span for span in received)
    assert {span.parent for span in committed} <= {span.span for span in received}
    assert {span.links for span in committed} == {(published.span,)}

    assert published.attributes["messaging.destination.name"] == "market.crypto.trades"
    assert sum(span.attributes["messaging.batch.message_count"] for span in received) == ROWS
    assert sum(span.attributes["ticklake.rows"] for span in committed) == ROWS
    for span in committed:
        assert span.attributes["ticklake.lane"] == "market_data"
        assert span.attributes["ticklake.segment"] > 0
        assert span.attributes["ticklake.bytes"] > 0
    assert all(span.begin_ns <= span.end_ns for span in collector.spans())
    assert str(SECRET_PRICE).encode() not in collector.raw
    assert b"BTCUSD" not in collector.raw


def test_off_sends_no_header(server: NatsServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def stored_headers() -> dict[str, str]:
        client = await nats.connect(server.url)
        jetstream = client.jetstream(timeout=30)
        await jetstream.add_stream(name="MARKET_DATA", subjects=["market.>"])
        arguments = ["publish", str(trades(tmp_path)), "-s", "market.other", "--url", server.url, "--limit", "1"]
        assert await asyncio.to_thread(main, arguments) == 0, capsys.readouterr().err
        headers = (await jetstream.get_msg("MARKET_DATA", 1)).headers
        await client.close()
        return headers or {}

    assert set(asyncio.run(stored_headers())) == {"Nats-Msg-Id"}


def test_opentelemetry_is_not_imported_unless_switched_on(tmp_path: Path) -> None:
    """The service without the extra: a finder that refuses the package stands for a machine that lacks it."""
    script = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'opentelemetry':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from ticklake.cli.main import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    for settings, code, text in (({}, 69, "cannot connect to NATS"), (ON, 78, "pip install 'ticklake[otel]'")):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                script,
                "publish",
                str(trades(tmp_path)),
                "-s",
                "m.x",
                "--url",
                "nats://127.0.0.1:9",
            ],
            env=clean_environment(settings),
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == code, done.stderr
        assert text in done.stderr


def test_a_collector_that_is_away_neither_stops_nor_holds_the_service(
    server: NatsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    with Service(tmp_path, server.url, settings=SETTINGS | ON) as service, RawClient(server.url) as client:
        client.publish(Publication(b"market.odd", b"x"))
        client.flush()
        service.wait_taken("MARKET_DATA", 1)
        assert service.terminate() == 0, service.log_tail()
