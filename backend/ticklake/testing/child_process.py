"""A real server as a child process: how it is ended, frozen and let go on. What it is and how it starts, others say."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from ticklake.base.errors import UsageError
from ticklake.testing.held_ports import HeldPorts


class ChildProcess(ABC):
    """A server from `start` to `stop`, in its own session: Ctrl-C on the terminal reaches the caller only.

    A subclass names itself and defines `start`, which fills `_process`.
    """

    name = "the server"

    def __init__(self, temporary: tempfile.TemporaryDirectory[str] | None) -> None:
        """Nothing runs yet.

        Args:
            temporary: the server's folder when it is ours; removed by `stop`.
        """
        self._temporary = temporary
        self._process: subprocess.Popen[bytes] | None = None
        self._held = HeldPorts()

    @property
    def pid(self) -> int:
        """Process id of the server itself."""
        return self._running().pid

    def is_running(self) -> bool:
        """Whether the process lives; a paused one does."""
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def start(self) -> None:
        """Start the process and wait until it answers."""

    def stop(self, *, timeout_s: float = 15.0) -> None:
        """Shut down in good order, killing after `timeout_s`; then remove the folder if it is ours. Safe to repeat."""
        self.halt(timeout_s=timeout_s)
        self._held.release()
        if self._temporary is not None:
            self._temporary.cleanup()

    def halt(self, *, timeout_s: float = 15.0) -> None:
        """Shut down in good order, killing after `timeout_s`; the data and the ports stay for `start`."""
        if self._process is None or not self.is_running():
            return
        self.resume()  # a frozen process hears no SIGTERM
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill -9: what the server has not synced stays to the page cache. The folder stays."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections stay open, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # the signal takes effect a moment later

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise UsageError(f"{self.name} was never started; call start or use `with`")
        return self._process
