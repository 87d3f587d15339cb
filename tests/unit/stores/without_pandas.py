"""A child process that cannot find pandas, though it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.machinery import ModuleSpec
from textwrap import dedent
from typing import Any

_HIDE = "from tests.unit.stores.without_pandas import hide_pandas\nhide_pandas()\n"


class _Finder:
    """Another finder, that is not asked for pandas."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return None if name.partition(".")[0] == "pandas" else self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)


def hide_pandas() -> None:
    """From now on, importing or looking for pandas is as if it were not installed."""
    sys.meta_path[:] = [_Finder(finder) for finder in sys.meta_path]


def run_without_pandas(code: str, *words: str) -> None:
    """Run Python code, which finds the words in `sys.argv[1:]`; an error in it is an assertion error here."""
    command = [sys.executable, "-B", "-c", _HIDE + dedent(code), *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
