"""Publishers: fill a stream, publish at a fixed rate, or as fast as the service reads. The last two are a program.

Blocks of messages go to a socket of our own, so that the publisher takes as little of the machine as possible.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from datetime import date
from urllib.parse import urlsplit

import nats
import polars as pl
import pyarrow as pa
from tests.benchmarks.child import reply

from ticklake.testing.market import TRADES_SUBJECT, MarketSimulator

STREAM = "MARKET_DATA"
SUBJECTS = ["market.>"]
SESSION = date(2024, 12, 16)

_BLOCK = 5_000  # messages between two acks of the server: it drops what it cannot buffer
_ACK_TIMEOUT_S = 60.0
_BACKLOG = (50_000, 200_000)  # messages the service has before it while it works at full speed
_INBOX = "_INBOX.load"
_SOURCE = "globex.mdp3.channel-310.feed-a"  # brings a trade to about 200 bytes


class Hose:
    """A connection that only publishes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, url: str) -> Hose:
        """Connect to a server that wants no credentials."""
        place = urlsplit(url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        await reader.readline()  # INFO
        hello = {"verbose": False, "pedantic": False, "headers": True, "protocol": 1, "lang": "bench", "version": "1"}
        writer.write(b"CONNECT " + json.dumps(hello).encode() + b"\r\nSUB " + _INBOX.encode() + b" 1\r\n")
        return cls(reader, writer)

    async def send(self, block: bytes) -> None:
        """Send finished frames."""
        self._writer.write(block)
        await self._writer.drain()

    async def until_stored(self) -> None:
        """Wait for the server's ack of a frame sent with `reply`."""
        async with asyncio.timeout(_ACK_TIMEOUT_S):
            while True:
                line = await self._reader.readline()
                if line.startswith(b"PING"):
                    self._writer.write(b"PONG\r\n")
                elif line.startswith(b"MSG"):
                    answer = json.loads((await self._reader.readexactly(int(line.split()[-1]) + 2))[:-2])
                    if "error" in answer:
                        raise RuntimeError(f"the stream refused a message: {answer['error']}")
                    return
                elif not line or line.startswith(b"-ERR"):
                    raise RuntimeError(f"the server hung up: {line!r}")

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


def frame(payload: bytes, *, subject: str = TRADES_SUBJECT, header: bytes = b"", answer: bool = False) -> bytes:
    """One message on the wire."""
    words = f"{subject} {_INBOX} " if answer else f"{subject} "
    if header:
        sizes = f"{len(header)} {len(header) + len(payload)}\r\n"
        return b"HPUB " + (words + sizes).encode() + header + payload + b"\r\n"
    return b"PUB " + f"{words}{len(payload)}\r\n".encode() + payload + b"\r\n"


def trades(rows: int) -> pl.DataFrame:
    """Simulated futures trades."""
    return MarketSimulator(7, SESSION).trades_frame(rows).with_columns(source=pl.lit(_SOURCE))


def json_trades(rows: int) -> list[bytes]:
    """The same as JSON, about 200 bytes each."""
    return trades(rows).write_ndjson().encode().splitlines()


def arrow_batches(rows: int, per_batch: int) -> list[bytes]:
    """The same as Arrow streams."""
    table = trades(rows).to_arrow(compat_level=pl.CompatLevel.oldest())
    batches = []
    for start in range(0, rows, per_batch):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table.slice(start, per_batch))
        batches.append(sink.getvalue().to_pybytes())
    return batches


async def make_stream(url: str, **config: object) -> None:
    """The stream of the benchmarks."""
    client = await nats.connect(url)
    try:
        await client.jetstream().add_stream(name=STREAM, subjects=SUBJECTS, **config)
    finally:
        await client.close()


async def fill(url: str, payloads: Sequence[bytes], *, header: bytes = b"", block: int = _BLOCK) -> None:
    """Make the stream and put all messages into it."""
    await make_stream(url)
    hose = await Hose.open(url)
    for start in range(0, len(payloads), block):
        await hose.send(_joined(payloads[start : start + block], header=header))
        await hose.until_stored()
    hose.close()


