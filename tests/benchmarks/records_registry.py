"""Listing a registry of thousands of datasets, against one JSON file that holds them all; a dry run of retention."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import polars as pl
from tests.benchmarks.figures import Figure, limit_figure
from tests.benchmarks.scale import Scale

from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.retention import Retention
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.stores.parquet_files import save_parquet

_CALLS = 20
_SETTLED_S = 2.1  # an index younger than that may have missed a write and is checked against the folder


def took_ms(call: Callable[[], object], calls: int = _CALLS) -> list[float]:
    """Every call, ms."""
    took = []
    for _ in range(calls):
        begin_s = time.perf_counter()
        call()
        took.append((time.perf_counter() - begin_s) * 1000)
    return took


def plain_list(path: Path, instrument: str) -> list[str]:
    """What the reference does: the whole file, every time."""
    return sorted(name for name, entry in json.loads(path.read_text()).items() if entry["instrument"] == instrument)


def measure(scale: Scale) -> Iterator[Figure]:
    """Build the registry, then ask it, each time with an object that knows nothing yet."""
    root, datasets = scale.folder / "registry", scale.datasets
    save_parquet(pl.DataFrame({"x": [1]}), root / "data.parquet")

    def fresh() -> DataRegistry:
        return DataRegistry(root / "registry.json", root)

    registry, begin_s = fresh(), time.perf_counter()
    for number in range(datasets):
        registry.register_dataset(f"d{number:06d}", "data.parquet", f"I{number % 100}", tags=["daily"])
    each_ms = (time.perf_counter() - begin_s) / datasets * 1000
    yield Figure("register a dataset, durable", f"{each_ms:.2f} ms", "", "", "-", None)
    plain = root / "plain.json"
    plain.write_text(json.dumps({name: registry.get_dataset_info(name) for name in registry.list_datasets()}))
    rebuild = took_ms(registry.rebuild, scale.rounds)
    yield Figure(
        f"make the index of {datasets:,} datasets",
        f"{median(rebuild):,.0f} ms",
        "",
        "",
        "-",
        None,
        rounds=tuple(rebuild),
    )
    time.sleep(_SETTLED_S)
    assert len(fresh().list_datasets()) == datasets
    assert fresh().list_datasets("I7") == plain_list(plain, "I7")
    reference = f"{median(took_ms(lambda: plain_list(plain, 'I7'))):.1f} ms: one JSON file"
    for what, call in (
        (f"list {datasets:,} datasets", lambda: fresh().list_datasets()),
        ("the same by instrument", lambda: fresh().list_datasets("I7")),
        ("the same by tag", lambda: fresh().list_datasets(tags=["daily"])),
    ):
        yield limit_figure(what, took_ms(call), unit="ms", below=50, reference=reference)
    get = took_ms(lambda: fresh().get_dataset_info("d000007"))
    yield Figure("get one dataset", f"{median(get):.2f} ms", "", "", "-", None, rounds=tuple(get))
    registry.register_dataset("one more", "data.parquet", "I7")
    after = took_ms(lambda: fresh().list_datasets("I7"), 5)
    yield Figure("list right after a write", f"{median(after):.1f} ms", "", "", "-", None, rounds=tuple(after))
    yield from _retention(scale.folder / "retention", datasets)


def _retention(root: Path, files: int) -> Iterator[Figure]:
    cache = root / "cache"
    cache.mkdir(parents=True)
    for number in range(files):
        (cache / f"{number}.bin").touch()
    policy = RetentionPolicy("cache", max_age_days=1, max_count=files // 2)
    took = took_ms(lambda: Retention(root).purge([policy]), 5)
    yield limit_figure(f"retention, dry run over {files:,} files", took, unit="ms", below=200)
