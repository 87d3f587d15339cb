"""What retention looks at, kind by kind: which files there are, which of them may still be in use, and how they go.

A shelf decides nothing. Kinds of the catalog's own files are here, lake tables in `retention_tables`, feature versions
in `retention_versions`, training sets in `retention_training`, records of a trading operation in `stores.retention`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

from ticklake.base.errors import DiskError
from ticklake.catalog.artifacts import FOLDER as ARTIFACTS
from ticklake.catalog.retention_references import run_path
from ticklake.catalog.retention_rules import Candidate
from ticklake.catalog.run_record import RunRecord, RunStatus
from ticklake.files.atomic import TEMP_PREFIX
from ticklake.files.place import Place
from ticklake.files.trees import look_at, remove_found, walk_files

FOLDERS: Final = {"artifacts": (ARTIFACTS,), "cache": ("cache", "records/cache"), "logs": ("logs",)}
TEMP_FOLDERS: Final = ("catalog", "records", "cache", "gold/training", "silver/features")


class Shelf(Protocol):
    """The files of one kind below a data root."""

    @property
    def kind(self) -> str:
        """The word that a policy names it by."""
        ...

    def candidates(self) -> list[Candidate]:
        """Every file of the kind."""
        ...

    def held(self) -> Mapping[str, str]:
        """Place -> why the file must not go whatever the limits say: it may still be in use."""
        ...

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """Delete candidates, each with the reason why; gives path -> why it is still there."""
        ...


class FolderShelf:
    """Plain files below some folders; their age is that of their last change. A file that changes meanwhile stays."""

    def __init__(self, root: Place, kind: str, folders: Sequence[str]) -> None:
        self.kind = kind
        self._root = root
        self._folders = folders

    def candidates(self) -> list[Candidate]:
        """Regular files that are not hidden; of `temp` those that killed writers left behind."""
        files = (file for folder in self._folders for file in walk_files(self._root, folder))
        return [Candidate(file.path, file.bytes, file.changed_ns) for file in files if self._is_one(file.name)]

    def held(self) -> Mapping[str, str]:
        """None: what is being written has a temp name."""
        return {}

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """See `Shelf.delete`."""
        return remove_files(self._root, [item for item, _ in items], is_dated_by_change=True)

    def _is_one(self, name: str) -> bool:
        return name.startswith(TEMP_PREFIX) if self.kind == "temp" else not name.startswith(".")


class RunShelf:
    """The records of runs."""

    kind = "runs"

    def __init__(self, root: Place, runs: Sequence[RunRecord]) -> None:
        self._root = root
        self._runs = runs

    def candidates(self) -> list[Candidate]:
        """Records of runs that ended; what still runs is no candidate. The age counts from the end of the run."""
        found = []
        for run in self._runs:
            path = run_path(run.run_id)
            if run.status is not RunStatus.RUNNING and (self._root / path).exists():
                ended = datetime.fromisoformat(run.ended_at or run.started_at)
                found.append(Candidate(path, (self._root / path).stat().st_size, int(ended.timestamp() * 1e9)))
        return found

    def held(self) -> Mapping[str, str]:
        """None: what still runs is no candidate."""
        return {}

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """See `Shelf.delete`."""
        return remove_files(self._root, [item for item, _ in items], is_dated_by_change=False)


def remove_files(root: Place, items: Sequence[Candidate], *, is_dated_by_change: bool) -> dict[str, str]:
    """Remove files durably, unless they changed since they were looked at; gives path -> why it is still there."""
    failed = {}
    for item in items:
        try:
            now = look_at(root, item.path)
            if now.bytes == item.bytes and (not is_dated_by_change or now.changed_ns == item.time_ns):
                remove_found(root, item.path)
            else:
                failed[item.path] = "changed since it was looked at"
        except FileNotFoundError:
            continue
        except DiskError as error:
            failed[item.path] = str(error)
    return failed
