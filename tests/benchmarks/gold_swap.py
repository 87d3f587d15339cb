"""Promote and roll back while a hundred readers load the training set: seconds, and what the readers saw."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.benchmarks.scale import Scale
from tests.integration.gold.curators import NAME, check_whole, lay_marked
from tests.unit.gold.small_version import DAYS

from ticklake.gold.curator import GoldCurator
from ticklake.readers.training import scan_training_set

_PROCESSES = 2
_READERS = 100
_ROWS_PER_DATE = 20_000
_LIMIT_S = 1.0


def read_on(root: Path, threads: int, ready: Event, done: Event, loads: multiprocessing.SimpleQueue[int]) -> None:
    """Load the current version again and again in so many threads; any mixed or missing one ends the benchmark."""
    counts = [0] * threads

    def read(place: int) -> None:
        while not done.is_set():
            metadata, frame = scan_training_set(root, NAME)
            rows = frame.collect()
            check_whole(rows, metadata.silver_version)
            if rows.height != metadata.signal_count:
                os._exit(3)
            counts[place] += 1
            ready.set()

    def guarded(place: int) -> None:
        try:
            read(place)
        except BaseException as error:  # noqa: BLE001, a thread cannot end the process in another way
            print(f"a reader saw {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(3)

    workers = [threading.Thread(target=guarded, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    loads.put(sum(counts))


def swap(root: Path, swaps: int) -> tuple[list[float], list[float]]:
    """Seconds of each promotion, of a version that was never promoted with these notes, and of each rollback."""
    curator = GoldCurator(root)
    promoted, rolled = [], []
    for turn in range(swaps):
        begin_s = time.perf_counter()
        if not curator.promote_to_training("v2", notes=f"{time.monotonic_ns()} {turn}").passed:
            raise SystemExit("a gate refused; the benchmark measures nothing")
        middle_s = time.perf_counter()
        curator.rollback(to=1)
        promoted.append(middle_s - begin_s)
        rolled.append(time.perf_counter() - middle_s)
    return promoted, rolled


def measure(scale: Scale) -> Iterator[Figure]:
    """Without readers, then with a hundred: the slowest of the swaps must stay below a second."""
    root = scale.folder / "gold"
    for version in ("v1", "v2"):
        lay_marked(root, version, _ROWS_PER_DATE)
    GoldCurator(root).promote_to_training("v1")
    rows = f"{len(DAYS) * _ROWS_PER_DATE:,} rows"
    alone = swap(root, scale.rounds)
    among, loads = swap_among_readers(root, scale.rounds)
    for what, one, many in zip(("promote", "roll back"), alone, among, strict=True):
        yield Figure(
            what=f"{what} {rows}, {_READERS} readers",
            ours=f"{statistics.median(many):.3f} s",
            reference=f"{statistics.median(one):.3f} s: nobody reads",
            ratio=f"slowest {max(many):.3f} s",
            target="< 1 s",
            met=max(many) < _LIMIT_S,
            note=f"{loads:,} loads meanwhile, none mixed, none missing",
            rounds=tuple(many),
        )


def swap_among_readers(root: Path, swaps: int) -> tuple[tuple[list[float], list[float]], int]:
    """The seconds of `swap` while others read, and how often they did."""
    context = multiprocessing.get_context("spawn")
    done, counts = context.Event(), context.SimpleQueue()
    starts = [context.Event() for _ in range(_PROCESSES)]
    workers = [
        context.Process(target=read_on, args=(root, _READERS // _PROCESSES, ready, done, counts)) for ready in starts
    ]
    for worker in workers:
        worker.start()
    for ready in starts:
        ready.wait()
    seconds = swap(root, swaps)
    done.set()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise SystemExit("a reader saw a mixed or missing dataset")
    return seconds, sum(counts.get() for _ in workers)
