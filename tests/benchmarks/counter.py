"""The reference: a subscriber of the stock client that only counts.

A push consumer's whole backlog at once drowns the client: the server cuts it off as a slow consumer. So the server gets
a window. Three stock ways have one; the fastest is the default:

- `window`: a plain subscription with a callback; one ack for everything counted, every so often.
- `flow`: `jetstream.subscribe` with flow control and heartbeats, no acks.
- `ordered`: an ordered consumer, which also checks each sequence.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import nats
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from tests.benchmarks.child import reply
from tests.benchmarks.load import STREAM, SUBJECTS

from ticklake.cli.loop import new_event_loop

_WINDOW = 60_000
_ACK_EVERY = 20_000
_TIMEOUT_S = 200.0
_PENDING_BYTES = 2**30


class Count:
    """Counts, and tells when it has counted enough."""

    def __init__(self, wanted: int) -> None:
        self.seen = 0
        self.wanted = wanted
        self.done = asyncio.Event()

    async def take(self, _: object) -> None:
        """One message."""
        self.seen += 1
        if self.seen == self.wanted:
            self.done.set()


class WindowCount(Count):
    """Acks everything counted, every so often."""

    async def take(self, message: nats.aio.msg.Msg) -> None:
        """One message."""
        self.seen += 1
        if self.seen % _ACK_EVERY == 0:
            await message.respond(b"+ACK")
        if self.seen == self.wanted:
            self.done.set()


async def _count(url: str, messages: int, how: str) -> dict[str, float]:
    begin_s, cpu_s = time.perf_counter(), time.process_time()
    client = await nats.connect(url)
    stream = client.jetstream()
    name = None
    count = WindowCount(messages) if how == "window" else Count(messages)
    if how == "window":
        inbox = client.new_inbox()
        await client.subscribe(inbox, cb=count.take, pending_msgs_limit=-1, pending_bytes_limit=_PENDING_BYTES)
        config = ConsumerConfig(
            deliver_subject=inbox, ack_policy=AckPolicy.ALL, max_ack_pending=_WINDOW, deliver_policy=DeliverPolicy.ALL
        )
        name = (await stream.add_consumer(STREAM, config)).name
    else:
        await stream.subscribe(
            SUBJECTS[0],
            cb=count.take,
            ordered_consumer=how == "ordered",
            flow_control=True,
            idle_heartbeat=5,
            manual_ack=True,
            config=ConsumerConfig(ack_policy=AckPolicy.NONE),
            pending_msgs_limit=-1,
            pending_bytes_limit=_PENDING_BYTES,
        )
    async with asyncio.timeout(_TIMEOUT_S):
        await count.done.wait()
    took_s, cpu_s = time.perf_counter() - begin_s, time.process_time() - cpu_s
    if name is not None:
        await stream.delete_consumer(STREAM, name)
    await client.close()
    return {"counted": count.seen, "seconds": took_s, "cpu_us": cpu_s / messages * 1e6}


def main() -> None:
    """Count, then answer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("messages", type=int)
    parser.add_argument("--how", choices=["window", "flow", "ordered"], default="window")
    wish = parser.parse_args()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        reply(runner.run(_count(wish.url, wish.messages, wish.how)))


if __name__ == "__main__":
    main()
