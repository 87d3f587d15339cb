"""Where code runs: commit, machine, versions. So that a run can be repeated, or at least its difference explained."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
from dataclasses import dataclass
from typing import Final

import psutil

from ticklake.files.place import Place

_LIBRARIES: Final = ("ticklake", "polars", "pyarrow", "duckdb", "numpy", "pandas")
_GIT_SECONDS_MAX: Final = 10.0  # `git status` on a cold disk; a run must not wait longer for its label


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """The commit of a working tree. None when it is no git tree, or git is not installed.

    Attributes:
        commit: full hash.
        dirty: whether files differ from the commit.
    """

    commit: str | None = None
    dirty: bool | None = None


def read_code_version(folder: Place) -> CodeVersion:
    """The commit of the tree that `folder` lies in."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return CodeVersion()
    changes = _git(folder, "status", "--porcelain")
    return CodeVersion(commit, None if changes is None else bool(changes))


def read_environment() -> dict[str, str]:
    """Python, operating system, machine and the versions of the libraries that shape results."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        **versions,
    }


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """One process, told apart from later ones that get its number.

    Attributes:
        host: name of the machine.
        pid: process number.
        started_ms: when the process started, wall clock, ms.
    """

    host: str
    pid: int
    started_ms: int

    @classmethod
    def of_this_process(cls) -> ProcessMark:
        """The mark of the calling process."""
        return cls(socket.gethostname(), os.getpid(), _started_ms(os.getpid()) or 0)

    def is_alive(self) -> bool | None:
        """Whether it still runs; None when it is a process of another machine, so that nobody here can tell."""
        if self.host != socket.gethostname():
            return None
        return _started_ms(self.pid) == self.started_ms


def _started_ms(pid: int) -> int | None:
    try:
        return int(psutil.Process(pid).create_time() * 1000)
    except psutil.NoSuchProcess:
        return None


def _git(folder: Place, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS_MAX,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
