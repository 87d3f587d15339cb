"""Promote and roll back while a hundred readers load the training set: seconds, and what the readers saw.

Run: PYTHONPATH=backend:. python -m tests.benchmarks.gold_swap [READERS] [SWAPS] [ROWS_PER_DATE]
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

from tests.integration.gold.curators import NAME, check_whole, lay_marked

from ticklake.gold.curator import GoldCurator
from ticklake.readers.training import scan_training_set

_PROCESSES = 2


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


def show(what: str, seconds: list[float]) -> None:
    """Print one line."""
    print(f"{what:<48} p50 {statistics.median(seconds):7.3f} s   max {max(seconds):7.3f} s   target < 1 s")


def main(readers: int, swaps: int, rows_per_date: int) -> None:
    """Measure without readers, then with them."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        root = Path(folder)
        for version in ("v1", "v2"):
            lay_marked(root, version, rows_per_date)
        GoldCurator(root).promote_to_training("v1")
        print(f"{3 * rows_per_date:,} rows, {swaps} swaps")
        for what, seconds in zip(("promote, nobody reads", "rollback, nobody reads"), swap(root, swaps), strict=True):
            show(what, seconds)
        context = multiprocessing.get_context("spawn")
        done, loads = context.Event(), context.SimpleQueue()
        starts = [context.Event() for _ in range(_PROCESSES)]
        workers = [
            context.Process(target=read_on, args=(root, readers // _PROCESSES, ready, done, loads)) for ready in starts
        ]
        for worker in workers:
            worker.start()
        for ready in starts:
            ready.wait()
        begin_s = time.perf_counter()
        named = (f"promote, {readers} readers", f"rollback, {readers} readers")
        for what, seconds in zip(named, swap(root, swaps), strict=True):
            show(what, seconds)
        took_s = time.perf_counter() - begin_s
        done.set()
        for worker in workers:
            worker.join()
        if any(worker.exitcode for worker in workers):
            raise SystemExit("a reader saw a mixed or missing dataset")
        total = sum(loads.get() for _ in workers)
        print(f"{total:,} loads in {took_s:.1f} s, none mixed, none missing")


if __name__ == "__main__":
    wishes = [int(word) for word in sys.argv[1:]]
    main(*(wishes + [100, 10, 200][len(wishes) :]))
