"""Writes one new value per scenario, each in a child process of its own, so that strace can kill it at any call.

Usage: python records_child.py {light|heavy} FOLDER. The exit code has one bit per killed scenario, or is FAILED: the
parent must not even print, or strace would kill it too.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from ticklake.catalog.document_folder import DocumentFolder
from ticklake.files import atomic

FAILED = 255
OLD, NEW = b"old" * 1000, b"new" * 2000


def documents(folder: Path) -> DocumentFolder:
    return DocumentFolder(folder / "documents", form="test/1", fields=("value",))


def light(folder: Path) -> dict[str, Callable[[], object]]:
    return {
        "replace": lambda: atomic.replace(folder / "replace/file", NEW),
        "new": lambda: atomic.write_new(folder / "new/deep/file", NEW),
        "append": lambda: atomic.append_line(folder / "append/log", NEW),
        "torn": lambda: atomic.append_line(folder / "torn/log", NEW),
        "documents": lambda: documents(folder).put("key", {"value": "new"}),
        "index": lambda: documents(folder / "index").rows(),
        "remove": lambda: atomic.remove(folder / "remove/file"),
    }


def heavy(folder: Path) -> dict[str, Callable[[], object]]:
    import polars as pl

    from ticklake.catalog.artifacts import ArtifactStore
    from ticklake.catalog.datasets import DataRegistry
    from ticklake.catalog.runs import RunRegistry
    from ticklake.stores.parquet_files import save_parquet

    frame = pl.DataFrame({"at": range(1000), "value": ["new"] * 1000})
    store = ArtifactStore(folder)
    return {
        "parquet": lambda: save_parquet(frame, folder / "parquet/x.parquet"),
        "artifact": lambda: store.save_dataframe(frame, "k", "x.parquet"),
        "registry": lambda: DataRegistry(folder / "registry", folder).register_dataset("d", "parquet/x.parquet", "new"),
        "run": lambda: RunRegistry(folder).finish("r", {"value": "new"}),
    }


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    scenarios = {"light": light, "heavy": heavy}[kind](folder)
    killed = 0
    for place, write in enumerate(scenarios.values()):
        child = os.fork()
        if child == 0:
            try:
                write()
            except Exception:  # noqa: BLE001 - the parent hears of it by the exit code
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status and not os.WIFSIGNALED(status):
            os._exit(FAILED)
        killed |= bool(status) << place
    os._exit(killed)


if __name__ == "__main__":
    main()
