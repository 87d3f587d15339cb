"""A small lake copied into a bucket, and what a version consists of, wherever it lies."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.integration.silver.toy import toy_lake, toy_manifest

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.silver.manifest import Manifest


def copy_lake(root: Path, bucket: ObjectPath, days: int) -> None:
    """A toy lake at `root`, made unless it is there, and its files in the bucket, stored as the writer stores them."""
    if not root.exists():
        toy_lake(root, days)

    def put(path: Path) -> None:
        place = bucket / path.relative_to(root).as_posix()
        place.store.create(place.key, path.read_bytes())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, [path for path in root.rglob("*") if path.is_file()]))


def small_manifest(rows: int = 5) -> Manifest:
    """Of one version; another parameter gives other bytes."""
    return toy_manifest(cuts=1, parameters={"move": {"rows": rows}})


def sums(root: Place, version: str = "v1") -> dict[str, str]:
    """Name -> sha256 of every file of a version but its state."""
    folder = root / "silver/features" / version
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("state.json", "LOCK")
    }
