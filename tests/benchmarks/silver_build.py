"""Feature builds of simulated `es_levels` sessions: seconds per session, workers, memory, load_features.

    PYTHONPATH=backend:. python -m tests.benchmarks.silver_build [--scale 0.05] [--dates 8] [--loads 20]

Scale 1.0 is a day of 600,000 trades and 2 million book updates; laying it down takes minutes. Each build runs in a
fresh process, so that its peak memory is its own. `load_features` is compared with a bare read of the same files.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median

import polars as pl
from tests.integration.silver.market_lake import add_session
from tests.integration.small_lake import SmallLake

from ticklake.schema.session import US_INDEX_FUTURES, previous_sessions
from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.manifest import dump_manifest

LAST = date(2025, 6, 20)
ROUNDS = 7
CHILD = """
import json, resource, sys
from ticklake.silver.builder import SilverFeatureBuilder

if __name__ == "__main__":
    result = SilverFeatureBuilder(sys.argv[1]).build_feature_set(sys.argv[2], force=True, workers=int(sys.argv[3]))
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({
        "seconds": result.build_time_seconds - result.certificate_seconds, "certificate": result.certificate_seconds,
        "signals": result.signals_total, "MiB": peak / 1024, "errors": result.errors}))
"""


def main() -> None:
    """Lay sessions down, build them, load them."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.silver_build", description=__doc__)
    parser.add_argument("--scale", type=float, default=0.05, help="of a session")
    parser.add_argument("--dates", type=int, default=8, help="sessions to lay down and build")
    parser.add_argument("--loads", type=int, default=20, help="dates of the version that is loaded")
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ticklake-silver-") as folder:
        root = Path(folder)
        lake = SmallLake(root)
        for number, window in enumerate(previous_sessions(US_INDEX_FUTURES, LAST, wish.dates)):
            print(window.date, add_session(lake, window.date, seed=number, scale=wish.scale), flush=True)
        (root / "m.yaml").write_text(dump_manifest(baseline_manifest("es_levels")))
        figures = {workers: build(root, workers) for workers in (1, 2)}
        for workers, figure in figures.items():
            print(
                f"{workers} workers: {figure['seconds'] / wish.dates:.2f} s a session without certificate, certificate "
                f"{figure['certificate'] / figure['seconds']:.0%} of the build, peak {figure['MiB']:.0f} MiB in one "
                f"process, {figure['signals']} signals"
            )
        print(f"2 workers against 1: {figures[1]['seconds'] / figures[2]['seconds']:.2f} x (target 1.7)")
        print(f"load_features: {load_ratio(root, wish.loads):.2f} x a bare read (target 1.2)")


def build(root: Path, workers: int) -> dict[str, float]:
    """One build in a process of its own."""
    script = root / "child.py"
    script.write_text(CHILD)
    arguments = [sys.executable, str(script), str(root), str(root / "m.yaml"), str(workers)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    figure: dict[str, float] = json.loads(done.stdout)
    return figure


def load_ratio(root: Path, dates: int) -> float:
    """Seconds of `load_features` over seconds of a bare read of the same files, median of rounds in turns."""
    from tests.integration.silver.toy import add_day, toy_manifest

    lake = SmallLake(root / "loads")
    for day in range(dates):
        add_day(lake, day)
    builder = SilverFeatureBuilder(root / "loads")
    builder.build_feature_set(toy_manifest(cuts=0))
    files = sorted((root / "loads/silver/features/v1").glob("date=*/signals.parquet"))
    ratios = []
    for _ in range(ROUNDS):
        bare_s = timed(lambda: pl.scan_parquet(files, glob=False, hive_partitioning=False).collect())
        ours_s = timed(lambda: builder.load_features("v1"))
        ratios.append(ours_s / bare_s)
    return median(ratios)


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    begin_s = time.perf_counter()
    work()
    return time.perf_counter() - begin_s


if __name__ == "__main__":
    main()
