"""Listing a registry of ten thousand datasets, against one JSON file that holds them all.

Run: PYTHONPATH=backend:. python -m tests.benchmarks.records_registry [DATASETS]
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.retention import Retention
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.stores.parquet_files import save_parquet

_ROUNDS = 20


def measure(what: str, call: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """Median of some calls, ms; printed."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        took.append((time.perf_counter() - start) * 1e3)
    print(f"{what:<62} p50 {statistics.median(took):9.2f} ms   max {max(took):9.2f} ms")
    return statistics.median(took)


def main(datasets: int) -> None:
    """Build the registry, then ask it."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        root = Path(folder)
        save_parquet(pl.DataFrame({"x": [1]}), root / "data.parquet")
        registry = DataRegistry(root / "registry.json", root)
        start = time.perf_counter()
        for number in range(datasets):
            registry.register_dataset(f"d{number:06d}", "data.parquet", f"I{number % 100}", tags=["daily"])
        each_ms = (time.perf_counter() - start) / datasets * 1e3
        print(f"{datasets:,} datasets registered, {each_ms:.2f} ms each (durable)")
        plain = root / "plain.json"
        plain.write_text(json.dumps({name: registry.get_dataset_info(name) for name in registry.list_datasets()}))

        def fresh() -> DataRegistry:
            return DataRegistry(root / "registry.json", root)

        measure("index made from the documents", lambda: registry.rebuild(), rounds=3)
        time.sleep(2.1)  # an index younger than that may have missed a write and is checked against the folder
        fresh().list_datasets()
        measure("list, new object each time (one index file read)", lambda: fresh().list_datasets())
        measure("list by instrument, new object each time", lambda: fresh().list_datasets("I7"))
        measure("list, same object", registry.list_datasets)
        measure("get one", lambda: fresh().get_dataset_info("d000007"))
        measure("plain: read the one JSON file and list by instrument", lambda: plain_list(plain, "I7"))
        registry.register_dataset("one more", "data.parquet", "I7")
        measure("list right after a write (folder looked through)", lambda: fresh().list_datasets("I7"), rounds=5)
        cache = root / "cache"
        cache.mkdir()
        for number in range(10_000):
            (cache / f"{number}.bin").touch()
        policy = RetentionPolicy("cache", max_age_days=1, max_count=5000)
        measure("retention, dry run over 10,000 files", lambda: Retention(root).purge([policy]), rounds=5)


def plain_list(path: Path, instrument: str) -> list[str]:
    """What the reference does: the whole file, every time."""
    return sorted(name for name, entry in json.loads(path.read_text()).items() if entry["instrument"] == instrument)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
