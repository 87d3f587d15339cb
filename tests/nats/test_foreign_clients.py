"""Programs that are not ours publish, politely and not: their messages arrive, nothing they send stops the reader."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import polars as pl
import pytest
from tests.e2e.harness import Service, absent, need_tool, wait_until
from tests.e2e.raw_client import Publication, RawClient

from ticklake.schema.subject import subject_text
from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

NODE = Path(__file__).parents[1] / "e2e" / "node"
STREAM = "MARKET_DATA"
FAST = {"bronze__flush_seconds": 0.2, "bronze__flush_interval_min_s": 0.1}
T0_NS = 1_734_359_400_000_000_000

STATUSES = [
    (f"NATS/1.0 {code}{text}\r\n{more}\r\n").encode()
    for code, text in [
        (404, " No Messages"),
        (408, " Request Timeout"),
        (409, " Consumer Deleted"),
        (503, ""),
        (100, " Idle Heartbeat"),
        (999, " ?"),
    ]
    for more in ("", "Nats-Pending-Messages: 5\r\n")
] + [f"NATS/1.0\r\nStatus: {code}\r\nDescription: x\r\n\r\n".encode() for code in (404, 408, 409, 503, 100, 999)]
GARBAGE = [
    b"NATS/1.0\r\nno colon at all\r\n\r\n",
    b"NATS/1.0\r\n: no name\r\n\r\n",
    b"NATS/1.0\r\n\xff\xfe: \xc3\x28\r\n\r\n",
    b"NATS/1.0\r\nA: 1\nB: 2\rC: 3\r\n\r\n",
    b"NATS/1.0\r\n" + b"X: y\r\n" * 2_000 + b"\r\n",
    b"NATS/1.0\r\nX: " + b"y" * 30_000 + b"\r\n\r\n",
    b"NATS/9.9 \xf0\x9f\x92\xa5\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
    "NATS/1.0 ٤٠٤\r\n\r\n".encode(),
    b"NATS/1.0 -1 x\r\n\r\n",
    b"NATS/1.0\r\n\r\n",
    b"\x00\x01\x02\r\n\r\n",
    b"nothing of a header",
]
SUBJECTS = [
    b"market.\xff\xfe",
    b"market.odd.\xc3\x28.\x80",
    b"market.%FF",
    b"market.\xe6\x97\xa5",
    b"market.\x01\x7f\x1b[31m",
]
LONG_HEADERS = sum(len(header) > 16 * 1024 for header in GARBAGE)
REPLIES = [b"", b"\xff\xfe", b"_INBOX.\xff.1", b"$KV.a.b", b"_INBOX_ticklake.x"]


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as running:
        yield running


def trade(number: int, source: str = "raw") -> bytes:
    times = {"ts_event_ns": T0_NS + number, "ts_recv_ns": T0_NS + number, "source": source}
    return json.dumps(times | {"symbol": "ESZ4", "price": 6050.25, "size": 1, "aggressor": 1, "seq": number}).encode()


def read(service: Service, folder: str) -> pl.DataFrame:
    return pl.read_parquet(f"{service.data_root}/{folder}/**/*.parquet", hive_partitioning=True)


def run_node(server: NatsServer, count: int) -> dict[str, int]:
    if not (NODE / "node_modules" / "nats").is_dir():
        absent("the packages of tests/e2e/node are not installed; run `npm ci` there")
    command = [need_tool("node"), str(NODE / "publish.mjs"), server.url, "market.futures.trades", str(count)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert run.returncode == 0, run.stderr
    counts: dict[str, int] = json.loads(run.stdout)
    return counts


def test_messages_of_the_node_client_arrive_once(server: NatsServer, tmp_path: Path) -> None:
    with Service(tmp_path, server.url, settings=FAST) as service:
        first = run_node(server, 500)
        assert (first["jetstream"], first["core"], first["first_sequence"]) == (500, 500, 1)
        service.wait_settled(STREAM, 1_000)
        run_node(server, 500)  # with the same Nats-Msg-Id: the stream has them already
        with RawClient(server.url) as client:
            assert client.publish_acked([Publication(b"market.futures.trades", trade(0))]) == [1_001]
        service.wait_settled(STREAM, 1_001)
        assert service.terminate() == 0
    rows = read(service, "bronze/futures/trades").sort("stream_seq")
    assert rows["stream_seq"].to_list() == list(range(1, 1_002))
    assert set(rows["contract"]) == {"ESZ4"}
    for way in ("jetstream", "core"):
        own = rows.filter(source=f"node-{way}")
        assert own["seq"].to_list() == list(range(500))
        assert own["ts_event_ns"].to_list() == [T0_NS + number * 1_000_000 for number in range(500)]
        assert own["price"].to_list() == [6050.25 + number % 8 * 0.25 for number in range(500)]
        assert own["aggressor"].to_list() == [1 if number % 2 else -1 for number in range(500)]


def test_messages_written_by_hand_on_a_socket_arrive(server: NatsServer, tmp_path: Path) -> None:
    header = b"NATS/1.0\r\nContent-Type: application/x-ndjson\r\n\r\n"
    with Service(tmp_path, server.url, settings=FAST) as service, RawClient(server.url) as client:
        for number in range(300):
            client.publish(Publication(b"market.futures.trades.ESZ4", trade(number)))
        client.publish(Publication(b"market.futures.trades", b"\n".join(map(trade, range(300, 400))), header))
        client.flush()
        service.wait_settled(STREAM, 301)
        assert service.terminate() == 0
    rows = read(service, "bronze/futures/trades").sort("stream_seq", "message_row")
    assert rows["seq"].to_list() == list(range(400))
    assert rows["stream_seq"].to_list() == [*range(1, 301), *[301] * 100]


def hostile_messages() -> list[Publication]:
    """Odd subjects with and without headers, and odd headers on a subject of the catch-all."""
    messages = [Publication(subject, b"s%d" % number) for number, subject in enumerate(SUBJECTS)]
    messages += [Publication(subject, b"", b"NATS/1.0\r\nA: b\r\n\r\n") for subject in SUBJECTS]
    for number, header in enumerate([*STATUSES, *GARBAGE]):
        messages += [Publication(b"market.odd", b"h%d" % number, header), Publication(b"market.odd", b"", header)]
    return messages


def expected_raw(messages: list[Publication]) -> list[tuple[str, bytes | None, bytes]]:
    return [(subject_text(message.subject), message.header, message.payload) for message in messages]


@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "stock"])
@pytest.mark.parametrize("mode", ["limits", "workqueue", "core"])
def test_nothing_a_publisher_can_send_stops_the_reader(
    server: NatsServer, tmp_path: Path, mode: str, is_fast: bool
) -> None:
    hostile = hostile_messages()
    on_table = [Publication(b"market.futures.trades.\xff\xfe", trade(1))]
    on_table += [Publication(b"market.futures.trades", trade(2), header) for header in [*STATUSES, *GARBAGE]]
    messages = hostile + on_table
    if mode == "workqueue":
        asyncio.run(add_stream(server.url, retention=mode))
    settings = FAST | {"nats__fast_lane": is_fast} | ({"nats__mode": "core"} if mode == "core" else {})
    with Service(tmp_path, server.url, settings=settings) as service, RawClient(server.url) as client:
        for number, message in enumerate(messages):
            client.publish(message, reply=REPLIES[number % len(REPLIES)])
        client.flush()
        service.wait_taken(STREAM, len(messages))
        client.publish(Publication(b"market.futures.trades", trade(3)))  # the reader still reads
        client.flush()
        lane = service.wait_taken(STREAM, len(messages) + 1)
        assert (lane["received"], lane["duplicates"], lane["quarantined"]) == (len(messages) + 1, 0, LONG_HEADERS)
        assert service.get("/livez")[0] == 200
        assert service.status()["nats"]["reconnects"] == 0
        assert not service.events("ingest.consumer_restarts")
        if mode != "core":
            wait_until(
                lambda: ack_floor(server) == len(messages) + 1, "the ack floor moves", seen=lambda: ack_floor(server)
            )
        stored = asyncio.run(stored_headers(server.url, len(hostile))) if mode == "limits" else []
        assert service.terminate() == 0
    raw = read(service, "bronze/raw").sort("stream_seq", "ingest_ns", maintain_order=True)
    found = list(zip(raw["subject"], raw["headers"], raw["payload"], strict=True))
    if mode == "core":  # no sequence tells the order
        assert sorted(map(repr, found)) == sorted(map(repr, expected_raw(hostile)))
    else:
        assert [(subject, payload) for subject, _, payload in found] == [
            (subject, payload) for subject, _, payload in expected_raw(hostile)
        ]
        if mode == "limits":  # a stream drops the status line of a header block; what it holds is what we must have
            assert raw["headers"].to_list() == stored
            assert sum(header is not None for header in stored) > len(hostile) // 2
        assert raw["stream_seq"].to_list() == list(range(1, len(hostile) + 1))
    seqs = read(service, "bronze/futures/trades")["seq"].to_list()
    assert sorted(seqs) == [1, *[2] * (len(on_table) - 1 - LONG_HEADERS), 3]
    quarantine = read(service, "quarantine")
    assert quarantine["reason"].to_list() == ["too_large"] * LONG_HEADERS
    assert set(quarantine["payload"]) == {trade(2)}


async def stored_headers(url: str, last_sequence: int) -> list[bytes | None]:
    """The header blocks the stream holds, asked for without a client's message objects."""
    client = await nats.connect(url)
    found: list[bytes | None] = []
    for sequence in range(1, last_sequence + 1):
        body = json.dumps({"seq": sequence}).encode()
        answer = await client.request(f"$JS.API.STREAM.MSG.GET.{STREAM}", body, timeout=30)
        block = json.loads(answer.data)["message"].get("hdrs")
        found.append(base64.b64decode(block) if block else None)
    await client.close()
    return found


async def add_stream(url: str, **options: Any) -> None:
    client = await nats.connect(url)
    await client.jetstream(timeout=30).add_stream(name=STREAM, subjects=["market.>"], **options)
    await client.close()


def ack_floor(server: NatsServer) -> int:
    """The stream sequence up to which the server considers everything acked."""
    page: Any = server.monitor("/jsz?accounts=true&streams=true&consumers=true")
    streams = [stream for account in page["account_details"] for stream in account["stream_detail"]]
    (consumer,) = next(stream for stream in streams if stream["name"] == STREAM)["consumer_detail"]
    return int(consumer["ack_floor"]["stream_seq"])
