"""Builds of es_levels that kill themselves, each a process of its own that was forked when all was imported.

Usage: python levels_child.py ROOT,CHANGES,SECONDS ...
SIGKILL comes so many seconds after the n-th change of a file; for 0 just before that change is made. CHANGES 0:
nobody is killed, and each change is printed with its second.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from tests.integration.silver.thin_market import levels

from ticklake.silver.builder import SilverFeatureBuilder
from ticklake.silver.manifest import Certificate
from ticklake.silver.recipe import resolve

MANIFEST = levels(Certificate(cuts=2))
AT_ONCE = 2
CHANGES = ("os.rename", "os.remove", "shutil.rmtree")
FOLDER = "silver/"
MAKES = os.O_WRONLY | os.O_RDWR


def changed(event: str, arguments: tuple[object, ...]) -> str | None:
    """The file that an audit event of Python changes in the feature store; None for all else."""
    if event not in CHANGES and not (event == "open" and isinstance(arguments[2], int) and arguments[2] & MAKES):
        return None
    path = str(arguments[1] if event == "os.rename" else arguments[0])
    return path.partition(FOLDER)[2] or None


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def build(root: str, changes: int, seconds: float) -> None:
    """Build until the moment comes."""
    seen: list[tuple[float, str]] = []

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        path = changed(event, arguments)
        if path is None:
            return
        seen.append((time.monotonic(), path))
        if len(seen) != changes:
            return
        if not seconds:
            kill()
        timer = threading.Timer(seconds, kill)
        timer.daemon = True
        timer.start()

    sys.addaudithook(hear)
    result = SilverFeatureBuilder(root).build_feature_set(MANIFEST, workers=0, force=True)
    assert result.status == "complete", result.errors
    if not changes:
        for when, path in seen:
            print(f"{when:.6f} {path}", flush=True)


def start(case: str) -> int:
    """A process for one case: nothing has started a thread so far."""
    root, changes, seconds = case.split(",")
    pid = os.fork()
    if pid == 0:
        build(root, int(changes), float(seconds))
        os._exit(0)
    return pid


if __name__ == "__main__":
    resolve(MANIFEST)
    for first in range(1, len(sys.argv), AT_ONCE):
        for child in [start(case) for case in sys.argv[first : first + AT_ONCE]]:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (-signal.SIGKILL, 0)
