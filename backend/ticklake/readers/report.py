"""What a check of the lake found: books per stream, and problems, each with its place and the next step. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that does not hold.

    Attributes:
        code: short and stable, for programs: `missing_file`, `wrong_checksum`, `sequence_gap`, ...
        path: the file, folder or stream it is about; relative to the data root when it lies there.
        what: what is wrong.
        next_step: what to do about it.
    """

    code: str
    path: str
    what: str
    next_step: str

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.code}: {self.path}: {self.what}; {self.next_step}"


@dataclass(frozen=True, slots=True)
class StreamBook:
    """What became of every message of one stream. Counts are messages, except for the two that say rows.

    Attributes:
        stream: name of the stream.
        received: every message we took, duplicates included.
        stored: messages with at least one row in a table.
        quarantined: messages without one.
        duplicates: messages that were dropped because they were stored already.
        waiting: messages in the log that are not in files yet; None when no state folder was looked at.
        missing: sequences the server no longer had when we asked for them.
        segments: committed log segments.
        stored_rows: rows in tables.
        quarantined_rows: rows in quarantine.
        retired_rows: rows, of both, that left the lake on purpose.
        retired_files: the files they were in.
    """

    stream: str
    received: int
    stored: int
    quarantined: int
    duplicates: int
    waiting: int | None
    missing: int
    segments: int
    stored_rows: int
    quarantined_rows: int
    retired_rows: int = 0
    retired_files: int = 0

    @property
    def is_balanced(self) -> bool:
        """Whether `received = stored + quarantined + duplicates + waiting`."""
        return self.received == self.stored + self.quarantined + self.duplicates + (self.waiting or 0)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """The result of a check.

    Attributes:
        books: per stream, by name.
        problems: everything that does not hold, sorted; empty is what you want.
        files: data files that were checked.
        bytes: of these files.
        rows: in these files, as the ledger says (and as counted, when `is_deep`).
        is_deep: whether every page was decoded too.
        pending: files of a commit that was under way during the check; they are whole, but not in the ledger yet.
        leaving: files that the retention decided to remove and did not remove yet; the next `retention run` goes on.
    """

    books: tuple[StreamBook, ...]
    problems: tuple[Problem, ...]
    files: int
    bytes: int
    rows: int
    is_deep: bool
    pending: tuple[str, ...] = field(default=())
    leaving: tuple[str, ...] = field(default=())

    @property
    def is_ok(self) -> bool:
        """Whether nothing is off."""
        return not self.problems and all(book.is_balanced for book in self.books)

    def to_dict(self) -> Mapping[str, Any]:
        """The report as plain values, for JSON."""
        return {"ok": self.is_ok, **asdict(self)}
