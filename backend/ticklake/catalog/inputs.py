"""Inputs of a run, fixed by their hashes."""

from __future__ import annotations

import hashlib
import os

from ticklake.catalog.artifact_ref import hash_file
from ticklake.catalog.run_record import RunInput
from ticklake.files.errors import NotStoredError
from ticklake.files.place import Place, name_in, place_in, sorted_places
from ticklake.files.side_by_side import run_for


def fix_input(root: Place, path: str | os.PathLike[str]) -> RunInput:
    """Hash a file, or every file below a folder.

    Args:
        root: the data root; a path below it is kept relative to it.
        path: absolute, or relative to the root.

    Raises:
        NotStoredError: nothing is there.
    """
    place, spoken = place_in(root, path), name_in(root, path)
    if place.is_file():
        return RunInput(spoken, 1, place.stat().st_size, hash_file(place))
    if not place.is_dir():
        raise NotStoredError(f"input {place} does not exist; check the path", path=place)
    files = sorted_places(file for file in place.rglob("*") if file.is_file() and not file.name.startswith("."))
    digest = hashlib.sha256()
    for file, hashed in zip(files, run_for(place)(hash_file, files), strict=True):
        digest.update(f"{file.relative_to(place)}\0{hashed}\n".encode("utf-8", "surrogateescape"))
    return RunInput(spoken, len(files), sum(file.stat().st_size for file in files), digest.hexdigest())
