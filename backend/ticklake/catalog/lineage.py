"""Where a dataset, run, artifact or file comes from: through runs and their inputs down to the stream's sequences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from typing import Final

from ticklake.base.errors import UsageError
from ticklake.catalog.books import read_books
from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.lineage_gone import Gone
from ticklake.catalog.lineage_sets import (
    Use,
    files_with_sequence,
    find_removed,
    find_set,
    find_uses,
    find_version,
    removed_steps,
    set_steps,
    version_steps,
)
from ticklake.catalog.lineage_step import LineageStep as LineageStep
from ticklake.catalog.lineage_step import covers, places_of, stream_steps
from ticklake.catalog.run_record import RunRecord
from ticklake.catalog.runs import RunRegistry
from ticklake.files.errors import NotStoredError
from ticklake.files.place import name_in, place_in, place_of
from ticklake.lake.ledger import LedgerEntry

_DEPTH_MAX: Final = 50  # deeper than any real chain; a chain that feeds itself ends at `seen` before


class Lineage:
    """Traces what is recorded in the catalog of one data root."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Use a data root. What is read once is kept: make a new one to see later records."""
        self.root = place_of(root)
        self._datasets = DataRegistry.of_lake(self.root)
        self._gone = Gone(self.root)

    def trace(self, name: str, *, files: bool = False) -> list[LineageStep]:
        """The steps back from a dataset, a run id, or the path of a file below the root; sources follow what they made.

        What retention removed is named as `retired`, with time and reason; what is lost is `missing`.

        Args:
            name: also a training set (`x`, its version `x@3`) or a feature version (`v1`).
            files: for those, each bronze file for itself instead of one line per table and date.

        Raises:
            UsageError: the name is empty, or that of the lake itself.
            NotStoredError: nothing is known under that name.
        """
        steps = list(self._trace_made(name, 0, files=files)) or list(self._trace(name, 0, set()))
        if not steps:
            told = "" if self._is_below(self._path(name)) else f": it lies outside of {self.root}, and no run knows it"
            raise NotStoredError(
                f"nothing is known about {name!r}{told}; see `ticklake registry ls` and `ticklake runs ls`"
            )
        return steps

    def used_by(self, name: str) -> list[str]:
        """Ids of the runs that read the dataset or file, newest first."""
        path = self._path(name)
        return [run.run_id for run in self._runs if any(covers(item.path, path) for item in run.inputs)]

    def uses_of_file(self, path: str) -> list[Use]:
        """The feature versions and training sets that were made from a bronze or silver file, or any below a folder.

        A silver file stands for what lay there when it was promoted, also when it was built again since.

        Raises:
            UsageError: the path is empty, that of the lake itself, or leads out of it.
        """
        found = self._path(path)
        if not self._is_below(found):
            raise UsageError(f"{path}: lies outside of {self.root}; name a file or folder below it, see `ticklake ls`")
        return find_uses(self.root, [found])

    def uses_of_sequence(self, sequence: int, stream: str | None = None) -> list[Use]:
        """The feature versions and training sets that read a bronze file with rows of this stream sequence.

        Raises:
            NoDataError: no committed segment covers the sequence.
        """
        return find_uses(self.root, files_with_sequence(self.root, self._ledger, sequence, stream))

    @cached_property
    def _runs(self) -> list[RunRecord]:
        return RunRegistry(self.root).find_runs()

    @cached_property
    def _ledger(self) -> list[LedgerEntry]:
        return read_books(self.root)

    @cached_property
    def _places(self) -> dict[str, str]:
        return self._datasets.places()

    def _trace_made(self, name: str, depth: int, *, files: bool) -> Iterator[LineageStep]:
        """A training set or a feature version, by its own documents; nothing when it is none of them."""
        if any(run.run_id == name for run in self._runs):
            return
        path = name if "@" in name else self._path(name)
        removed = find_removed(self.root, path)
        if removed is not None:
            yield from removed_steps(removed, depth)
            yield from self._trace_head(removed.run_id, depth + 1)
            return
        found = find_set(self.root, path)
        if found is not None:
            yield from set_steps(self.root, found, places_of(self._ledger), self._gone, depth, files=files)
            yield from self._trace_head(found.run_id, depth + 1)
            return
        version = find_version(self.root, path)
        if version is not None:
            yield from version_steps(self.root, *version, places_of(self._ledger), self._gone, depth, files=files)
            for run in self._runs:
                if f"silver/features/{version[0]}" in run.datasets:
                    yield from self._trace_head(run.run_id, depth + 1)

    def _trace_head(self, run_id: str, depth: int) -> Iterator[LineageStep]:
        """A run without its inputs; nothing when retention removed it."""
        yield from (_run_step(run, depth) for run in self._runs if run.run_id == run_id)

    def _trace(self, name: str, depth: int, seen: set[str]) -> Iterator[LineageStep]:
        if name in seen or depth > _DEPTH_MAX:
            return
        seen.add(name)
        run = next((run for run in self._runs if run.run_id == name), None)
        if run is not None:
            yield from self._trace_run(run, depth, seen)
            return
        path = self._path(name)
        if name in self._places:
            entry = self._datasets.get_dataset_entry(name)
            yield LineageStep(depth, "dataset", name, f"{entry.file_path}, {entry.stats.row_count} rows")
        elif self._is_known_path(path):
            yield LineageStep(depth, "file", path, self._gone.told(path))
        makers = [run for run in self._runs if name in run.datasets or any(ref.path == path for ref in run.artifacts)]
        for maker in makers:
            yield from self._trace_run(maker, depth + 1, seen)
        yield from self._trace_stream(path, depth + 1)

    def _trace_run(self, run: RunRecord, depth: int, seen: set[str]) -> Iterator[LineageStep]:
        seen.add(run.run_id)
        yield _run_step(run, depth)
        for item in run.inputs:
            known = next((name for name, path in self._places.items() if path == item.path), None)
            below = list(self._trace(known or item.path, depth + 1, seen))
            yield from below or [LineageStep(depth + 1, "file", item.path, f"sha256 {item.sha256[:12]}")]

    def _trace_stream(self, path: str, depth: int) -> Iterator[LineageStep]:
        """The sequences whose rows are in a lake file, or in the files below a folder."""
        places = places_of(self._ledger)
        yield from stream_steps([place for place in places if covers(path, place)], places, depth)

    def _path(self, name: str) -> str:
        if name in self._places:
            return self._places[name]
        path = name_in(self.root, name) if name else ""
        if path in ("", "."):
            raise UsageError(
                f"{name!r} names nothing in {self.root}; give a dataset, a training set, a feature version, a run id, "
                "or the path of a file below it"
            )
        return path

    def _is_below(self, path: str) -> bool:
        """Whether a path, as `name_in` gives it, lies in the lake."""
        return place_in(self.root, path).is_relative_to(self.root)

    @staticmethod
    def _paths_of(run: RunRecord) -> set[str]:
        return {ref.path for ref in run.artifacts} | {item.path for item in run.inputs}

    def _is_known_path(self, path: str) -> bool:
        recorded = any(path in self._paths_of(run) for run in self._runs)
        committed = any(file.path == path for entry in self._ledger for file in entry.files)
        return recorded or committed or (self._is_below(path) and place_in(self.root, path).exists())


def _run_step(run: RunRecord, depth: int) -> LineageStep:
    code = "no commit" if run.commit is None else run.commit[:12] + (" with changes" if run.dirty else "")
    rules = f", rules {run.setup_id} {run.rule_version}" if run.setup_id else ""
    return LineageStep(depth, "run", run.run_id, f"{run.kind}, {run.status.value}, {code}{rules}")
