"""Retention of feature versions: a version goes as a whole, and never while it is built."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ticklake.base.clock import Clock
from ticklake.catalog.retention_references import FEATURES
from ticklake.catalog.retention_rules import Candidate
from ticklake.catalog.retention_shelves import walk_files
from ticklake.files.atomic import locked, sort_error
from ticklake.files.documents import decode_document
from ticklake.files.local import LocalFiles

_AWAY: Final = "silver/staging"  # never read
_PREFIX: Final = "retired-"
_ENDED: Final = ("complete", "failed")


class FeatureShelf:
    """The versions below `silver/features`, each as one candidate; its age counts from its last change.

    A version leaves by one rename to where nobody reads, then its files are removed: a crash leaves all of it or none.
    """

    kind = "silver"

    def __init__(self, root: Path, *, clock: Clock) -> None:
        self._root = root
        self._clock = clock

    def candidates(self) -> list[Candidate]:
        """Every version, with the size of all its files."""
        found = []
        for folder in self._versions():
            stats = [entry.stat(follow_symlinks=False) for entry in walk_files(str(folder))]
            changed_ns = max((stat.st_mtime_ns for stat in stats), default=folder.stat().st_mtime_ns)
            found.append(Candidate(f"{FEATURES}/{folder.name}", sum(stat.st_size for stat in stats), changed_ns))
        return found

    def held(self) -> Mapping[str, str]:
        """Versions that are being built, or that say nothing of their state."""
        reasons = {f"{FEATURES}/{folder.name}": _why_not_ended(folder) for folder in self._versions()}
        return {path: reason for path, reason in reasons.items() if reason is not None}

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """See `retention_shelves.Shelf.delete`.

        Raises:
            DiskError: stop; the next call goes on.
        """
        failed = {}
        away = self._root / _AWAY
        files = LocalFiles()
        files.make_folder(str(away))
        with locked(away):
            for item, _ in items:
                folder = self._root / item.path
                reason = _why_not_ended(folder)
                if reason is not None:
                    failed[item.path] = reason
                    continue
                _rename(folder, away / f"{_PREFIX}{folder.name}-{self._clock.wall_ns()}")
                files.sync_folder(str(folder.parent))
                files.sync_folder(str(away))
            for left in sorted(away.glob(f"{_PREFIX}*")):  # also those of a run that was killed
                _remove_tree(left)
        return failed

    def _versions(self) -> list[Path]:
        try:
            entries = sorted(os.scandir(self._root / FEATURES), key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        raise sort_error(error, "rename", str(folder)) from error


def _remove_tree(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise sort_error(error, "remove", str(folder)) from error


def _why_not_ended(folder: Path) -> str | None:
    path = folder / "state.json"
    try:
        state = decode_document(path.read_bytes(), path=str(path))
    except FileNotFoundError:
        return "it has no state.json"
    found = state.get("state") if isinstance(state, dict) else None
    return None if found in _ENDED else f"its state is {found}"
