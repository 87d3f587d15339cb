"""Changes of a decision folder: each is decided under the lock, made in the documents, then noted in the index."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ticklake.base.clock import Clock
from ticklake.base.errors import UsageError
from ticklake.base.moments import iso_text
from ticklake.files.documents import encode_document
from ticklake.files.errors import ConflictError, NotStoredError
from ticklake.stores.decision_files import DecisionFiles
from ticklake.stores.decision_filter import DecisionFilter
from ticklake.stores.decision_ids import require_decision_id
from ticklake.stores.decision_index import Check, DecisionIndex
from ticklake.stores.decision_links import LinkFiles, LinkKind, make_link
from ticklake.stores.decision_record import (
    DELETED,
    REVISION,
    SAVED_AT,
    Record,
    normalize_decision_record,
    same_decision,
    summarize,
)
from ticklake.stores.decision_rows import Shelf
from ticklake.stores.decision_trail import order_owner


@dataclass(frozen=True, slots=True)
class DecisionChanges:
    """The writing half of a `DecisionStore`.

    Attributes:
        files: the documents.
        links: the facts that follow from them.
        index: where they are.
        decisions: shelf of the documents.
        facts: shelf of the facts.
        decisions_max: keep so many, the newest by decision time; None for all.
        clock: stamps what is saved.
    """

    files: DecisionFiles
    links: LinkFiles
    index: DecisionIndex
    decisions: Shelf
    facts: Shelf
    decisions_max: int | None
    clock: Clock

    def put(self, decision: Any, *, expected_revision: int | None) -> Record:
        """Store a decision as its next revision. The same content again changes nothing.

        Raises:
            ConflictError: its revision is not the expected one (0: it must not exist).
        """
        # What is wrong is told before anyone waits.
        decision_id = str(normalize_decision_record(decision, now_ns=self.clock.wall_ns())["id"])
        with self.index.lock():
            name, previous = self._current(decision_id)
            self._check_revision(decision_id, previous, expected_revision)
            return self._store(decision, name, previous)

    def modify(self, decision_id: str, change: Callable[[Record], Mapping[str, Any] | None]) -> Record:
        """Read, change, store, with nobody in between.

        Raises:
            NotStoredError: there is no such decision.
            UsageError: the change gave it another id.
        """
        with self.index.lock():
            name, previous = self._current(decision_id)
            if previous is None:
                raise NotStoredError(f"no decision {decision_id!r} below {self.files.folder}; save it first")
            draft = normalize_decision_record(previous, now_ns=0)
            changed = change(draft)
            changed = draft if changed is None else changed
            if require_decision_id(changed) != decision_id:
                raise UsageError(
                    f"the change of decision {decision_id!r} gave it another id; save it as a new decision"
                )
            return self._store(changed, name, previous)

    def delete(self, decision_id: str, *, expected_revision: int | None) -> bool:
        """Remove a decision; its history stays and ends with a line that says so. Whether there was one."""
        with self.index.lock():
            _, previous = self._current(decision_id)
            self._check_revision(decision_id, previous, expected_revision)
            if previous is None:
                return False
            names = self.index.names_of(decision_id)
            marker = {
                "id": decision_id,
                "decision_id": decision_id,
                "timestamp": previous["timestamp"],
                REVISION: previous[REVISION] + 1,
                SAVED_AT: iso_text(self.clock.wall_ns()),
                DELETED: True,
            }
            with self.index.changing() as change:
                self.files.remember(previous)
                self.files.remove(names)
                self.files.remember(marker)
                for name in names:
                    change.drop(self.decisions, name)
            return True

    def forget_before(self, cutoff_ns: int) -> int:
        """Remove decisions made before that time, with history and facts. How many."""
        with self.index.lock(Check.EVERY_FILE):
            return self._forget(self.index.older_than(cutoff_ns))

    def forget(self, names: Iterable[str]) -> int:
        """Remove the decisions in these files, with history and facts. How many; files that are gone are no matter."""
        with self.index.lock(Check.EVERY_FILE):
            return self._forget([name for name in names if (self.files.folder / name).exists()])

    def wipe(self) -> int:
        """Remove everything. How many decisions there were."""
        with self.index.lock(), self.index.changing() as change:
            names = self.files.wipe()
            for name in names:
                change.drop(self.decisions, name)
            for name in self.links.wipe():
                change.drop(self.facts, name)
            return len(names)

    def link(self, kind: LinkKind, body: Any, *, decision_id: str = "", order_id: str | None = None) -> bool:
        """Record a fact; False when it is there already.

        Raises:
            NotStoredError: the decision or order it follows from is not there.
            AlreadyStoredError: another fact has its id.
        """
        with self.index.lock():
            owner = self._owner(decision_id, order_id)
            link = make_link(kind, body, decision_id=owner, order_id=order_id, now_ns=self.clock.wall_ns())
            encode_document(link.body)  # what cannot be stored is told before anything is touched
            with self.index.changing() as change:
                is_new = self.links.create(link)
                change.load(self.facts, link.name)
            return is_new

    def _owner(self, decision_id: str, order_id: str | None) -> str:
        if order_id is not None:
            owner = self.index.ask(lambda database: order_owner(database, order_id))
            if owner is None:
                raise NotStoredError(
                    f"no order {order_id!r} below {self.files.folder}; record the order before its fill"
                )
            return owner
        if not self.index.names_of(decision_id):
            raise NotStoredError(f"no decision {decision_id!r} below {self.files.folder}; save the decision first")
        return decision_id

    def _current(self, decision_id: str) -> tuple[str | None, Record | None]:
        names = self.index.names_of(decision_id)
        return (names[0], self.files.read(names[0])) if names else (None, None)

    def _check_revision(self, decision_id: str, current: Record | None, expected: int | None) -> None:
        revision = 0 if current is None else current[REVISION]
        if expected is not None and expected != revision:
            raise ConflictError(
                f"decision {decision_id!r} is at revision {revision}, not {expected}; read it again, then decide again"
            )

    def _store(self, decision: Any, name: str | None, previous: Record | None) -> Record:
        now_ns = self.clock.wall_ns()
        record = normalize_decision_record(decision, now_ns=now_ns)
        if previous is not None and _has_no_time(decision):
            record["timestamp"] = previous["timestamp"]
        if previous is not None and same_decision(record, previous):
            return previous
        decision_id = record["id"]
        revision = self.files.last_revision(decision_id) if previous is None else previous[REVISION]
        record.pop(DELETED, None)
        record |= {REVISION: revision + 1, SAVED_AT: iso_text(now_ns)}
        content = encode_document(record)
        is_new = name is None
        name = name or self.files.new_name(decision_id, decision_ns=summarize(record).decision_ns)
        with self.index.changing() as change:
            if previous is None:
                self.files.create(name, content)
            else:
                self.files.revise(name, content, previous=previous)
            change.load(self.decisions, name)
        if is_new:
            self._enforce_limit()
        return record

    def _enforce_limit(self) -> None:
        everything = DecisionFilter()
        if self.decisions_max is None:
            return
        surplus = self.index.count(everything) - self.decisions_max
        if surplus > 0:
            self._forget(self.index.select(everything, limit=surplus, oldest_first=True))

    def _forget(self, names: list[str]) -> int:
        if not names:
            return 0
        decision_ids = self.index.ids_of(names)
        link_names = self.index.link_names_of(decision_ids)
        with self.index.changing() as change:
            self.files.remove(names)
            self.files.forget_histories(decision_ids)
            self.links.remove(link_names)
            for name in names:
                change.drop(self.decisions, name)
            for name in link_names:
                change.drop(self.facts, name)
        return len(names)


def _has_no_time(decision: Any) -> bool:
    given = decision.get("timestamp") if isinstance(decision, Mapping) else getattr(decision, "timestamp", None)
    return given is None
