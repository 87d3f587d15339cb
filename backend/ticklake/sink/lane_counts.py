"""What went through a lane: since start, and with one commit."""

from __future__ import annotations

from dataclasses import dataclass, field

from ticklake.lake.ledger import LedgerEntry


@dataclass(slots=True)
class LaneCounts:
    """In messages, rows where it says so.

    Attributes:
        received: taken into the log, or dropped as duplicates.
        stored: with rows in committed files.
        quarantined: without a good row, in committed quarantine files.
        duplicates: dropped because they were durable already.
        missing: sequences the stream no longer had.
        table_files: files by table.
        rows: rows by table.
        quarantined_rows: rejected rows by table.
        last_commit_ns: time of the last commit, UTC ns; 0 before the first.
        lag_s: age of the oldest message of the last commit, in seconds.
    """

    received: int = 0
    stored: int = 0
    quarantined: int = 0
    duplicates: int = 0
    missing: int = 0
    table_files: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    quarantined_rows: dict[str, int] = field(default_factory=dict)
    last_commit_ns: int = 0
    lag_s: float = 0.0

    def add(self, entry: LedgerEntry, *, now_ns: int, lag_s: float) -> None:
        """A segment was committed."""
        self.stored += entry.stored
        self.quarantined += entry.quarantined
        self.last_commit_ns = now_ns
        self.lag_s = lag_s
        for table, rows in entry.rows.items():
            self.rows[table] = self.rows.get(table, 0) + rows
        for table, rows in entry.quarantined_rows.items():
            self.quarantined_rows[table] = self.quarantined_rows.get(table, 0) + rows
        for file in entry.files:
            self.table_files[file.table] = self.table_files.get(file.table, 0) + 1


def commit_facts(entry: LedgerEntry) -> dict[str, object]:
    """What the log says about a committed segment."""
    return {
        "segment": entry.segment,
        "incarnation": entry.incarnation,
        "first_sequence": entry.first_seq,
        "last_sequence": entry.last_seq,
        "messages": entry.received,
        "duplicates": entry.duplicates,
        "rows": entry.rows,
        "quarantined_rows": entry.quarantined_rows,
        "reasons": entry.reasons,
        "files": len(entry.files),
    }
