"""What the causality certificate costs beside the build it certifies. Prints one line per round.

    PYTHONPATH=backend python -m tests.benchmarks.silver_certificate [--scale 0.1] [--data DIR] [--rounds 3]

Plays three sessions of the market simulator into a lake (once; `--data` keeps it), then builds `es_levels` of all three
by force. The ratio is certificate over build, both wall time of one process on the same machine.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date, time
from pathlib import Path
from typing import Final

import msgspec
from tests.integration.silver.market_lake import add_session
from tests.integration.small_lake import SmallLake

from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.validation import read_validation

DAYS: Final = (date(2025, 6, 2), date(2025, 6, 3), date(2025, 6, 4))
END: Final = time(16, 0)
RATIO_MAX: Final = 0.5
VERSION: Final = "v0.0.1"
MEANINGFUL: Final = {"tape_points": 10.0, "sweep_notional": 30e6}


def lay_lake(root: Path, scale: float) -> None:
    """Three simulated sessions as bronze files, unless they are there."""
    if (root / "bronze").exists():
        return
    lake = SmallLake(root)
    for seed, day in enumerate(DAYS, 5):
        counts = add_session(lake, day, seed=seed, scale=scale, end=END)
        print(f"{day}: " + ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items())), flush=True)


def measure(root: Path, rounds: int) -> None:
    """Build by force and print what build and certificate took."""
    builder = SilverFeatureBuilder(root)
    baseline = builder.create_baseline_manifest("es_levels")
    parameters = {**baseline.parameters, "compute_physics": MEANINGFUL}
    manifest = msgspec.structs.replace(baseline, version=VERSION, parameters=parameters)
    for number in range(1, rounds + 1):
        result = builder.build_feature_set(manifest, list(DAYS), force=True)
        drawn = read_validation(Path(result.output_dir) / "validation.json").causality
        if drawn is None:
            raise SystemExit(f"no certificate was drawn: {result.reason}")
        build_s = result.build_time_seconds - result.certificate_seconds
        ratio = result.certificate_seconds / build_s
        print(
            f"round {number}: build {build_s:.2f} s, certificate {result.certificate_seconds:.2f} s = {ratio:.2f}, "
            f"at most {RATIO_MAX} wanted",
            f"{drawn.cuts} cuts, {len(drawn.trials)} rebuilds, {len(drawn.columns)} features",
            f"{drawn.events_compared:,} events compared, {'passed' if drawn.passed else 'NOT passed'}",
            sep="; ",
            flush=True,
        )


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1, help="of the simulated market; 1 is a full day's traffic")
    parser.add_argument("--data", type=Path, help="lake to make or use; a temporary one by default")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = arguments.data or Path(folder)
        lay_lake(root, arguments.scale)
        measure(root, arguments.rounds)


if __name__ == "__main__":
    main()
