"""Deletes what the policies allow, dry run first, with a reason for every file.

Kinds: `artifacts`, `runs` (records of ended runs), `cache`, `logs`, `temp` (what killed writers left behind). What the
lake committed (bronze, gold, quarantine, silver), its ledger, datasets, rules, records and audit are not deleted
here: a committed file may only go together with a line in the ledger, or `ticklake verify` would rightly miss it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import DiskError, UsageError
from ticklake.catalog.artifacts import FOLDER as ARTIFACTS
from ticklake.catalog.datasets import DataRegistry
from ticklake.catalog.retention_rules import Candidate, Decided, RetentionPolicy, decide
from ticklake.catalog.run_record import RunRecord, RunStatus
from ticklake.catalog.runs import RunRegistry
from ticklake.files.atomic import TEMP_PREFIX, remove, safe_name, write_new
from ticklake.files.documents import encode_document

KINDS: Final = ("artifacts", "runs", "cache", "logs", "temp")
_FOLDERS: Final = {"artifacts": (ARTIFACTS,), "cache": ("cache", "records/cache"), "logs": ("logs",)}
_TEMP_FOLDERS: Final = ("catalog", "records", "cache")
_REPORTS: Final = "catalog/retention"


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What a run of the retention found and did.

    Attributes:
        dry_run: whether nothing was deleted.
        made_at: UTC, ISO text.
        decided: a verdict for every file, by kind.
        failed: path -> why it could not be deleted.
    """

    dry_run: bool
    made_at: str
    decided: Mapping[str, Sequence[Decided]]
    failed: Mapping[str, str]

    @property
    def freed_bytes(self) -> int:
        """Bytes that went, or would go."""
        return sum(item.candidate.bytes for item in self._gone())

    @property
    def deleted(self) -> list[str]:
        """Paths that went, or would go."""
        return [item.candidate.path for item in self._gone()]

    def rows(self) -> list[dict[str, Any]]:
        """One row per file: kind, path, bytes, verdict, detail, deletes."""
        return [
            {
                "kind": kind, "path": item.candidate.path, "bytes": item.candidate.bytes, "verdict": item.verdict.value,
                "deletes": item.deletes, "detail": self.failed.get(item.candidate.path, item.detail),
            }
            for kind, items in self.decided.items()
            for item in items
        ]  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """For a document."""
        summary = {"dry_run": self.dry_run, "made_at": self.made_at, "freed_bytes": self.freed_bytes}
        return {**summary, "failed": dict(self.failed), "items": self.rows()}

    def _gone(self) -> Iterator[Decided]:
        for items in self.decided.values():
            yield from (item for item in items if item.deletes and item.candidate.path not in self.failed)


