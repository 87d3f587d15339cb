"""Do the ledger entries of a stream follow each other without gap or overlap? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from ticklake.lake.layout import ledger_folder, ledger_name
from ticklake.lake.ledger import LedgerEntry
from ticklake.readers.report import Problem

_RESTORE = "restore the lake from a copy, or take the messages again from the stream with a new state folder"
_TWICE = "the same messages may be stored twice; " + _RESTORE


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
    seen, taken = seen_of(entry), entry.received - entry.duplicates
    if seen and sum(last - first + 1 for first, last in seen) != taken:
        yield off(f"its ranges of sequences do not add up to the {taken} messages that were taken")
    if seen and (seen[0][0], seen[-1][1]) != (entry.first_seq, entry.last_seq):
        yield off(f"its ranges of sequences are not from {entry.first_seq} to {entry.last_seq}")
    paths = [file.path for file in entry.files]
    if len(paths) != len(set(paths)):
        yield off("a file is listed twice")


def check_lives(entries: Iterable[LedgerEntry]) -> Iterator[Problem]:
    """Check the entries against each other: in one life of a stream no sequence is lost between them or taken twice.

    Entries of a stream that is read by explicit acks name their sequences, in any order; all others follow each other.
    """
    for own in _lives(entries):
        yield from _check_chain([entry for entry in own if not seen_of(entry)])
        yield from _check_ranges([entry for entry in own if seen_of(entry)])


def created_ns(entry: LedgerEntry) -> int:
    """When the server made the stream whose life the entry belongs to, UTC ns; 0: not known."""
    return int(entry.reached["incarnation"][1]) if entry.reached else 0


def seen_of(entry: LedgerEntry) -> list[tuple[int, int]]:
    """(first, last) of the sequences that the entry holds, when its stream is read by explicit acks; else nothing."""
    return [(first, last) for first, last, _ in entry.reached["seen"]] if entry.reached else []


def _lives(entries: Iterable[LedgerEntry]) -> Iterable[list[LedgerEntry]]:
    """The entries with sequences, by life of a stream. A recovered writer goes on in a life that another one began."""
    entries = [entry for entry in entries if entry.first_seq is not None and entry.last_seq is not None]
    created = {(entry.writer, entry.incarnation): at_ns for entry in entries if (at_ns := created_ns(entry))}
    lives: dict[tuple[str, int, int | str], list[LedgerEntry]] = {}
    for entry in entries:
        life = created.get((entry.writer, entry.incarnation), entry.writer)  # older programs did not book it
        lives.setdefault((entry.stream, entry.incarnation, life), []).append(entry)
    return lives.values()


def _check_chain(entries: Sequence[LedgerEntry]) -> Iterator[Problem]:
    """Segment numbers may have gaps: a segment without messages leaves no entry. Sequences may not."""
    before: LedgerEntry | None = None
    for entry in sorted(entries, key=lambda entry: (entry.first_seq or 0, entry.last_seq or 0)):
        yield from _check_span(entry, before)
        if before is None or _last(entry) > _last(before):
            before = entry


def _check_span(entry: LedgerEntry, before: LedgerEntry | None) -> Iterator[Problem]:
    """Every sequence above the one reached before is stored here, known to be missing, or was for others."""
    first, last = _first(entry), _last(entry)
    begin = first if entry.skipped is None else min(first, entry.skipped.after + 1)
    if before is not None:
        if first <= _last(before):
            what = f"sequences from {first} on, but {_path(before)} already reached {_last(before)}"
            yield Problem("sequence_overlap", _path(entry), what, _TWICE)
            return
        begin = _last(before) + 1
    taken = entry.received - entry.duplicates
    missing = sum(end - start + 1 for start, end in entry.missing if begin <= start and end <= last)
    skipped = entry.skipped.sequences if entry.skipped is not None else 0
    span, known = last - begin + 1, taken + missing + skipped
    if span != known:
        passed = f" and {skipped} for others" if skipped else ""
        what = f"sequences {begin} to {last} are {span}, but {taken} were taken and {missing} known missing{passed}"
        code = "sequence_gap" if span > known else "sequence_overlap"
        yield Problem(code, _path(entry), what, _RESTORE)


def _check_ranges(entries: Sequence[LedgerEntry]) -> Iterator[Problem]:
    """No sequence is in two entries. Which ones should be there only the log knows."""
    held = sorted((first, last, _path(entry)) for entry in entries for first, last in seen_of(entry))
    for (_, reached, other), (first, _, path) in pairwise(held):
        if first <= reached:
            yield Problem("sequence_overlap", path, f"sequence {first}, but {other} has it too", _TWICE)


def _first(entry: LedgerEntry) -> int:
    assert entry.first_seq is not None
    return entry.first_seq


def _last(entry: LedgerEntry) -> int:
    assert entry.last_seq is not None
    return entry.last_seq


def _path(entry: LedgerEntry) -> str:
    return f"{ledger_folder(entry.writer)}/{ledger_name(entry.segment)}"


def _rows_by_table(entry: LedgerEntry) -> tuple[dict[str, int], dict[str, int]]:
    in_tables: dict[str, int] = {}
    in_quarantine: dict[str, int] = {}
    for file in entry.files:
        rows = in_quarantine if file.path.startswith("quarantine/") else in_tables
        rows[file.table] = rows.get(file.table, 0) + file.rows
    return in_tables, in_quarantine
