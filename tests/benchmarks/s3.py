"""The same stream into a bucket and into a local folder, in turns; the store runs on the same machine and disk."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from statistics import median

import psutil
from tests.benchmarks.child import call
from tests.benchmarks.figures import Figure, in_turns, rate_figure
from tests.benchmarks.load import fill, json_trades
from tests.benchmarks.scale import Scale

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer
from ticklake.testing.s3_server import S3Server


def measure(scale: Scale) -> Iterator[Figure]:
    """One JSON trade a message -> durable Parquet."""
    messages = scale.json_messages
    numbers = itertools.count()
    store_cpu_s: list[float] = []
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server, S3Server(scale.folder / "store") as store:
        asyncio.run(fill(server.url, json_trades(messages)))
        process = psutil.Process(store.pid)

        def run(*flags: object) -> float:
            folder = scale.folder / f"s3-{next(numbers)}"
            before_s = _cpu_s(process)
            answer = call("service", server.url, folder, "--messages", messages, *flags)
            if flags:
                store_cpu_s.append(_cpu_s(process) - before_s)
            shutil.rmtree(folder)
            assert answer["stored"] == answer["rows"] == messages, f"not all messages became rows: {answer}"
            return messages / float(answer["durable_s"])

        def bucket() -> float:
            access = store.access
            keys = ("--access-key", access.access_key, "--secret-key", access.secret_key)
            root = f"s3://{store.bucket}/lake-{next(numbers)}"
            return run("--data", root, "--endpoint", store.url, *keys)

        run()  # the server's first read of the stream is slower than the others
        pairs = in_turns(scale.rounds, bucket, run)
        figure = rate_figure(
            "JetStream -> bucket, one JSON trade a message",
            pairs,
            unit="msg/s",
            least=0.8,
            against="the same to the local disk",
        )
        took_s = messages / median(pairs.ours)
        yield replace(
            figure,
            note=f"SeaweedFS on the same machine took {median(store_cpu_s):.1f} CPU s of a run of {took_s:.1f} s",
        )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
