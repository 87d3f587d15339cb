"""What the processes of the race and crash tests do. Each function is called by name in a fresh process."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
from tests.unit.gold.small_version import DAYS, lay_version, rows_of

from ticklake.base.errors import CheckFailedError
from ticklake.files.errors import AlreadyStoredError
from ticklake.files.place import place_of
from ticklake.gold.curator import GoldCurator
from ticklake.gold.publish import make_current, seal_version, stage_folder

NAME = "signals_production"


def lay_marked(root: Path, version: str, rows: int = 60) -> None:
    """A feature version whose every row says to which it belongs."""
    lay_version(root, version, {day: rows_of(day, rows).with_columns(kind=pl.lit(version)) for day in DAYS})


def check_whole(rows: pl.DataFrame, version: str | None = None) -> str:
    """The feature version that all rows belong to.

    Raises:
        CheckFailedError: they belong to several, to another one, or are not all there.
    """
    found = rows["kind"].unique().to_list()
    if len(found) != 1 or rows.height % len(DAYS) or version not in (None, found[0]):
        raise CheckFailedError(f"{rows.height} rows of {found}, expected one whole {version or 'version'}")
    return str(found[0])


def promote(root: str, version: str) -> str:
    """Promote one version; `status number`."""
    done = GoldCurator(root).promote_to_training(version)
    return f"{done.status.value} {done.version}"


def seal(root: str, mark: str) -> str:
    """Try to take number 7 without the lock; `won` or `lost`."""
    staged = stage_folder(place_of(root), NAME)
    (staged / "metadata.json").write_text(mark)
    try:
        seal_version(place_of(root), NAME, 7, staged)
    except AlreadyStoredError:
        return "lost"
    return "won"


def swap(root: str, times: str) -> str:
    """Promote and roll back in turns; the slowest of each, in seconds."""
    curator, slowest = GoldCurator(root), {"promote": 0.0, "rollback": 0.0}
    for turn in range(int(times)):
        begin = time.perf_counter()
        curator.promote_to_training("v2", notes=str(turn))
        middle = time.perf_counter()
        curator.rollback(to=1)
        slowest["promote"] = max(slowest["promote"], middle - begin)
        slowest["rollback"] = max(slowest["rollback"], time.perf_counter() - middle)
    return f"{slowest['promote']:.3f} {slowest['rollback']:.3f}"


def switch(root: str, first: str, second: str) -> str:
    """Make two versions current in turns, as fast as it goes, until killed."""
    while True:
        for number in (first, second):
            make_current(place_of(root), NAME, int(number))


WORK: dict[str, Callable[..., str]] = {"promote": promote, "seal": seal, "swap": swap, "switch": switch}


if __name__ == "__main__":
    print("ready", flush=True)
    sys.stdin.readline()
    print(WORK[sys.argv[1]](*sys.argv[2:]), flush=True)
    os._exit(0)  # all is said: to free the memory piece by piece takes longer than the work
