"""A lake, its Delta log, and the rows and entries of both, for the tests of the export."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars as pl
from tests.integration.real_lake import RealLake
from tests.integration.small_lake import IDENTITY, SmallLake, at

from ticklake.catalog.retention import Retention
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.readers.delta import DeltaExport, export_delta
from ticklake.readers.lake import open_lake
from ticklake.testing.clock import ManualClock

TABLE = "futures.trades"


def lay_lake(folder: Path) -> SmallLake:
    """An empty lake, with the state folder of a service that stands still."""
    small = SmallLake(folder / "lake")
    (small.root / "_state").mkdir(parents=True)
    (small.root / "_state/IDENTITY").write_text(f"{IDENTITY}\n")
    return small


def export(small: SmallLake | RealLake, table: str = TABLE, **more: Any) -> DeltaExport:
    return export_delta(small.root, open_lake(small.root).relation(table), **more)


def log_folder(root: Path, table: str = TABLE) -> Path:
    return root / "delta" / table


def rows_of_lake(root: Path, table: str = TABLE) -> pl.DataFrame:
    return by_sequence(open_lake(root).scan(table).collect())


def rows_of_log(root: Path, table: str = TABLE) -> pl.DataFrame:
    return by_sequence(pl.scan_delta(str(log_folder(root, table))).collect())


def by_sequence(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("stream_seq", "message_row")


def entries(log: Path, action: str) -> Counter[str]:
    """How often the log ever entered each file, from the bytes of its commits."""
    found = Counter[str]()
    for commit in (log / "_delta_log").glob("*.json"):
        for line in commit.read_text().splitlines():
            if action in (document := json.loads(line)):
                found[unquote(document[action]["path"])] += 1
    return found


def purge(small: SmallLake, days: float) -> None:
    clock = ManualClock(wall_ns=at(0, day=10))
    Retention(small.root, clock=clock).purge([RetentionPolicy("bronze", max_age_days=days)], dry_run=False)
