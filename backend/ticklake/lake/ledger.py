"""The books: one small JSON document per committed segment, and how to read them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ticklake.base.errors import CorruptError
from ticklake.files.protocol import Files
from ticklake.lake.layout import LEDGER_FOLDER

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


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What became of the messages of one segment. `received = stored + quarantined + duplicates`.

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
    committed_ns: int
    missing: tuple[tuple[int, int], ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    quarantined_rows: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    files: tuple[LedgerFile, ...] = ()
    reached: Mapping[str, Any] | None = None


class _Document(msgspec.Struct):
    """The entry as it is written, fields in the order a person wants to read them."""

    format: str
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
    missing: list[tuple[int, int]]
    rows: dict[str, int]
    quarantined_rows: dict[str, int]
    reasons: dict[str, int]
    files: list[LedgerFile]
    committed_ns: int
    reached: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


def encode_entry(entry: LedgerEntry) -> bytes:
    """The entry as a JSON document with a final newline."""
    document = _Document(
        format=FORMAT,
        writer=entry.writer,
        lane=entry.lane,
        stream=entry.stream,
        segment=entry.segment,
        incarnation=entry.incarnation,
        first_seq=entry.first_seq,
        last_seq=entry.last_seq,
        received=entry.received,
        stored=entry.stored,
        quarantined=entry.quarantined,
        duplicates=entry.duplicates,
        missing=list(entry.missing),
        rows=dict(entry.rows),
        quarantined_rows=dict(entry.quarantined_rows),
        reasons=dict(entry.reasons),
        files=list(entry.files),
        committed_ns=entry.committed_ns,
        reached=msgspec.UNSET if entry.reached is None else dict(entry.reached),
    )
    return msgspec.json.encode(document) + b"\n"


def decode_entry(content: bytes, *, path: str = "ledger entry") -> LedgerEntry:
    """The entry from its document.

    Raises:
        CorruptError: not a document of a format that this program knows.
    """
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(f"{path}: {error}; restore the file, or run `ticklake verify`") from error
    if document.format != FORMAT:
        raise CorruptError(f"{path}: format {document.format!r}, expected {FORMAT!r}; use the program that wrote it")
    return LedgerEntry(
        writer=document.writer,
        lane=document.lane,
        stream=document.stream,
        segment=document.segment,
        incarnation=document.incarnation,
        first_seq=document.first_seq,
        last_seq=document.last_seq,
        received=document.received,
        stored=document.stored,
        quarantined=document.quarantined,
        duplicates=document.duplicates,
        committed_ns=document.committed_ns,
        missing=tuple(document.missing),
        rows=document.rows,
        quarantined_rows=document.quarantined_rows,
        reasons=document.reasons,
        files=tuple(document.files),
        reached=None if document.reached is msgspec.UNSET else document.reached,
    )


def iter_entries(files: Files, data_root: str) -> Iterator[LedgerEntry]:
    """Every entry, writer by writer, oldest segment first.

    Raises:
        CorruptError: an entry cannot be read.
    """
    root = f"{data_root}/{LEDGER_FOLDER}"
    for writer in files.list(root):
        for name in files.list(f"{root}/{writer}"):
            if name.endswith(".json"):
                path = f"{root}/{writer}/{name}"
                yield decode_entry(files.read(path), path=path)


def read_ledger(files: Files, data_root: str) -> list[LedgerEntry]:
    """Every entry, writer by writer, oldest segment first; empty when nothing was ever committed."""
    return list(iter_entries(files, data_root))
