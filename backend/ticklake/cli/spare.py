"""What the processes of long commands do without."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa


def spare_pandas() -> None:
    """Keep pyarrow from importing pandas in a process that has no use for it.

    Pyarrow looks for pandas once, at its first value; where it is installed, that takes a quarter of a second and
    60 MB. Here it looks while there is none to be found. Only for a process that runs nothing but our own code: its
    pyarrow takes a series of pandas for any sequence from then on.
    """
    if "pandas" in sys.modules:
        return
    hidden = _WithoutPandas()
    sys.meta_path.insert(0, hidden)
    try:
        pa.scalar(0)
    finally:
        sys.meta_path.remove(hidden)


class _WithoutPandas:
    """A finder of modules that says of pandas that it is not installed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError("pandas is not needed here", name=name)
        return None
