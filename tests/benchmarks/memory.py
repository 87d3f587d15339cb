"""Resident memory of the service at full speed: it always has messages before it, of 50 symbols."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from statistics import median

from tests.benchmarks.child import Child, call
from tests.benchmarks.figures import Figure
from tests.benchmarks.load import make_stream
from tests.benchmarks.scale import Scale

from ticklake.testing.nats_config import ServerOptions, SyncMode
from ticklake.testing.nats_server import NatsServer

_SYMBOLS = 50
_LIMIT_MIB = 512.0
_FLAT = 1.1  # the last third may hold a tenth more than the one before
_STREAM_BYTES_MAX = 2**30


def measure(scale: Scale) -> Iterator[Figure]:
    """Sampled by the service itself, four times a second."""
    folder = scale.folder / "memory"
    with NatsServer(options=ServerOptions(sync=SyncMode.DEFAULT)) as server:
        asyncio.run(make_stream(server.url, max_bytes=_STREAM_BYTES_MAX))
        with Child("service", server.url, folder) as service:
            service.answer()  # ready
            arguments = ("--seconds", scale.memory_s, "--symbols", _SYMBOLS)
            sent = call("load", "flood", server.url, *arguments, timeout_s=scale.memory_s + 120)["sent"]
            service.terminate()
            answer = service.answer()
    shutil.rmtree(folder)
    assert answer["stored"] == sent, f"{sent} sent, but {answer['stored']} stored"
    samples = answer["rss_mib"]
    third = len(samples) // 3
    middle, last = median(samples[third : 2 * third]), median(samples[2 * third :])
    peak = float(answer["peak_mib"])
    yield Figure(
        what=f"resident memory, {scale.memory_s:g} s at full speed, {_SYMBOLS} symbols",
        ours=f"peak {peak:,.0f} MiB at {sent / scale.memory_s:,.0f} msg/s",
        reference=f"median {middle:,.0f} MiB in the middle third, {last:,.0f} MiB in the last",
        ratio=f"{last / middle:.2f} x",
        target=f"< {_LIMIT_MIB:g} MiB, flat",
        met=peak < _LIMIT_MIB and last / middle < _FLAT,
        note=f"{answer['files']:,} files; the publisher keeps 50,000 to 200,000 messages waiting",
        rounds=(peak,),
    )
