"""Processes that are started first and let go together."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from tests.integration.gold import curators


def start(*words: object) -> subprocess.Popen[str]:
    """A process of `curators` that waits to be let go."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-B", curators.__file__, *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def let_go(*workers: subprocess.Popen[str]) -> None:
    """Let them begin, all at once, when the last of them is ready."""
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n", worker.communicate()[1]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()


def results(workers: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What each says at its end."""
    said = []
    for worker in workers:
        out, err = worker.communicate(timeout=200)
        assert worker.returncode == 0, err
        said.append(out.strip())
    return said
