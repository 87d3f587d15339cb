"""Programs of their own: every side of a comparison runs in a fresh process and answers with one line of JSON."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240.0


class ChildError(RuntimeError):
    """A program failed or did not answer in time."""


def call(module: str, *arguments: object, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """Run `tests.benchmarks.<module>` to its end and give its answer."""
    with Child(module, *arguments) as child:
        return child.answer(timeout_s)


class Child:
    """A running program; leaving the block kills it."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._name = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.benchmarks.{module}", *map(str, arguments)],
            cwd=ROOT,
            env=_clean_environment(),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        self._out = self._process.stdout
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._out.close()

    def answer(self, timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
        """The next line of JSON."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            deadline_s = time.monotonic() + timeout_s
            while b"\n" not in self._unread:
                if not selector.select(max(0.0, deadline_s - time.monotonic())):
                    raise ChildError(f"{self._name}: no answer within {timeout_s:g} s")
                part = os.read(self._out.fileno(), 1 << 20)
                if not part:
                    raise ChildError(f"{self._name}: ended with exit code {self._process.wait()} and without an answer")
                self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def terminate(self) -> None:
        """Ask it to come to an end."""
        self._process.send_signal(signal.SIGTERM)


def reply(answer: dict[str, Any]) -> None:
    """Say it to the parent, from the child."""
    print(json.dumps(answer), flush=True)


def _clean_environment() -> dict[str, str]:
    """Ours, without settings of a ticklake that may be installed here."""
    foreign = ("DATA_ROOT", "NATS_URL", "NOTIFY_SOCKET", "WATCHDOG_USEC")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith("TICKLAKE_") and name not in foreign
    }
