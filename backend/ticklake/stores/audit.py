"""The audit log in files: one chain per kind, one file per UTC day, and a head that holds the end.

    {folder}/decisions/2026-01-05.jsonl     {folder}/decisions/HEAD.json

A call returns when its line is synced and the head names it. Killed in between, the line is whole and one beyond the
head: the next call takes it over. A torn rest of a line goes to `.torn-...` beside the file. Nothing is ever rewritten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ticklake.base.clock import Clock
from ticklake.base.errors import CorruptError
from ticklake.files.atomic import append_line, lines_size, locked, read_lines, remove, replace
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.place import Place, sorted_places
from ticklake.stores.audit_chain import (
    START,
    ChainEntry,
    ChainHead,
    ChainProblem,
    check_anchor,
    check_chain,
    decode_entry,
    encode_entry,
    hashes_of,
)
from ticklake.stores.audit_log import ChainedAudit
from ticklake.stores.audit_records import AuditKind, AuditReport, stamp
from ticklake.stores.spans import Span, day_of, from_ns

HEAD_NAME: Final = "HEAD.json"
_DAY_FILE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})\.jsonl")


@dataclass(frozen=True, slots=True)
class _Tip:
    """The head as it is stored: which line is the last, and where its file ends.

    Attributes:
        head: number and hash of the last line.
        day: the file that holds it; empty before the first line.
        size: length of that file in bytes.
    """

    head: ChainHead = START
    day: str = ""
    size: int = 0

    def encode(self) -> bytes:
        return encode_document({"seq": self.head.seq, "hash": self.head.hash, "day": self.day, "bytes": self.size})


class FileAudit(ChainedAudit):
    """Both logs below one folder. Safe between threads and processes."""

    def __init__(self, folder: Place, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def verify_audit(self, kind: AuditKind, *, anchor: ChainHead | None = None) -> AuditReport:
        """Check every byte of a log. Reports, never raises for what it finds.

        Args:
            kind: which log.
            anchor: a head that was kept elsewhere; the log must still contain it.
        """
        folder = self._folder / kind
        with locked(folder):
            return _verify(folder, kind, anchor)

    def _append(self, kind: AuditKind, record: dict[str, Any]) -> ChainEntry:
        folder = self._folder / kind
        with locked(folder):
            tip = _settle(folder)
            moment = from_ns(self._clock.wall_ns())
            day = max(day_of(moment), tip.day)  # a clock set back must not reorder the files
            line, head = encode_entry(tip.head, stamp(moment, day, record))
            start = append_line(folder / f"{day}.jsonl", line)
            replace(folder / HEAD_NAME, _Tip(head, day, start + len(line) + 1).encode())
        return decode_entry(line, where="the line just written")

    def _entries(self, kind: AuditKind, span: Span) -> Iterator[tuple[str, ChainEntry]]:
        """Whole lines that may lie in the span. A line is never in a file before its own day."""
        first = "" if span.start is None else day_of(span.start)
        for path in _day_files(self._folder / kind):
            if path.stem >= first:
                for where, line in _whole_lines(path)[0]:
                    yield where, decode_entry(line, where=where)


def _settle(folder: Place) -> _Tip:
    """The end of the chain, after what a killed writer left behind was taken over or put aside.

    Raises:
        CorruptError: there is more, or less, than one killed writer can leave.
    """
    files = _day_files(folder)
    tip = _read_tip(folder)
    if tip is None:
        if files:
            raise CorruptError(f"{folder / HEAD_NAME} is missing; restore it, then run `ticklake audit verify`")
        tip = _Tip()
        replace(folder / HEAD_NAME, tip.encode())  # from the first line on, a missing head is a fault
        return tip
    if tip.day and (not files or tip.day not in {path.stem for path in files}):
        raise CorruptError(f"{folder / tip.day}.jsonl is missing; restore it, then run `ticklake audit verify`")
    later = [path for path in files if path.stem >= tip.day]
    if [path.stem for path in later] == [tip.day] * bool(tip.day) and (not later or lines_size(later[0]) == tip.size):
        return tip
    return _take_over(folder, tip, later)


def _take_over(folder: Place, tip: _Tip, later: list[Place]) -> _Tip:
    """The tip after the one whole line beyond it, if there is one; torn rests are put aside."""
    for path in later:
        known = tip.size if path.stem == tip.day else 0
        content = read_lines(path)
        whole = content.rfind(b"\n") + 1
        lines = content[known:whole].split(b"\n")[:-1]
        if len(content) < known or len(lines) > 1 or (whole < known):
            raise CorruptError(f"{path}: its end does not fit {HEAD_NAME}; run `ticklake audit verify`")
        if whole < len(content):
            replace(folder / f".torn-{path.name}-{whole}", content[whole:])
            if whole:
                replace(path, content[:whole])
            else:
                remove(path)
        if lines:
            entry = decode_entry(lines[0], where=f"{path}, last line")
            if entry.previous != tip.head.hash or entry.head.seq != tip.head.seq + 1:
                raise CorruptError(f"{path}: its last line does not follow the chain; run `ticklake audit verify`")
            tip = _Tip(entry.head, path.stem, whole)
            replace(folder / HEAD_NAME, tip.encode())
    return tip


def _verify(folder: Place, kind: AuditKind, anchor: ChainHead | None) -> AuditReport:
    files = _day_files(folder)
    lines: list[tuple[str, str | None, bytes]] = []
    problems: list[ChainProblem] = []
    sizes: dict[int, tuple[str, int]] = {0: ("", 0)}
    unfinished = 0
    for path in files:
        whole, rest = _whole_lines(path)
        end = 0
        for where, line in whole:
            lines.append((where, path.stem, line))
            end += len(line) + 1
            sizes[len(lines)] = (path.stem, end)
        if rest and path != files[-1]:
            problems.append(ChainProblem(str(path), f"{rest} bytes at its end are no whole line"))
        unfinished = rest
    last, before, found = check_chain(lines)
    problems += found
    problems += _check_head(folder, [last, before], sizes, has_files=bool(files))
    problems += [ChainProblem(str(folder / name), "does not belong to the log") for name in _foreign(folder)]
    if anchor is not None:
        problems += check_anchor(anchor, hashes_of(lines))
    return AuditReport(kind, len(lines), last, tuple(problems), unfinished)


def _check_head(
    folder: Place, ends: list[ChainHead], sizes: dict[int, tuple[str, int]], *, has_files: bool
) -> list[ChainProblem]:
    """The head names the last line, or the one before when a writer was killed; byte for byte."""
    path = folder / HEAD_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [ChainProblem(str(path), "is missing, so lines may be missing at the end")] if has_files else []
    for head in ends:
        if content == _Tip(head, *sizes.get(head.seq, ("", -1))).encode():
            return []
    what = f"does not name the last line ({ends[0].seq}): lines were cut off or added, or the head was changed"
    return [ChainProblem(str(path), what)]


def _read_tip(folder: Place) -> _Tip | None:
    path = folder / HEAD_NAME
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    fields = decode_document(content, path=str(path))
    try:
        return _Tip(ChainHead(int(fields["seq"]), str(fields["hash"])), str(fields["day"]), int(fields["bytes"]))
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptError(f"{path}: no head of an audit log; run `ticklake audit verify`") from error


def _day_files(folder: Place) -> list[Place]:
    return sorted_places(path for path in folder.glob("*.jsonl") if _DAY_FILE.fullmatch(path.name))


def _foreign(folder: Place) -> list[str]:
    names = (path.name for path in folder.glob("*") if not path.name.startswith("."))
    return sorted(name for name in names if name != HEAD_NAME and not _DAY_FILE.fullmatch(name))


def _whole_lines(path: Place) -> tuple[list[tuple[str, bytes]], int]:
    """`(where, line)` of every line with its line feed, and how many bytes follow the last."""
    *lines, rest = read_lines(path).split(b"\n")
    return [(f"{path.name} line {number}", line) for number, line in enumerate(lines, start=1)], len(rest)
