"""One JSON trade per message, from JetStream into durable Parquet, against a stock subscriber that only counts."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator

from tests.benchmarks.child import call
from tests.benchmarks.figures import Figure, in_turns, rate_figure
from tests.benchmarks.load import fill, json_trades
from tests.benchmarks.scale import Scale

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

_AGAINST = "nats-py push callback that counts"
_NOTE = (
    "both from connect on; ours to the last synced file, without acks while far behind; "
    "the counter acks every 20,000, which is faster than its ways without acks"
)


def measure(scale: Scale) -> Iterator[Figure]:
    """The fast lane, then the stock client below us."""
    messages = scale.json_messages
    numbers = itertools.count()
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        asyncio.run(fill(server.url, json_trades(messages)))

        def ours(*flags: str) -> float:
            folder = scale.folder / f"jetstream-{next(numbers)}"
            answer = call("service", server.url, folder, "--messages", messages, *flags)
            shutil.rmtree(folder)
            assert answer["stored"] == answer["rows"] == messages, f"not all messages became rows: {answer}"
            return messages / float(answer["durable_s"])

        def reference() -> float:
            return messages / float(call("counter", server.url, messages)["seconds"])

        reference()  # the server's first read of the stream is slower than the others
        pairs = in_turns(scale.rounds, ours, reference)
        yield rate_figure(
            "JetStream, one JSON trade a message -> durable Parquet",
            pairs,
            unit="msg/s",
            least=1.5,
            against=_AGAINST,
            note=_NOTE,
        )
        pairs = in_turns(scale.rounds, lambda: ours("--stock"), reference)
        yield rate_figure(
            "the same through the stock client (fast_lane = false)",
            pairs,
            unit="msg/s",
            least=0.8,
            against=_AGAINST,
            note=_NOTE,
        )
