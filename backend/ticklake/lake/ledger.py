"""The books: one small JSON document per committed segment, and how to read them back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ticklake.base.errors import CorruptError
from ticklake.files.protocol import Files
from ticklake.lake.layout import LEDGER_FOLDER
from ticklake.schema.messages import Skipped

FORMAT = "ticklake.ledger/1"


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """One published file.

    Attributes:
        path: relative to the data root.
        table: the table its rows belong to, or were meant for when the file is quarantine.
        crc32c: of the whole file, eight lower-case hex digits.
    """

    path: str
    table: str
    rows: int
    bytes: int
    crc32c: str


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="format", tag=FORMAT):
    """What became of the messages of one segment. `received = stored + quarantined + duplicates`.

    The document has these fields in this order, behind `format`; those with a default only when they say something.

    Attributes:
        writer: `{identity}-{lane}`.
        incarnation: life of the stream that the sequences belong to; 0 for core NATS.
        first_seq: lowest stream sequence in the segment; None for core NATS.
        last_seq: highest stream sequence in the segment; None for core NATS.
        received: messages, duplicates included.
        stored: messages with at least one good row.
        quarantined: messages without a good row.
        duplicates: messages that were dropped because they were stored already.
        missing: (first, last) sequences that the stream no longer had when we asked.
        rows: good rows per table.
        quarantined_rows: rejected rows per table.
        reasons: rejected rows per reason.
        committed_ns: wall clock of the commit, UTC ns.
        reached: what the lane knew behind this segment (life of the stream, position, sequences seen), in its own
            words: enough to make a lost state folder anew. None in entries of older programs.
        skipped: what a filtered consumer passed over between the entry before and `last_seq`; None when nothing.
    """

    writer: str
    lane: str
    stream: str
    segment: int
    incarnation: int
    first_seq: int | None
    last_seq: int | None
    received: int
    stored: int
    quarantined: int
    duplicates: int
    missing: tuple[tuple[int, int], ...]
    rows: Mapping[str, int]
    quarantined_rows: Mapping[str, int]
    reasons: Mapping[str, int]
    files: tuple[LedgerFile, ...]
    committed_ns: int
    reached: Mapping[str, Any] | None = None
    skipped: Skipped | None = None


class LedgerCorruptError(CorruptError):
    """A document that is no ledger entry of this format.

    Attributes:
        reason: what is wrong with it, without its place.
    """

    def __init__(self, path: str, *, reason: str) -> None:
        super().__init__(f"{path}: {reason}; restore it from a copy, or use the program that wrote it")
        self.reason = reason


def encode_entry(entry: LedgerEntry) -> bytes:
    """The entry as a JSON document with a final newline."""
    return msgspec.json.encode(entry) + b"\n"


def decode_entry(content: bytes, *, path: str = "ledger entry") -> LedgerEntry:
    """The entry from its document.

    Raises:
        LedgerCorruptError: not a document of a format that this program knows.
    """
    try:
        return msgspec.json.decode(content, type=LedgerEntry)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise LedgerCorruptError(path, reason=str(error)) from error


def read_ledger(files: Files, data_root: str) -> list[LedgerEntry]:
    """Every entry, writer by writer, oldest segment first; empty when nothing was ever committed.

    Raises:
        CorruptError: an entry cannot be read.
    """
    root = f"{data_root}/{LEDGER_FOLDER}"
    paths = [f"{root}/{writer}/{name}" for writer in files.list(root) for name in files.list(f"{root}/{writer}")]
    return [decode_entry(files.read(path), path=path) for path in paths if path.endswith(".json")]
