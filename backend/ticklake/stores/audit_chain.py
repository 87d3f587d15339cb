"""Audit lines as a chain: each line carries its number, the hash of the line before, and its own hash. Pure.

    {"seq":2,"previous":"<64 hex>","day":"2026-01-05","timestamp":"...","strategy":"value", ... ,"hash":"<64 hex>"}

The hash is the SHA-256 of every byte of the line before `,"hash":`. So no byte can change, no line can go and no two
can change places without a line that does not fit. The end of the chain is held by a head: number and hash of the last
line. Who can rewrite all lines and the head can forge a chain; keep a head elsewhere to notice even that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ticklake.base.errors import CorruptError, UsageError
from ticklake.files.documents import decode_document, encode_document

GENESIS: Final = "0" * 64
"""What the first line names as the hash before it."""

_HASH_KEY: Final = b',"hash":"'
_END: Final = re.compile(rb',"hash":"([0-9a-f]{64})"\}\Z')
_END_BYTES: Final = len(_HASH_KEY) + 64 + 2


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The end of a chain.

    Attributes:
        seq: number of the last line; 0 before the first.
        hash: hash of the last line.
    """

    seq: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> ChainHead:
        """The head that `str` printed.

        Raises:
            UsageError: the text is none.
        """
        match = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text)
        if match is None:
            raise UsageError(f"{text!r} is no head; give NUMBER:HASH as `ticklake audit head` prints it")
        return cls(int(match[1]), match[2])


START: Final = ChainHead()
"""The head of a chain without lines."""


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One whole line.

    Attributes:
        head: number and hash of this line.
        previous: hash of the line before.
        record: what was logged, with `day` and `timestamp`.
    """

    head: ChainHead
    previous: str
    record: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainProblem:
    """Something that does not fit.

    Attributes:
        where: file and line, or row.
        what: what is wrong.
    """

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def encode_entry(after: ChainHead, record: Mapping[str, Any]) -> tuple[bytes, ChainHead]:
    """The next line, without line feed, and the head it makes."""
    seq = after.seq + 1
    body = encode_document({"seq": seq, "previous": after.hash, **record}, indent=None)[:-1]
    digest = hashlib.sha256(body).hexdigest()
    return body + _HASH_KEY + digest.encode() + b'"}', ChainHead(seq, digest)


def decode_entry(line: bytes, *, where: str) -> ChainEntry:
    """A line whose own hash holds; its place in the chain is not looked at.

    Raises:
        CorruptError: the line was changed, or is none of ours.
    """
    match = _END.search(line[-_END_BYTES:])
    body = line[:-_END_BYTES]
    if match is None or hashlib.sha256(body).hexdigest().encode() != match[1]:
        raise CorruptError(f"{where}: the line does not have the hash it was written with; restore it from a copy")
    fields = decode_document(body + b"}", path=where)
    try:
        seq, previous = fields.pop("seq"), fields.pop("previous")
    except (AttributeError, KeyError) as error:
        raise CorruptError(f"{where}: no audit line; restore it from a copy") from error
    return ChainEntry(ChainHead(seq, match[1].decode()), previous, fields)


def check_chain(lines: Iterable[tuple[str, str | None, bytes]]) -> tuple[ChainHead, ChainHead, list[ChainProblem]]:
    """Walk all lines in order.

    Args:
        lines: where (for people), the day that the line must carry (None for any), and the line without line feed.

    Returns:
        the last head and the one before it, and what does not fit; a changed line is reported once, and the walk goes
        on with the line after it.
    """
    before, last = START, START
    problems: list[ChainProblem] = []
    broken = False
    for where, day, line in lines:
        try:
            entry = decode_entry(line, where=where)
        except CorruptError:
            problems.append(ChainProblem(where, "was changed: the line does not have its own hash"))
            before, last, broken = last, ChainHead(last.seq + 1, ""), True
            continue
        expected = last.seq + 1
        if entry.head.seq != expected:
            kind = "lines are missing before it" if entry.head.seq > expected else "it is out of order or repeated"
            problems.append(ChainProblem(where, f"line number {entry.head.seq} where {expected} belongs: {kind}"))
        elif not broken and entry.previous != last.hash:
            problems.append(ChainProblem(where, "does not follow from the line before: one of them was replaced"))
        elif day is not None and entry.record.get("day") != day:
            problems.append(ChainProblem(where, f"was moved here from the file of {entry.record.get('day')}"))
        before, last, broken = last, entry.head, False
    return last, before, problems


def check_anchor(anchor: ChainHead, heads: Mapping[int, str]) -> list[ChainProblem]:
    """Whether a chain still holds the head that somebody kept elsewhere.

    Args:
        anchor: the head kept.
        heads: hash of each line, by number.
    """
    found = heads.get(anchor.seq) if anchor.seq else GENESIS
    if found == anchor.hash:
        return []
    what = "the chain is shorter" if found is None else f"the chain has {found} there"
    return [ChainProblem(f"line {anchor.seq}", f"{what}, but {anchor.hash} was kept: it was cut or rewritten")]


def hashes_of(lines: Iterable[tuple[str, str | None, bytes]]) -> dict[int, str]:
    """The hash of each whole line, by number; for `check_anchor`."""
    found: dict[int, str] = {}
    for where, _, line in lines:
        try:
            head = decode_entry(line, where=where).head
        except CorruptError:
            continue  # the walk reports it
        found[head.seq] = head.hash
    return found
