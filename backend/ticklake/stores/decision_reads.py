"""Questions to a decision folder: the index says which documents, the documents say what."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from ticklake.base.errors import UsageError
from ticklake.files.errors import UnreadableError
from ticklake.files.side_by_side import run_for
from ticklake.stores.decision_files import DecisionFiles
from ticklake.stores.decision_filter import DecisionFilter
from ticklake.stores.decision_index import Check, DecisionIndex
from ticklake.stores.decision_record import DELETED, REVISION, Record, summarize

# A document may change between the question to the index and its reading. Ask again, at last with a look at every file:
# then the only changes left are those of writers that are faster than we read, and what we read is what they wrote.
_CHECKS: Final = (Check.FOLDERS, Check.FOLDERS, Check.EVERY_FILE)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DecisionReads:
    """The reading half of a `DecisionStore`."""

    files: DecisionFiles
    index: DecisionIndex

    def get(self, decision_id: str) -> Record | None:
        """The current revision; None when there is none. Never waits for a writer when the index knows the file.

        Raises:
            UnreadableError: its file is damaged.
        """
        found = self._read(decision_id)
        if found is None:
            self.index.refresh()
            found = self._read(decision_id)
        return found

    def find(self, wanted: DecisionFilter, *, limit: int | None) -> list[Record]:
        """Wanted decisions, newest first.

        Raises:
            UsageError: the limit is negative.
        """
        if limit is not None and limit < 0:
            raise UsageError(f"limit is {limit}; give 0 or more, or None for all")
        found: list[Record] = []
        for check in _CHECKS:
            self.index.refresh(check)
            names = self.index.select(wanted, limit=limit)
            read = run_for(self.files.folder)(partial(self._read_wanted, wanted), names)
            found = [record for record in read if record is not None]
            if len(found) == len(names):
                break
        return sorted(found, key=lambda record: summarize(record).decision_ns, reverse=True)

    def history(self, decision_id: str) -> list[Record]:
        """Every revision once, oldest first."""
        revisions = {(record[REVISION], DELETED in record): record for record in self.files.history(decision_id)}
        current = self.get(decision_id)
        if current is not None:
            revisions[(current[REVISION], False)] = current
        return [revisions[key] for key in sorted(revisions)]

    def _read(self, decision_id: str) -> Record | None:
        for name in self.index.names_of(decision_id)[:1]:
            try:
                record = self.files.read(name)
            except FileNotFoundError:
                return None
            if record["id"] == decision_id:
                return record
        return None

    def _read_wanted(self, wanted: DecisionFilter, name: str) -> Record | None:
        try:
            record = self.files.read(name)
        except FileNotFoundError:
            return None
        except UnreadableError as error:  # edited in place since it was indexed
            _log.warning("decisions.file_unreadable", path=error.path, reason=str(error))
            return None
        return record if wanted.accepts(summarize(record)) else None
