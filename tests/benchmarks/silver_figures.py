"""Feature builds of full-size `es_levels` sessions: seconds, certificate, workers, memory; and what loading costs.

Every build runs in a fresh process, so that its peak memory is its own. Three sessions tell seconds, certificate and
memory of a build that names no workers and so takes the cores as it likes; eight the gain of a second worker, each with
one thread. Loading is compared with a bare read of the same 20 files, in turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import polars as pl
from tests.benchmarks.figures import Figure, in_turns, limit_figure
from tests.benchmarks.scale import Scale
from tests.benchmarks.silver_market import add_bulk_session
from tests.integration.small_lake import SmallLake

from ticklake.schema.session import US_INDEX_FUTURES, previous_sessions
from ticklake.silver.baselines import baseline_manifest
from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.manifest import Certificate, dump_manifest

LAST: Final = date(2025, 6, 20)
SESSIONS: Final = 3
SESSIONS_SHARED: Final = 8
LOADS: Final = 20
LOADS_SCALE: Final = 0.05  # of the rows: the events of a day, and so the files that are loaded, are as many
BUILD_S_MAX: Final = 2.0
CERTIFICATE_MAX: Final = 0.5
WORKERS_GAIN_MIN: Final = 1.7
PEAK_MIB_MAX: Final = 1536.0
LOAD_MAX: Final = 1.2
CHILD: Final = """
import json, re, resource, sys
from pathlib import Path
from ticklake.silver.builder import SilverFeatureBuilder

if __name__ == "__main__":
    workers = int(sys.argv[3]) or None
    result = SilverFeatureBuilder(sys.argv[1]).build_feature_set(sys.argv[2], force=True, workers=workers)
    own = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])  # not that of who started us
    peak = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    print(json.dumps({
        "build_s": result.build_time_seconds - result.certificate_seconds, "certificate_s": result.certificate_seconds,
        "passed": result.certificate_passed, "MiB": peak / 1024}))
"""


def measure(scale: Scale) -> Iterator[Figure]:
    """All figures of the silver tier."""
    few, many = (_lay(scale.folder / str(count), count, scale.silver) for count in (SESSIONS, SESSIONS_SHARED))
    builds = [_build(few) for _ in range(scale.rounds)]
    yield limit_figure(
        "es_levels, one session, no certificate",
        [build["build_s"] / SESSIONS for build in builds],
        unit="s",
        below=BUILD_S_MAX,
    )
    yield limit_figure(
        "causality certificate, of the build's time",
        [100 * build["certificate_s"] / _whole_s(build) for build in builds],
        unit="%",
        below=100 * CERTIFICATE_MAX,
        note=(
            f"{SESSIONS} sessions, 20 cuts; {median(100 * b['certificate_s'] / b['build_s'] for b in builds):.0f} % of "
            f"the time without it; passed: {all(build['passed'] for build in builds)}"
        ),
    )
    yield limit_figure(
        "silver build, peak memory of a process", [build["MiB"] for build in builds], unit="MiB", below=PEAK_MIB_MAX
    )
    plain: dict[int, list[float]] = {1: [], 2: []}

    def whole_s(workers: int) -> float:
        build = _build(many, workers=workers)
        plain[workers].append(build["build_s"])
        return _whole_s(build)

    pairs = in_turns(scale.rounds, lambda: whole_s(1), lambda: whole_s(2))
    gain = median(pairs.ratios)
    plain_gain = median(one / two for one, two in zip(plain[1], plain[2], strict=True))
    yield Figure(
        what=f"silver build, {SESSIONS_SHARED} dates: 2 workers against 1",
        ours=f"{median(pairs.reference):.1f} s",
        reference=f"{median(pairs.ours):.1f} s: 1 worker",
        ratio=f"{gain:.2f} x",
        target=f">= {WORKERS_GAIN_MIN:g} x",
        met=gain >= WORKERS_GAIN_MIN,
        rounds=pairs.ratios,
        note=(
            f"as the command takes it, certificate included; without it {median(plain[2]):.1f} s against "
            f"{median(plain[1]):.1f} s: {plain_gain:.2f} x"
        ),
    )
    yield _load_figure(scale)


def _lay(root: Path, sessions: int, scale: float) -> Path:
    lake = SmallLake(root)
    for number, window in enumerate(previous_sessions(US_INDEX_FUTURES, LAST, sessions)):
        add_bulk_session(lake, window.date, seed=number, scale=scale)
    (root / "manifest.yaml").write_text(dump_manifest(baseline_manifest("es_levels")))
    return root


def _build(root: Path, *, workers: int = 0) -> dict[str, float]:
    """One build in a process of its own; 0 workers for what is fastest."""
    script = root / "child.py"
    script.write_text(CHILD)
    arguments = [sys.executable, str(script), str(root), str(root / "manifest.yaml"), str(workers)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    figure: dict[str, float] = json.loads(done.stdout)
    return figure


def _whole_s(build: dict[str, float]) -> float:
    """What the command takes."""
    return build["build_s"] + build["certificate_s"]


def _load_figure(scale: Scale) -> Figure:
    """`load_features` against a bare read of the same files, median of rounds in turns."""
    root = _lay(scale.folder / "loads", LOADS, LOADS_SCALE)
    builder = SilverFeatureBuilder(root)
    manifest = msgspec.structs.replace(baseline_manifest("es_levels"), certificate=Certificate(cuts=0))
    version = builder.build_feature_set(manifest).version
    files = sorted((root / f"silver/features/{version}").glob("date=*/signals.parquet"))
    pairs = in_turns(
        max(21, scale.rounds),
        lambda: _seconds(lambda: builder.load_features(version)),
        lambda: _seconds(lambda: pl.scan_parquet(files, glob=False, hive_partitioning=False).collect()),
    )
    ratio = median(pairs.ratios)
    return Figure(
        what=f"load_features, {len(files)} dates",
        ours=f"{1000 * median(pairs.ours):.1f} ms",
        reference=f"{1000 * median(pairs.reference):.1f} ms: bare Polars scan",
        ratio=f"{ratio:.2f} x",
        target=f"<= {LOAD_MAX:g} x",
        met=ratio <= LOAD_MAX,
        rounds=pairs.ratios,
    )


def _seconds(work: Callable[[], object]) -> float:
    begin_s = time.perf_counter()
    work()
    return time.perf_counter() - begin_s
