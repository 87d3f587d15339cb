"""Retires all that may go of many small lakes, so that strace can kill each at another call.

Usage: python retention_child.py FOLDER CALL KILLS WALL_NS, under a strace that kills at the KILLS-th CALL of a process.
The lake `FOLDER/n` is retired by a process of its own, which makes KILLS - n calls that do nothing before it begins: it
dies on entry to its n-th own one. The exit code is the number of lakes whose process died, or FAILED.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ticklake.catalog.retention import Retention
from ticklake.catalog.retention_rules import RetentionPolicy
from ticklake.testing.clock import ManualClock

FAILED = 255
_ABSENT = "/nothing/here"


def main(root: Path, wall_ns: int) -> None:
    policies = [
        RetentionPolicy("bronze", max_age_days=1),
        RetentionPolicy("silver", max_count=0, pins=("set*",)),
        RetentionPolicy("training_sets", max_count=0),
    ]
    Retention(root, clock=ManualClock(wall_ns=wall_ns)).purge(policies, dry_run=False)


def idle(call: str, times: int) -> None:
    """Make a disk call that changes nothing."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    calls: dict[str, Callable[[], object]] = {
        "writev": lambda: os.writev(nothing, [b""]),
        "fdatasync": lambda: os.fdatasync(nothing),
        "fsync": lambda: os.fsync(nothing),
        "linkat": lambda: os.link(_ABSENT, _ABSENT, follow_symlinks=False),
        "unlink": lambda: os.unlink(_ABSENT),
        "unlinkat": lambda: os.unlink(_ABSENT, dir_fd=nothing),
        "mkdir": lambda: os.mkdir(_ABSENT),
        "rename": lambda: os.rename(_ABSENT, _ABSENT),
        "flock": lambda: fcntl.flock(nothing, fcntl.LOCK_SH),
        "rmdir": lambda: os.rmdir(_ABSENT),
    }
    for _ in range(times):
        with contextlib.suppress(OSError):
            calls[call]()
    os.close(nothing)


def retire_all(folder: Path, call: str, kills: int, wall_ns: int) -> int:
    killed = 0
    for number in range(1, kills + 1):
        child = os.fork()
        if child == 0:
            try:
                idle(call, kills - number)
                main(folder / str(number), wall_ns)
            except Exception:  # noqa: BLE001 - the parent hears of it by the exit code
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status and not os.WIFSIGNALED(status):
            return FAILED
        killed += bool(status)
    return killed


if __name__ == "__main__":
    os._exit(retire_all(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
