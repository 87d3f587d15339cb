"""Retention of feature versions: a version goes as a whole, and never while it is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ticklake.base.clock import Clock
from ticklake.catalog.retention_references import FEATURES
from ticklake.catalog.retention_rules import Candidate
from ticklake.files.atomic import locked, remove, sort_error, write_new
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, sorted_places
from ticklake.files.trees import list_folders, make_folder, remove_tree, walk_files

_AWAY: Final = "silver/staging"  # never read
_PREFIX: Final = "retired-"
_LEAVING: Final = ".leaving.json"
_STATE: Final = "state.json"
_ENDED: Final = ("complete", "failed")


class FeatureShelf:
    """The versions below `silver/features`, each as one candidate; its age counts from its last change.

    A version leaves by one rename to where nobody reads, then its files are removed: a crash leaves all of it or none.
    In a bucket a document first says which objects leave, then they go, `state.json` ahead of the others: from then on
    there is no such version. The next run goes on with what such documents say; an object that was stored anew since,
    because somebody built the version again, stays.
    """

    kind = "silver"

    def __init__(self, root: Place, *, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    def candidates(self) -> list[Candidate]:
        """Every version, with the size of all its files."""
        found = []
        for folder in self._versions():
            path = f"{FEATURES}/{folder.name}"
            files = list(walk_files(self._root, path))
            if not files and isinstance(folder, ObjectPath):
                continue  # some stores list a folder whose last object is gone
            changed_ns = max(file.changed_ns for file in files) if files else folder.stat().st_mtime_ns
            found.append(Candidate(path, sum(file.bytes for file in files), changed_ns))
        return found

    def held(self) -> Mapping[str, str]:
        """Versions that are being built, or that say nothing of their state."""
        reasons = {f"{FEATURES}/{folder.name}": _why_not_ended(folder) for folder in self._versions()}
        return {path: reason for path, reason in reasons.items() if reason is not None}

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """See `retention_shelves.Shelf.delete`.

        Raises:
            DiskError: stop; the next call goes on.
            StoreUnavailableError: stop; the next call goes on.
        """
        failed = {}
        away = self._root / _AWAY
        make_folder(away)
        with locked(away):
            for item, _ in items:
                folder = self._root / item.path
                reason = _why_not_ended(folder)
                if reason is not None:
                    failed[item.path] = reason
                elif isinstance(folder, ObjectPath):
                    self._tell_leaving(folder, item.path)
                else:
                    _move_away(folder, Path(away) / f"{_PREFIX}{folder.name}-{self._clock.wall_ns()}")
            for left in sorted_places(away.glob(f"{_PREFIX}*")):  # also those of a run that was killed
                if isinstance(left, ObjectPath):
                    self._finish_leaving(left)
                else:
                    remove_tree(left)
        return failed

    def _versions(self) -> list[Place]:
        return [folder for folder in list_folders(self._root / FEATURES) if not folder.is_symlink()]

    def _tell_leaving(self, folder: ObjectPath, path: str) -> None:
        files = sorted(walk_files(self._root, path), key=lambda file: (file.name != _STATE, file.path))
        told = {"version": path, "files": [[file.path, file.changed_ns, file.mark] for file in files]}
        document = self._root / _AWAY / f"{_PREFIX}{folder.name}-{self._clock.wall_ns()}{_LEAVING}"
        write_new(document, encode_document(told))

    def _finish_leaving(self, document: ObjectPath) -> None:
        told: Any = decode_document(document.read_bytes(), path=str(document))
        now = {file.path: (file.changed_ns, file.mark) for file in walk_files(self._root, told["version"])}
        for path, changed_ns, mark in told["files"]:
            if now.get(path) == (changed_ns, mark):
                remove(self._root / path)
        remove(document)


def _move_away(folder: Path, target: Path) -> None:
    files = LocalFiles()
    try:
        folder.rename(target)
    except OSError as error:
        raise sort_error(error, "rename", str(folder)) from error
    files.sync_folder(str(folder.parent))
    files.sync_folder(str(target.parent))


def _why_not_ended(folder: Place) -> str | None:
    path = folder / _STATE
    try:
        state = decode_document(path.read_bytes(), path=str(path))
    except FileNotFoundError:
        return "it has no state.json"
    found = state.get("state") if isinstance(state, dict) else None
    return None if found in _ENDED else f"its state is {found}"
