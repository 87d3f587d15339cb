"""Retention of the records: decisions, events, bars, fundamentals, series. The limits are those of `catalog.retention`.

State keeps its own number of versions. The audit log keeps everything: a line that is missing is what it must show.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.catalog.retention_rules import Candidate
from ticklake.catalog.retention_shelves import Shelf, remove_files
from ticklake.files.atomic import locked
from ticklake.files.place import Place, place_of
from ticklake.files.trees import walk_files
from ticklake.stores.decisions import DecisionStore
from ticklake.stores.lake_stores import DECISIONS, RECORDS, SERIES

_OPEN_NS: Final = 86_400_000_000_000  # what ended within a day may still be written to
_DAY: Final = re.compile(r"(\d{4}-\d\d-\d\d)(?:_.*\.json|\.jsonl)", re.ASCII)
_MONTH: Final = re.compile(r"(\d{4}-\d\d)\.parquet", re.ASCII)
_SNAPSHOT: Final = re.compile(r".*~(\d{4}-\d\d-\d\d)_\d{6}\.\d{6}~\w+\.json", re.ASCII)

End = Callable[[str], "datetime | None"]


class RecordShelf:
    """Files whose names say until when they reach; others count from their last change."""

    def __init__(self, root: Place, kind: str, folder: str, end: End, *, clock: Clock) -> None:
        """Look at a folder.

        Args:
            root: the data root.
            kind: the word for policies.
            folder: relative to the root.
            end: name of a file -> end of what it holds; None when it is no file of the kind.
            clock: says what may still be open.
        """
        self.kind = kind
        self._root = root
        self._folder = folder
        self._end = end
        self._clock = clock

    def candidates(self) -> list[Candidate]:
        """The files of the kind, dated by what they hold."""
        found = []
        for file in walk_files(self._root, self._folder):
            end = None if file.name.startswith(".") else self._end(file.name)
            if end is not None:
                found.append(Candidate(file.path, file.bytes, _ns(end)))
        return found

    def held(self) -> Mapping[str, str]:
        """Files that may still be written to."""
        open_ns = self._clock.wall_ns() - _OPEN_NS
        return {item.path: "may still be written to" for item in self.candidates() if item.time_ns > open_ns}

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """Remove files under the lock that their writers take, folder by folder."""
        failed: dict[str, str] = {}
        in_order = sorted((item for item, _ in items), key=lambda item: item.path)
        for folder, members in groupby(in_order, key=lambda item: item.path.rpartition("/")[0]):
            with locked(self._root / folder):
                failed.update(remove_files(self._root, list(members), is_dated_by_change=False))
        return failed


class SeriesShelf(RecordShelf):
    """Time series; their age counts from the last change."""

    def candidates(self) -> list[Candidate]:
        """Every file of the folder."""
        return [
            Candidate(file.path, file.bytes, file.changed_ns)
            for file in walk_files(self._root, self._folder)
            if not file.name.startswith(".")
        ]


class DecisionShelf(RecordShelf):
    """Decisions, by the day on which they were made; with one go its history and what followed from it."""

    def held(self) -> Mapping[str, str]:
        """None: the store's own lock is taken."""
        return {}

    def delete(self, items: Sequence[tuple[Candidate, str]]) -> dict[str, str]:
        """Let the store forget them, so that its index stays right."""
        if items:
            with DecisionStore({"storage_path": self._root / self._folder}, clock=self._clock) as store:
                store.forget_decisions([item.path.rpartition("/")[2] for item, _ in items])
        return {}


def record_shelves(root: str | os.PathLike[str], *, clock: Clock | None = None) -> list[Shelf]:
    """What `Retention(root, shelves=...)` needs to look at the records of a data root."""
    place, clock = place_of(root), clock or SystemClock()
    return [
        DecisionShelf(place, "decisions", DECISIONS, _end_of_day, clock=clock),
        RecordShelf(place, "events", f"{RECORDS}/events", _end_of_day, clock=clock),
        RecordShelf(place, "bars", f"{RECORDS}/prices", _end_of_month, clock=clock),
        RecordShelf(place, "fundamentals", f"{RECORDS}/fundamentals", _known, clock=clock),
        SeriesShelf(place, "series", SERIES, _end_of_day, clock=clock),
    ]


def _end_of_day(name: str) -> datetime | None:
    found = _DAY.fullmatch(name)
    return None if found is None else _day(found[1]) + timedelta(days=1)


def _end_of_month(name: str) -> datetime | None:
    found = _MONTH.fullmatch(name)
    return None if found is None else (_day(f"{found[1]}-01") + timedelta(days=31)).replace(day=1)


def _known(name: str) -> datetime | None:
    found = _SNAPSHOT.fullmatch(name)
    return None if found is None else _day(found[1]) + timedelta(days=1)


def _day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000_000
