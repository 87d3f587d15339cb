"""`ticklake serve` without its start: a process that has imported everything forks one for each run, in milliseconds.

What runs is the shipped command, from reading its settings on; only the interpreter's start and the imports are done
before. A tracer takes hold of the new process before it does anything, so that it can die at any call of its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.harness import Service, clean_environment, wait_until

CHILD = Path(__file__).with_name("nursery_child.py")
_DEAD_TIMEOUT_S = 120.0


class Nursery:
    """Runs of a service that die under a tracer, one at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def run_until_dead(self, service: Service, tracer: Sequence[str], what: str) -> int:
        """The exit code of a run of `service` under the words of `strace` (without `-D`), which must end by itself."""
        pid = self._ask(environment=clean_environment(service.settings), log=str(service.log_path))
        with subprocess.Popen([*tracer, "-p", str(pid)], stderr=subprocess.PIPE, text=True) as tracing:
            try:
                wait_until(lambda: _is_traced(pid) or tracing.poll() is not None, f"{what}: the tracer takes hold")
                assert tracing.poll() is None, f"{what}: the tracer ended: {tracing.communicate()[1]}"
                os.kill(pid, signal.SIGCONT)
                wait_until(
                    lambda: _state(pid) == "Z",
                    f"{what}: the service ends",
                    timeout_s=_DEAD_TIMEOUT_S,
                    seen=lambda: "\n".join(service.log_path.read_text(errors="replace").splitlines()[-15:]),
                )
            finally:
                os.kill(pid, signal.SIGKILL)
                tracing.wait()
                code = self._ask(ended=pid)
        return code

    def _ask(self, **request: object) -> int:
        assert self._process is not None, "use `with`"
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        environment = clean_environment({}) | {"OPENBLAS_NUM_THREADS": "1"}  # threads do not outlive a fork
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.communicate()  # it ends with its input


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _is_traced(pid: int) -> bool:
    return "TracerPid:\t0\n" not in Path(f"/proc/{pid}/status").read_text()
