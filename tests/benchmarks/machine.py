"""The machine under the figures: what it is, and how long its disk needs for a sync."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import nats.aio.client
import polars as pl
import psutil
import pyarrow as pa
from tests.benchmarks.figures import percentile

_SYNCS = 400
_WRITE_BYTES = 4096


def machine_facts() -> dict[str, object]:
    """What a reader needs to judge figures: no names, no paths."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "polars": pl.__version__,
        "nats_client": nats.aio.client.__version__,
        "load_1min": round(os.getloadavg()[0], 2),
    }


def sync_p99_ms(folder: Path, syncs: int = _SYNCS) -> float:
    """How long the disk itself takes to append 4 KiB durably, 99 % of the time."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "probe"
    took: list[float] = []
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(syncs):
            begin_s = time.perf_counter()
            os.write(handle, b"\0" * _WRITE_BYTES)
            os.fdatasync(handle)
            took.append((time.perf_counter() - begin_s) * 1000)
    finally:
        os.close(handle)
        path.unlink()
    return percentile(took, 0.99)
