"""Retires all that may go of a small lake, so that strace can kill it at any call. Usage: ... ROOT WALL_NS."""

from __future__ import annotations

import sys
from pathlib import Path

from ticklake.catalog.retention import Retention
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.testing.clock import ManualClock


def main(root: Path, wall_ns: int) -> None:
    policies = [
        RetentionPolicy("bronze", max_age_days=1),
        RetentionPolicy("silver", max_count=0, pins=("set*",)),
        RetentionPolicy("training_sets", max_count=0),
    ]
    Retention(root, clock=ManualClock(wall_ns=wall_ns)).purge(policies, dry_run=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