class Retention:
    """Applies policies below a data root."""

    def __init__(self, root: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        """Use a data root."""
        self.root = Path(os.path.realpath(root))
        self._clock = clock or SystemClock()

    def purge(self, policies: Iterable[RetentionPolicy], *, dry_run: bool = True) -> RetentionReport:
        """Decide about every file of the policies' kinds, and delete when told so.

        A file that changed since it was looked at stays. What was deleted is written down in `catalog/retention`.

        Args:
            policies: one per kind.
            dry_run: only say what would go.

        Raises:
            UsageError: no policy, an unknown kind, or a kind twice.
            CorruptError: a run or dataset that may reference files cannot be read; nothing is deleted.
        """
        wanted = self._checked(policies)
        now_ns = self._clock.wall_ns()
        runs = RunRegistry(self.root, clock=self._clock).find_runs()
        references = self._references(runs)
        decided: dict[str, list[Decided]] = {}
        for policy in wanted:
            found = self._runs(runs) if policy.kind == "runs" else self._files(policy.kind)
            needed = _needed_runs(runs) if policy.kind == "runs" else references
            decided[policy.kind] = decide(found, policy, now_ns=now_ns, references=needed)
        failed = {} if dry_run else self._delete([item for items in decided.values() for item in items if item.deletes])
        made = datetime.fromtimestamp(now_ns / 1e9, UTC)
        report = RetentionReport(dry_run, made.isoformat(), decided, failed)
        if not dry_run and (report.deleted or failed):
            name = f"{made:%Y%m%dT%H%M%S}-{now_ns % 1_000_000_000:09d}.json"
            write_new(self.root / _REPORTS / name, encode_document(report.to_dict()))
        return report

    def _checked(self, policies: Iterable[RetentionPolicy]) -> list[RetentionPolicy]:
        wanted = list(policies)
        kinds = [policy.kind for policy in wanted]
        unknown = sorted(set(kinds) - set(KINDS))
        if not wanted or unknown or len(kinds) != len(set(kinds)):
            what = f"unknown kind {', '.join(unknown)}" if unknown else "no policy, or two for one kind"
            raise UsageError(
                f"retention: {what}; give one policy for each of {', '.join(KINDS)} that should be looked at"
            )
        return wanted

    def _references(self, runs: Sequence[RunRecord]) -> dict[str, str]:
        """Paths below the root that runs and datasets need -> who needs them."""
        places = DataRegistry.of_lake(self.root).places()
        found = {path: f"dataset {name}" for name, path in places.items()}
        for run in runs:
            found.update({item.path: f"input of run {run.run_id}" for item in run.inputs})
            found.update({ref.path: f"artifact of run {run.run_id}" for ref in run.artifacts})
        return found

    def _runs(self, runs: Sequence[RunRecord]) -> list[Candidate]:
        """Records of runs that ended; what still runs is no candidate."""
        found = []
        for run in runs:
            path = f"catalog/runs/{safe_name(run.run_id)}.json"
            if run.status is not RunStatus.RUNNING and (self.root / path).exists():
                ended = datetime.fromisoformat(run.ended_at or run.started_at)
                size = (self.root / path).stat().st_size
                found.append(Candidate(path, size, int(ended.timestamp() * 1e9)))
        return found

    def _files(self, kind: str) -> list[Candidate]:
        keep: Callable[[str], bool] = _is_temp if kind == "temp" else _is_data
        folders = _TEMP_FOLDERS if kind == "temp" else _FOLDERS[kind]
        found = []
        for folder in folders:
            for entry in _walk(str(self.root / folder)):
                if keep(entry.name):
                    stat = entry.stat(follow_symlinks=False)
                    path = os.path.relpath(entry.path, self.root)
                    found.append(Candidate(path, stat.st_size, stat.st_mtime_ns))
        return found

    def _delete(self, items: Sequence[Decided]) -> dict[str, str]:
        """Delete what is still as it was; gives path -> why not."""
        failed = {}
        for item in items:
            path = self.root / item.candidate.path
            try:
                stat = path.lstat()
                if not item.candidate.path.startswith("catalog/runs/") and stat.st_mtime_ns != item.candidate.time_ns:
                    failed[item.candidate.path] = "changed since it was looked at"
                    continue
                remove(path)
            except FileNotFoundError:
                continue
            except DiskError as error:
                failed[item.candidate.path] = str(error)
        return failed


def _needed_runs(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Records that others point to, or that say how something was made -> who needs them."""
    needed = {f"catalog/runs/{safe_name(run.parent)}.json": f"parent of run {run.run_id}" for run in runs if run.parent}
    for run in runs:
        if run.datasets:
            needed[f"catalog/runs/{safe_name(run.run_id)}.json"] = f"made dataset {run.datasets[0]}"
    return needed


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """Regular files below a folder; links are neither followed nor given."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path)
        elif entry.is_file(follow_symlinks=False):
            yield entry


def _is_temp(name: str) -> bool:
    return name.startswith(TEMP_PREFIX)


def _is_data(name: str) -> bool:
    return not name.startswith(".")
