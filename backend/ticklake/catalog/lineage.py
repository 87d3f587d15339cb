"""Where a dataset, run, artifact or file comes from: through runs and their inputs down to the stream's sequences."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.run_record import RunRecord
from ticklake.catalog.runs import RunRegistry
from ticklake.files.errors import NotStoredError
from ticklake.files.local import LocalFiles
from ticklake.lake.ledger import LedgerEntry, read_ledger

_DEPTH_MAX: Final = 50  # deeper than any real chain; a chain that feeds itself ends at `seen` before


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One step back from what was asked.

    Attributes:
        depth: 0 is what was asked; its sources have 1, theirs 2.
        kind: `dataset`, `run`, `artifact`, `file`, `stream`.
        name: dataset name, run id, path, or `stream:writer`.
        detail: what is known: status and commit of a run, hash of a file, sequences of a stream.
    """

    depth: int
    kind: str
    name: str
    detail: str


class Lineage:
    """Traces what is recorded in the catalog of one data root."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Use a data root. What is read once is kept: make a new one to see later records."""
        self.root = Path(os.path.realpath(root))
        self._datasets = DataRegistry.of_lake(self.root)

    def trace(self, name: str) -> list[LineageStep]:
        """The steps back from a dataset, a run id, or the path of a file below the root; sources follow what they made.

        Raises:
            NotStoredError: nothing is known under that name.
        """
        steps = list(self._trace(name, 0, set()))
        if not steps:
            raise NotStoredError(f"nothing is known about {name!r}; see `ticklake registry ls` and `ticklake runs ls`")
        return steps

    def used_by(self, name: str) -> list[str]:
        """Ids of the runs that read the dataset or file, newest first."""
        path = self._path(name)
        return [run.run_id for run in self._runs if any(_covers(item.path, path) for item in run.inputs)]

    @cached_property
    def _runs(self) -> list[RunRecord]:
        return RunRegistry(self.root).find_runs()

    @cached_property
    def _ledger(self) -> list[LedgerEntry]:
        return read_ledger(LocalFiles(), str(self.root))

    @cached_property
    def _places(self) -> dict[str, str]:
        return self._datasets.places()

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
            yield LineageStep(depth, "file", path, "" if (self.root / path).exists() else "missing")
        makers = [run for run in self._runs if name in run.datasets or any(ref.path == path for ref in run.artifacts)]
        for maker in makers:
            yield from self._trace_run(maker, depth + 1, seen)
        yield from self._trace_stream(path, depth + 1)

    def _trace_run(self, run: RunRecord, depth: int, seen: set[str]) -> Iterator[LineageStep]:
        seen.add(run.run_id)
        code = "no commit" if run.commit is None else run.commit[:12] + (" with changes" if run.dirty else "")
        rules = f", rules {run.setup_id} {run.rule_version}" if run.setup_id else ""
        yield LineageStep(depth, "run", run.run_id, f"{run.kind}, {run.status.value}, {code}{rules}")
        for item in run.inputs:
            known = next((name for name, path in self._places.items() if path == item.path), None)
            below = list(self._trace(known or item.path, depth + 1, seen))
            yield from below or [LineageStep(depth + 1, "file", item.path, f"sha256 {item.sha256[:12]}")]

    def _trace_stream(self, path: str, depth: int) -> Iterator[LineageStep]:
        """The sequences whose rows are in a lake file, or in the files below a folder."""
        spans: dict[tuple[str, str, int], list[Any]] = {}
        for entry in self._ledger:
            rows = sum(file.rows for file in entry.files if _covers(path, file.path))
            if rows:
                key = (entry.stream, entry.writer, entry.incarnation)
                first, last, total = spans.get(key, (entry.first_seq, entry.last_seq, 0))
                spans[key] = [
                    min(filter(None, (first, entry.first_seq)), default=None),
                    max(filter(None, (last, entry.last_seq)), default=None),
                    total + rows,
                ]
        for (stream, writer, life), (first, last, rows) in sorted(spans.items()):
            span = "without sequences" if first is None else f"sequences {first} to {last} of life {life}"
            yield LineageStep(depth, "stream", f"{stream}:{writer}", f"{span}, {rows} rows")

    def _path(self, name: str) -> str:
        if name in self._places:
            return self._places[name]
        place = Path(os.path.normpath(self.root / name))
        return str(place.relative_to(self.root)) if place.is_relative_to(self.root) else str(place)

    def _is_known_path(self, path: str) -> bool:
        recorded = any(path in {ref.path for ref in run.artifacts} for run in self._runs)
        return recorded or (self.root / path).exists()


def _covers(outer: str, path: str) -> bool:
    """Whether a path is the file itself or lies below the folder."""
    return path == outer or path.startswith(f"{outer}/")
