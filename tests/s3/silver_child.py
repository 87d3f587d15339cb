"""Builds toy feature versions in a bucket, each in a process that kills itself: silver_child.py ROOT,ROWS,CHANGES ...

ROWS: a parameter of the manifest.
CHANGES: how many answers of the store to a change that process hears.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

from tests.s3.silver_lake import small_manifest

from ticklake.files.object_lock import _Lease
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import place_of
from ticklake.silver.builder import SilverFeatureBuilder

AT_ONCE = 3


def is_change(operation: str, result: str) -> bool:
    """Whether an answer of the store is that of a change; a busy one may have to be asked again."""
    return operation in ("put", "delete") and result == "ok"


def still(set_attribute: Callable[[object, str, object], None]) -> None:
    """Let no lock give signs of life: in a slow build they would be changes, too."""
    set_attribute(_Lease, "renew_until", lambda *_: None)


def build(root: str, rows: int, changes: int) -> None:
    """Build until the n-th change was answered; then SIGKILL."""
    still(setattr)
    place, heard = place_of(root), 0
    assert isinstance(place, ObjectPath)

    def hear(operation: str, result: str, _seconds: float) -> None:
        nonlocal heard
        heard += is_change(operation, result)
        if heard == changes:
            os.kill(os.getpid(), signal.SIGKILL)

    place.store.observe = hear
    SilverFeatureBuilder(place).build_feature_set(small_manifest(rows))


def start(case: str) -> int:
    """A process of its own for one case: nothing has started a thread so far."""
    root, rows, changes = case.split(",")
    pid = os.fork()
    if pid == 0:
        build(root, int(rows), int(changes))
        os._exit(0)
    return pid


if __name__ == "__main__":
    for first in range(1, len(sys.argv), AT_ONCE):
        for child in [start(case) for case in sys.argv[first : first + AT_ONCE]]:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
