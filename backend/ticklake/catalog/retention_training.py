"""Retention of training sets: a version goes as a whole, never the current one; its number is not given again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from ticklake.base.clock import Clock
from ticklake.base.errors import NoDataError
from ticklake.catalog import training_removed as removed
from ticklake.catalog import training_sets as sets
from ticklake.catalog.retention_rules import Candidate
from ticklake.files.atomic import locked
from ticklake.files.place import Place, sorted_places
from ticklake.files.trees import walk_files

TRAINING_SETS: Final = "training_sets"


class TrainingShelf:
    """The versions below `gold/history`, each as one candidate; limits hold for each set by itself."""

    def __init__(self, root: Place, kind: str, *, clock: Clock) -> None:
        """Look at training sets.

        Args:
            root: the data root.
            kind: `training_sets`, or `training_sets/NAME` for one of them.
            clock: stamps the removal.
        """
        self.kind = kind
        self._root = root
        self._only = kind.partition("/")[2]
        self._clock = clock

    def candidates(self) -> list[Candidate]:
        """Every whole version, with the size of all its files; its age counts from its promotion."""
        return [
            Candidate(
                path=_path(item),
                bytes=sum(file.bytes for file in walk_files(self._root, _path(item))),
                time_ns=int(datetime.fromisoformat(item.created_at).timestamp() * 1e9),
                group=item.dataset_name,
            )
            for item in self._versions()
        ]

    def held(self) -> Mapping[str, str]:
        """The current version of each set; every version of a set that has none: it may just be made."""
        reasons = {_path(item): _why_held(self._root, item.dataset_name, item.version) for item in self._versions()}
        return {path: reason for path, reason in reasons.items() if reason is not None}

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """See `retention_shelves.Shelf.delete`. Waits for promotions of the same set.

        Raises:
            DiskError: stop; the next run goes on.
        """
        failed: dict[str, str] = {}
        in_order = sorted(items, key=lambda pair: pair[0].path)
        for name, members in groupby(in_order, key=lambda pair: pair[0].path.split("/")[2]):
            with locked(sets.history_folder(self._root, name)):
                for item, reason in members:
                    number = sets.parse_version(item.path.rpartition("/")[2])
                    if (held := _why_held(self._root, name, number)) is not None:
                        failed[item.path] = held
                    elif number in sets.set_versions(self._root, name):
                        self._remove(sets.read_metadata(self._root, name, number), reason)
                removed.remove_rests(sets.history_folder(self._root, name))
        return failed

    def _remove(self, item: sets.TrainingMetadata, reason: str) -> None:
        now = datetime.fromtimestamp(self._clock.wall_ns() / 1e9, UTC).isoformat()
        facts = removed.RemovedVersion(
            format=removed.FORMAT, dataset_name=item.dataset_name, version=item.version,
            silver_version=item.silver_version, created_at=item.created_at, run_id=item.run_id, path=item.data.path,
            rows=item.data.rows, bytes=item.data.bytes, sha256=item.data.sha256, removed_at=now, reason=reason,
        )  # fmt: skip
        removed.write_removed(self._folder(item), facts)

    def _versions(self) -> list[sets.TrainingMetadata]:
        return [item for item in sets.iter_versions(self._root) if self._only in ("", item.dataset_name)]

    def _folder(self, item: sets.TrainingMetadata) -> Place:
        return self._root / _path(item)


def finish_removals(root: Place) -> None:
    """Take away what a killed retention or promotion left of versions of training sets.

    Raises:
        DiskError: stop; the next call goes on.
    """
    for folder in sorted_places((root / sets.HISTORY).glob("[!.]*")):
        if folder.is_dir() and removed.has_rests(folder):
            with locked(folder):
                removed.remove_rests(folder)


def is_training_kind(kind: str) -> bool:
    """Whether a kind names one training set: `training_sets/NAME`."""
    first, _, name = kind.partition("/")
    return first == TRAINING_SETS and sets.is_name(name)


def _path(item: sets.TrainingMetadata) -> str:
    return f"{sets.HISTORY}/{item.dataset_name}/{sets.version_label(item.version)}"


def _why_held(root: Place, name: str, number: int) -> str | None:
    try:
        current = sets.read_metadata(root, name).version
    except NoDataError:
        return f"{name} has no current version: a promotion may be under way; promote or roll back first"
    return f"the current version of {name}" if current == number else None
