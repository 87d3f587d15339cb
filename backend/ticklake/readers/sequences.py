"""Do the ledger entries of one writer follow each other without gap or overlap? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ticklake.lake.ledger import LedgerEntry
from ticklake.readers.report import Problem

_RESTORE = "restore the lake from a copy, or take the messages again from the stream with a new state folder"


def check_entry(entry: LedgerEntry, path: str) -> Iterator[Problem]:
    """What one entry says must agree with itself."""

    def off(what: str) -> Problem:
        return Problem("ledger_wrong", path, what, "restore the entry from a copy")

    if entry.received != entry.stored + entry.quarantined + entry.duplicates:
        sums = f"{entry.stored} stored + {entry.quarantined} quarantined + {entry.duplicates} duplicates"
        yield Problem("unbalanced", path, f"{entry.received} messages received, but {sums}", _RESTORE)
    if entry.writer.partition("-")[2] != entry.lane or entry.stream.lower() != entry.lane:
        yield off(f"writer {entry.writer}, lane {entry.lane} and stream {entry.stream} do not belong together")
    in_tables, in_quarantine = _rows_by_table(entry)
    if in_tables != dict(entry.rows):
        yield off(f"its files hold {in_tables} rows, its books say {dict(entry.rows)}")
    if in_quarantine != dict(entry.quarantined_rows):
        yield off(f"its quarantine files hold {in_quarantine} rows, its books say {dict(entry.quarantined_rows)}")
    if sum(entry.reasons.values()) != sum(entry.quarantined_rows.values()):
        yield off("the reasons do not add up to the quarantined rows")
    paths = [file.path for file in entry.files]
    if len(paths) != len(set(paths)):
        yield off("a file is listed twice")


def check_chain(entries: Sequence[LedgerEntry], *, folder: str) -> Iterator[Problem]:
    """Check the entries of one writer, oldest first, against each other.

    Segment numbers may have gaps: a segment without messages leaves no entry. Sequences may not.
    """
    reached: dict[int, tuple[int, int]] = {}
    for entry in entries:
        if entry.first_seq is None or entry.last_seq is None:
            continue
        path = f"{folder}/{entry.segment:012d}.json"
        yield from _check_span(entry, reached.get(entry.incarnation), path)
        reached[entry.incarnation] = (entry.last_seq, entry.segment)


def _check_span(entry: LedgerEntry, before: tuple[int, int] | None, path: str) -> Iterator[Problem]:
    """Every sequence above the one reached before is either stored here or known to be missing."""
    assert entry.first_seq is not None
    assert entry.last_seq is not None
    begin = entry.first_seq
    if before is not None:
        sequence, segment = before
        if entry.first_seq <= sequence:
            what = f"sequences from {entry.first_seq} on, but segment {segment} already reached {sequence}"
            yield Problem("sequence_overlap", path, what, "the same messages may be stored twice; " + _RESTORE)
            return
        begin = sequence + 1
    taken = entry.received - entry.duplicates
    missing = sum(last - first + 1 for first, last in entry.missing if begin <= first and last <= entry.last_seq)
    span = entry.last_seq - begin + 1
    if span != taken + missing:
        what = f"sequences {begin} to {entry.last_seq} are {span}, but {taken} were taken and {missing} known missing"
        code = "sequence_gap" if span > taken + missing else "sequence_overlap"
        yield Problem(code, path, what, _RESTORE)


def reached_by(entries: Iterable[LedgerEntry]) -> dict[int, int]:
    """The highest committed sequence of each incarnation."""
    reached: dict[int, int] = {}
    for entry in entries:
        if entry.last_seq is not None:
            reached[entry.incarnation] = max(entry.last_seq, reached.get(entry.incarnation, 0))
    return reached


def _rows_by_table(entry: LedgerEntry) -> tuple[dict[str, int], dict[str, int]]:
    in_tables: dict[str, int] = {}
    in_quarantine: dict[str, int] = {}
    for file in entry.files:
        rows = in_quarantine if file.path.startswith("quarantine/") else in_tables
        rows[file.table] = rows.get(file.table, 0) + file.rows
    return in_tables, in_quarantine
