"""`ticklake publish` against a real server: every message acknowledged, counted, stored once."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats
import nats.js.api
import polars as pl
import pytest

from ticklake.base.errors import UnavailableError, UsageError
from ticklake.base.settings_groups import NatsSettings
from ticklake.cli.columns import Shaping
from ticklake.cli.main import main
from ticklake.cli.messages import Format, Packing
from ticklake.cli.publish import Plan, PublishRefusedError, send_files
from ticklake.cli.publisher import Publisher
from ticklake.ingest.client import LakeClient
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

REAL = Path(__file__).parents[3] / "shared" / "data"
SUBJECT = "market.crypto.trades"


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as running:
        asyncio.run(add_stream(running.url))
        yield running


@pytest.fixture
async def client(server: NatsServer) -> AsyncIterator[LakeClient]:
    connected = LakeClient()
    await connected.connect(server.url, reconnect_time_wait=0.05)
    yield connected
    await connected.close()


async def add_stream(url: str, **limits: Any) -> None:
    client = await nats.connect(url)
    await client.jetstream(timeout=30).add_stream(name="MARKET_DATA", subjects=["market.>"], **limits)
    await client.close()


async def read_stream(url: str) -> list[tuple[str, dict[str, str], bytes]]:
    client = await nats.connect(url)
    try:
        jetstream = client.jetstream(timeout=30)
        last = (await jetstream.stream_info("MARKET_DATA")).state.last_seq
        found = [await jetstream.get_msg("MARKET_DATA", seq) for seq in range(1, last + 1)]
        return [(str(m.subject), dict(m.headers or {}), m.data or b"") for m in found]
    finally:
        await client.close()


def run(capsys: pytest.CaptureFixture[str], server: NatsServer, *arguments: str) -> tuple[int, dict[str, Any], str]:
    code = main(["publish", *arguments, "--url", server.url, "--output", "json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def plan(path: Path, *, batch_rows: int = 1, **changes: Any) -> Plan:
    packing = Packing(Format.JSON, batch_rows, Shaping())
    defaults: dict[str, Any] = {"rate": None, "stream": None, "is_deduped": False, "limit_rows": None}
    return Plan((path,), SUBJECT, packing, **(defaults | changes))


def real_file(name: str) -> Path:
    path = REAL / name
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is missing")
        pytest.skip("the real market data is not beside the repository")
    return path


@pytest.fixture
def trades(tmp_path: Path) -> Path:
    path = tmp_path / "trades.parquet"
    pl.DataFrame({"symbol": ["X"] * 2_500, "price": [1.5] * 2_500, "seq": range(2_500)}).write_parquet(path)
    return path


def test_real_trades_arrive_in_order(server: NatsServer, capsys: pytest.CaptureFixture[str]) -> None:
    path = real_file("binance_hft_tidy/spot_btcusdt_20240808_09_trades.parquet")
    code, summary, _ = run(capsys, server, str(path), "--subject", SUBJECT, "--limit", "300")
    assert code == 0
    assert (summary["messages"], summary["rows"], summary["stored"], summary["failed"]) == (300, 300, 300, 0)
    assert summary["last_sequence"] == 300
    messages = asyncio.run(read_stream(server.url))
    expected = pl.read_parquet(path).head(300)
    rows = [json.loads(payload) for _, _, payload in messages]
    assert [row["trade_id"] for row in rows] == expected["trade_id"].to_list()
    assert [row["ts_event_ns"] for row in rows] == expected["ts_event"].dt.epoch("ns").to_list()
    assert [row["price"] for row in rows] == expected["price"].to_list()
    assert {subject for subject, _, _ in messages} == {SUBJECT}
    assert summary["bytes"] == sum(len(payload) for _, _, payload in messages)


def test_real_raw_lines_arrive_byte_for_byte(server: NatsServer, capsys: pytest.CaptureFixture[str]) -> None:
    path = real_file("binance_hft_raw/spot_btcusdt_20240808.gz")
    arguments = (str(path), "--subject", "market.binance.spot", "--format", "raw", "--limit", "200")
    code, summary, _ = run(capsys, server, *arguments)
    assert (code, summary["stored"]) == (0, 200)
    with gzip.open(path) as file:
        lines = [next(file).rstrip(b"\n") for _ in range(200)]
    assert [payload for _, _, payload in asyncio.run(read_stream(server.url))] == lines


def test_a_repeated_deduped_run_stores_nothing_twice(
    server: NatsServer, trades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (str(trades), "--subject", SUBJECT, "--dedupe")
    first, second = run(capsys, server, *arguments)[1], run(capsys, server, *arguments)[1]
    assert (first["stored"], first["duplicates"]) == (2_500, 0)
    assert (second["stored"], second["duplicates"]) == (0, 2_500)
    assert run(capsys, server, str(trades), "--subject", SUBJECT)[1]["stored"] == 2_500


def test_batches_carry_their_content_type(server: NatsServer, trades: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, summary, _ = run(capsys, server, str(trades), "-s", SUBJECT, "--format", "ndjson", "--batch", "1000")
    assert code == 0
    assert (summary["messages"], summary["rows"]) == (3, 2_500)
    messages = asyncio.run(read_stream(server.url))
    assert [headers["Content-Type"] for _, headers, _ in messages] == ["application/x-ndjson"] * 3
    assert [payload.count(b"\n") for _, _, payload in messages] == [1_000, 1_000, 500]


def test_no_server_is_exit_69_with_the_address(trades: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"nats://user:secret@127.0.0.1:{free.getsockname()[1]}"
        code = main(["publish", str(trades), "--subject", SUBJECT, "--url", url])
    err = capsys.readouterr().err
    assert code == 69
    assert "127.0.0.1" in err
    assert "is the server running" in err
    assert "secret" not in err


def test_a_subject_without_stream_is_exit_69(
    server: NatsServer, trades: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, server, str(trades), "--subject", "other.place")
    assert code == 69
    assert "no stream takes other.place" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("missing.parquet",),
        ("FILE", "--rate", "fast"),
        ("FILE", "--rate", "0"),
        ("FILE", "--map", "symbol"),
        ("FILE", "--stream", "ANOTHER"),
        ("FILE", "--format", "raw", "--batch", "2"),
    ],
)
def test_a_call_that_makes_no_sense_is_exit_2(
    server: NatsServer, trades: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    words = [str(trades) if word == "FILE" else word for word in arguments]
    code, summary, err = run(capsys, server, *words, "--subject", SUBJECT)
    assert (code, summary) == (2, {})
    assert "error" in err
    assert asyncio.run(read_stream(server.url)) == []


@pytest.mark.parametrize("subject", ["", "a..b", ".a", "a b", "market.>", "market.*.trades"])
def test_what_is_no_subject_to_send_to_is_refused(
    trades: Path, capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    assert main(["publish", str(trades), "--subject", subject]) == 2
    assert "error: --subject" in capsys.readouterr().err


async def test_refused_messages_are_counted_and_end_in_an_error(trades: Path) -> None:
    async with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        await add_stream(server.url, max_msgs=10, discard=nats.js.api.DiscardPolicy.NEW)
        with pytest.raises(PublishRefusedError, match="refused 2490 of 2500 messages: 2490 x maximum messages"):
            await send_files(plan(trades), NatsSettings.model_validate({"url": server.url}))


async def test_a_message_over_the_limit_of_the_server_is_told(trades: Path) -> None:
    async with NatsServer(options=ServerOptions(payload_bytes_max=2_048)) as server:
        await add_stream(server.url)
        with pytest.raises(UsageError, match="smaller --batch"):
            await send_files(plan(trades, batch_rows=1_000), NatsSettings.model_validate({"url": server.url}))


async def test_acks_lost_with_the_server_are_asked_for_again(server: NatsServer, client: LakeClient) -> None:
    async with Publisher(client, SUBJECT, stream="MARKET_DATA", ack_timeout_s=0.3, attempts=60) as publisher:
        for number in range(3_000):
            if number == 1_500:
                server.kill()
                server.restart()
            await publisher.send(b"%d" % number, message_id=str(number))
    assert publisher.stored + publisher.duplicates == 3_000
    payloads = [payload for _, _, payload in await read_stream(server.url)]
    assert sorted(map(int, payloads)) == list(range(3_000))


async def test_a_frozen_server_is_given_up_on_with_advice(server: NatsServer, client: LakeClient) -> None:
    publisher = Publisher(client, SUBJECT, stream=None, ack_timeout_s=0.01, attempts=2)
    server.pause()
    try:
        with pytest.raises(UnavailableError, match=r"1 messages .* without ack .* --dedupe"):
            async with publisher:
                await publisher.send(b"x", message_id="x")
    finally:
        server.resume()


async def test_the_rate_is_kept(server: NatsServer, trades: Path) -> None:
    summary = await send_files(
        plan(trades, rate=400.0, limit_rows=100), NatsSettings.model_validate({"url": server.url})
    )
    assert summary.messages == 100
    assert summary.seconds >= 99 / 400 - 0.01  # a lower bound holds on any machine, however slow
