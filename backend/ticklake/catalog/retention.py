"""Deletes what the policies allow, dry run first, with a reason for every file.

    bronze, gold, quarantine   what the lake committed, or any folder below; entered in the books before it goes
    silver                     feature versions, each as a whole
    training_sets              their versions, each as a whole; never the current one
    artifacts, runs            saved files, and records of runs that ended
    cache, logs, temp          what may be had again, and what killed writers left behind

Shelves of other rooms may be added. Ledger, datasets, rules and the audit log are never deleted: they are the proof.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import UsageError
from ticklake.catalog.lineage_gone import REPORTS
from ticklake.catalog.retention_references import find_references
from ticklake.catalog.retention_rules import Decided, RetentionPolicy, decide
from ticklake.catalog.retention_shelves import FOLDERS, TEMP_FOLDERS, FolderShelf, RunShelf, Shelf
from ticklake.catalog.retention_tables import TIERS, TableShelf, finish_retirements, is_lake_folder
from ticklake.catalog.retention_training import TRAINING_SETS, TrainingShelf, finish_removals, is_training_kind
from ticklake.catalog.retention_versions import FeatureShelf
from ticklake.catalog.run_record import RunRecord
from ticklake.catalog.runs import RunRegistry
from ticklake.files.atomic import write_new
from ticklake.files.documents import encode_document
from ticklake.files.errors import AlreadyStoredError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import place_of

KINDS: Final = (*TIERS, "silver", TRAINING_SETS, "artifacts", "runs", "cache", "logs", "temp")
"""Every kind that this room knows; a folder below a tier is a kind too."""


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

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        state_dir: str | os.PathLike[str] | None = None,
        shelves: Iterable[Shelf] = (),
        clock: Clock | None = None,
    ) -> None:
        """Use a data root.

        Args:
            root: the data root.
            state_dir: the state folder of the writer, on this machine; `{root}/_state` when None and there is one. It
                tells which commits are over.
            shelves: further kinds.
            clock: says what is old.
        """
        self.root = place_of(root)
        own = self.root / "_state"
        has_own = not isinstance(own, ObjectPath) and own.is_dir()
        self._state_dir = Path(state_dir) if state_dir is not None else own if has_own else None
        self._clock = clock or SystemClock()
        self._more = {shelf.kind: shelf for shelf in shelves}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that a policy can name; a folder below bronze, gold or quarantine is one too."""
        return (*KINDS, *self._more)

    def purge(self, policies: Iterable[RetentionPolicy], *, dry_run: bool = True) -> RetentionReport:
        """Decide about every file of the policies' kinds, and delete when told so.

        A file that changed since it was looked at stays. What was deleted is written down in `catalog/retention`.

        Args:
            policies: one per kind.
            dry_run: only say what would go.

        Raises:
            UsageError: no policy, an unknown kind, or two policies for one file.
            CorruptError: the ledger, or something that may reference files, cannot be read; nothing is deleted.
            DiskError: stop; what was decided about lake files is finished by the next run.
        """
        wanted = self._checked(policies)
        now_ns = self._clock.wall_ns()
        runs = RunRegistry(self.root, clock=self._clock).find_runs()
        references = find_references(self.root, runs)
        failed = {} if dry_run else finish_retirements(self.root)
        if not dry_run:
            finish_removals(self.root)
        shelves = [self._shelf(policy.kind, runs) for policy in wanted]
        decided = {
            shelf.kind: decide(
                shelf.candidates(), policy, now_ns=now_ns, held=shelf.held(),
                references={} if shelf.kind == "temp" else references,  # nobody reads them, wherever they lie
            )
            for shelf, policy in zip(shelves, wanted, strict=True)
        }  # fmt: skip
        for shelf in shelves if not dry_run else ():
            gone = [(item.candidate, item.verdict.value) for item in decided[shelf.kind] if item.deletes]
            failed.update(shelf.delete(gone))
        made = datetime.fromtimestamp(now_ns / 1e9, UTC)
        report = RetentionReport(dry_run, made.isoformat(), decided, failed)
        if not dry_run and (report.deleted or failed):
            self._keep(report, f"{made:%Y%m%dT%H%M%S}-{now_ns % 1_000_000_000:09d}")
        return report

    def _keep(self, report: RetentionReport, name: str) -> None:
        """Write the report down; two runs of one instant have two files."""
        content = encode_document(report.to_dict())
        for number in count():
            try:
                write_new(self.root / REPORTS / (f"{name}-{number}.json" if number else f"{name}.json"), content)
            except AlreadyStoredError:
                continue
            return

    def _checked(self, policies: Iterable[RetentionPolicy]) -> list[RetentionPolicy]:
        wanted = list(policies)
        kinds = [policy.kind for policy in wanted]
        known = [kind in self.kinds or is_lake_folder(kind) or is_training_kind(kind) for kind in kinds]
        unknown = sorted(kind for kind, is_known in zip(kinds, known, strict=True) if not is_known)
        doubled = [kind for kind in kinds if sum(f"{kind}/".startswith(f"{other}/") for other in kinds) > 1]
        if not wanted or unknown or doubled:
            what = (
                f"unknown kind {', '.join(unknown)}" if unknown
                else f"two policies for {', '.join(doubled)}" if doubled else "no policy"
            )  # fmt: skip
            raise UsageError(
                f"retention: {what}; give one policy for each of {', '.join(self.kinds)} that should be looked at, or "
                "for folders of the lake such as bronze/futures/trades, or one training set: training_sets/NAME"
            )
        return wanted

    def _shelf(self, kind: str, runs: Sequence[RunRecord]) -> Shelf:
        if kind in self._more:
            return self._more[kind]
        if kind == "runs":
            return RunShelf(self.root, runs)
        if kind == "silver":
            return FeatureShelf(self.root, clock=self._clock)
        if kind == TRAINING_SETS or is_training_kind(kind):
            return TrainingShelf(self.root, kind, clock=self._clock)
        if kind in FOLDERS or kind == "temp":
            return FolderShelf(self.root, kind, FOLDERS.get(kind, TEMP_FOLDERS))
        return TableShelf(self.root, kind, state_dir=self._state_dir, clock=self._clock)
