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
from tests.benchmarks.figures import Figure, Pairs, in_turns, limit_figure
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
WITH, WITHOUT = "manifest.yaml", "uncertified.yaml"
NO_CERTIFICATE: Final = Certificate(cuts=0)
CHILD: Final = """
import json, re, resource, sys
from pathlib import Path
from ticklake.silver.builder import SilverFeatureBuilder

if __name__ == "__main__":
    workers = int(sys.argv[3]) or None
    result = SilverFeatureBuilder(sys.argv[1]).build_feature_set(sys.argv[2], force=True, workers=workers)
    own = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])  # not that of who started us
    peak = max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    print(json.dumps({"s": result.build_time_seconds, "passed": result.certificate_passed, "MiB": peak / 1024}))
"""


def measure(scale: Scale) -> Iterator[Figure]:
    """All figures of the silver tier."""
    few, many = (_lay(scale.folder / str(count), count, scale.silver) for count in (SESSIONS, SESSIONS_SHARED))
    whole: list[dict[str, float]] = []
    pairs = in_turns(scale.rounds, lambda: _noted(whole, _build(few)), lambda: _build(few, certificate=False)["s"])
    yield limit_figure(
        "es_levels, one session, no certificate", [s / SESSIONS for s in pairs.reference], unit="s", below=BUILD_S_MAX
    )
    yield limit_figure(
        "causality certificate, of the build's time",
        [100 * (1 - plain / full) for full, plain in zip(pairs.ours, pairs.reference, strict=True)],
        unit="%",
        below=100 * CERTIFICATE_MAX,
        note=(
            f"{SESSIONS} sessions, 20 cuts: {median(pairs.ours):.1f} s, without it {median(pairs.reference):.1f} s; "
            f"passed: {all(build['passed'] for build in whole)}"
        ),
    )
    yield limit_figure(
        "silver build, peak memory of a process", [build["MiB"] for build in whole], unit="MiB", below=PEAK_MIB_MAX
    )
    yield _workers_figure(many, scale.rounds)
    yield _load_figure(scale)


def _noted(builds: list[dict[str, float]], build: dict[str, float]) -> float:
    builds.append(build)
    return build["s"]


def _workers_figure(root: Path, rounds: int) -> Figure:
    """Two workers against one, in turns; with the certificate, as the command takes it, and without."""

    def pairs(*, certificate: bool) -> Pairs:
        def seconds(workers: int) -> float:
            return _build(root, workers=workers, certificate=certificate)["s"]

        return in_turns(rounds, lambda: seconds(1), lambda: seconds(2))

    whole, plain = pairs(certificate=True), pairs(certificate=False)
    gain = median(whole.ratios)
    return Figure(
        what=f"silver build, {SESSIONS_SHARED} dates: 2 workers against 1",
        ours=f"{median(whole.reference):.1f} s",
        reference=f"{median(whole.ours):.1f} s: 1 worker",
        ratio=f"{gain:.2f} x",
        target=f">= {WORKERS_GAIN_MIN:g} x",
        met=gain >= WORKERS_GAIN_MIN,
        rounds=whole.ratios,
        note=(
            f"as the command takes it, certificate included; without it {median(plain.reference):.1f} s against "
            f"{median(plain.ours):.1f} s: {median(plain.ratios):.2f} x"
        ),
    )


def _lay(root: Path, sessions: int, scale: float) -> Path:
    lake = SmallLake(root)
    for number, window in enumerate(previous_sessions(US_INDEX_FUTURES, LAST, sessions)):
        add_bulk_session(lake, window.date, seed=number, scale=scale)
    manifest = baseline_manifest("es_levels")
    for name, wanted in ((WITH, manifest), (WITHOUT, msgspec.structs.replace(manifest, certificate=NO_CERTIFICATE))):
        (root / name).write_text(dump_manifest(wanted))
    return root


def _build(root: Path, *, workers: int = 0, certificate: bool = True) -> dict[str, float]:
    """One build in a process of its own; 0 workers for what is fastest."""
    script = root / "child.py"
    script.write_text(CHILD)
    manifest = root / (WITH if certificate else WITHOUT)
    arguments = [sys.executable, str(script), str(root), str(manifest), str(workers)]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    figure: dict[str, float] = json.loads(done.stdout)
    return figure


def _load_figure(scale: Scale) -> Figure:
    """`load_features` against a bare read of the same files, median of rounds in turns."""
    root = _lay(scale.folder / "loads", LOADS, LOADS_SCALE)
    builder = SilverFeatureBuilder(root)
    manifest = msgspec.structs.replace(baseline_manifest("es_levels"), certificate=NO_CERTIFICATE)
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