async def paced(url: str, *, rate: int, seconds: float, symbols: int) -> int:
    """Publish evenly; each trade carries the time of its publication. Gives how many."""
    hose = await Hose.open(url)
    names = symbol_names(symbols)
    begin_s, sent, total = time.perf_counter(), 0, int(rate * seconds)
    while sent < total:
        due = min(total, int((time.perf_counter() - begin_s) * rate))
        now_ns = time.time_ns()
        await hose.send(b"".join([frame(_trade(now_ns, names[n % symbols], n)) for n in range(sent, due)]))
        sent = due
        await asyncio.sleep(0.001)
    await hose.send(frame(_trade(time.time_ns(), names[0], total), answer=True))
    await hose.until_stored()
    hose.close()
    return total + 1


async def flood(url: str, *, seconds: float, symbols: int) -> int:
    """Publish as fast as the service reads: it always has messages before it, the stream stays bounded."""
    hose = await Hose.open(url)
    client = await nats.connect(url)
    names = symbol_names(symbols)
    block = 0
    sent = 0
    end_s = time.perf_counter() + seconds
    blocks = [_flood_block(names, number) for number in range(8)]
    while time.perf_counter() < end_s:
        await hose.send(blocks[block % len(blocks)])
        await hose.until_stored()
        block, sent = block + 1, sent + _BLOCK
        if sent % (4 * _BLOCK) == 0 and await _backlog(client) > _BACKLOG[1]:
            await _until_read(client, _BACKLOG[0])
    await _until_read(client, 0)
    hose.close()
    await client.close()
    return sent


def symbol_names(count: int) -> list[str]:
    """Contracts of so many roots."""
    return [f"{chr(65 + number // 26)}{chr(65 + number % 26)}Z5" for number in range(count)]


async def _until_read(client: nats.NATS, most: int) -> None:
    """Wait until so many messages, or fewer, are before the service."""
    async with asyncio.timeout(_ACK_TIMEOUT_S):
        while await _backlog(client) > most:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.02)


async def _backlog(client: nats.NATS) -> int:
    stream = client.jetstream()
    consumers = await stream.consumers_info(STREAM)
    return sum(consumer.num_pending or 0 for consumer in consumers)


def _joined(payloads: Sequence[bytes], *, header: bytes = b"") -> bytes:
    """Frames of a block; the last one asks for an ack."""
    last = len(payloads) - 1
    return b"".join([frame(payload, header=header, answer=at == last) for at, payload in enumerate(payloads)])


def _flood_block(names: Sequence[str], number: int) -> bytes:
    now_ns = time.time_ns()
    return _joined([_trade(now_ns + at, names[at % len(names)], number * _BLOCK + at) for at in range(_BLOCK)])


def _trade(now_ns: int, symbol: str, seq: int) -> bytes:
    price = 6000 + (seq * 7919 % 400) / 4
    return (
        f'{{"ts_event_ns":{now_ns},"ts_recv_ns":{now_ns},"source":"{_SOURCE}","symbol":"{symbol}",'
        f'"price":{price},"size":{1 + seq % 9},"aggressor":{seq % 3 - 1},"exchange":"XCME","seq":{seq}}}'
    ).encode()


def _parse(arguments: Iterable[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=["paced", "flood"])
    parser.add_argument("url")
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--symbols", type=int, default=1)
    return parser.parse_args(None if arguments is None else list(arguments))


def main() -> None:
    """Publish, then say how many."""
    wish = _parse()
    if wish.how == "paced":
        sent = asyncio.run(paced(wish.url, rate=wish.rate, seconds=wish.seconds, symbols=wish.symbols))
    else:
        sent = asyncio.run(flood(wish.url, seconds=wish.seconds, symbols=wish.symbols))
    reply({"sent": sent})


if __name__ == "__main__":
    main()
