"""What left the lake on purpose, checked against the ledger that says what was there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ticklake.base.errors import CorruptError
from ticklake.files.bucket_files import files_of
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.side_by_side import run_for
from ticklake.lake.ledger import LedgerEntry, LedgerFile
from ticklake.lake.retired import RETIRED_FOLDER, RetiredFile, Retirement, read_retirements
from ticklake.readers.report import Problem


@dataclass(frozen=True, slots=True)
class Retired:
    """The decisions of the retention.

    Attributes:
        gone: paths of files that were told to go, and went.
        leaving: paths of files that were told to go and are still there, because a crash or a running retention is
            in between: whole, readable, and checked like any other.
        problems: what does not agree with ledger or disk.
    """

    gone: frozenset[str]
    leaving: tuple[str, ...]
    problems: tuple[Problem, ...]


def read_retired(root: Place, entries: Iterable[LedgerEntry]) -> Retired:
    """Read every decision and look whether its files are gone."""
    try:
        decisions = read_retirements(files_of(root), str(root))
    except CorruptError as error:
        problem = Problem("retirement_unreadable", RETIRED_FOLDER, str(error), "restore the document from a copy")
        return Retired(frozenset(), (), (problem,))
    problems = list(_check_decisions(decisions, {file.path: file for entry in entries for file in entry.files}))
    named = {file.path: decision.is_finished for decision in decisions for file in decision.files}
    seen = run_for(root)(lambda path: _is_there(root / path), named)
    there = {path for path, is_there in zip(named, seen, strict=True) if is_there}
    problems += [
        Problem("retired_file", path, "retired, yet on disk: queries read it", "move it out of the lake")
        for path in sorted(there)
        if named[path]
    ]
    leaving = sorted(path for path in there if not named[path])
    return Retired(frozenset(named.keys() - set(leaving)), tuple(leaving), tuple(problems))


def _is_there(place: Place) -> bool:
    """Whether anything has that name, a link to nowhere too."""
    return place.is_file() if isinstance(place, ObjectPath) else os.path.lexists(place)


def _check_decisions(decisions: Iterable[Retirement], known: Mapping[str, LedgerFile]) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for decision in decisions:
        path = f"{RETIRED_FOLDER}/{decision.number:012d}.json"
        for file in decision.files:
            if file.path in seen:
                what = f"retires {file.path}, which decision {seen[file.path]} retired before"
                yield Problem("retirement_wrong", path, what, "restore the document from a copy")
            elif not _agrees(file, known.get(file.path)):
                what = f"retires {file.path} with other facts than the ledger has"
                yield Problem("retirement_wrong", path, what, "restore the document, or the ledger, from a copy")
            seen[file.path] = decision.number


def _agrees(file: RetiredFile, entered: LedgerFile | None) -> bool:
    return entered == LedgerFile(file.path, file.table, file.rows, file.bytes, file.crc32c)
