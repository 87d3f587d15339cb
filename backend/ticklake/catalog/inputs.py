"""Inputs of a run, fixed by their hashes."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ticklake.catalog.artifact_ref import hash_file
from ticklake.catalog.run_record import RunInput
from ticklake.files.errors import NotStoredError


def fix_input(root: Path, path: str | os.PathLike[str]) -> RunInput:
    """Hash a file, or every file below a folder.

    Args:
        root: the data root; a path below it is kept relative to it.
        path: absolute, or relative to the root.

    Raises:
        NotStoredError: nothing is there.
    """
    place = Path(os.path.normpath(root / path))
    spoken = str(place.relative_to(root)) if place.is_relative_to(root) else str(place)
    if place.is_file():
        return RunInput(spoken, 1, place.stat().st_size, hash_file(place))
    if not place.is_dir():
        raise NotStoredError(f"input {place} does not exist; check the path", path=place)
    files = sorted(file for file in place.rglob("*") if file.is_file() and not file.name.startswith("."))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(place)}\0{hash_file(file)}\n".encode("utf-8", "surrogateescape"))
    return RunInput(spoken, len(files), sum(file.stat().st_size for file in files), digest.hexdigest())
