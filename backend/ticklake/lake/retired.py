"""Files that leave the lake on purpose: one document per decision, durable before the first of its files goes.

    {number}.json   the decision: which files, and why      ─▶ unlink them ─▶ sync their folders ─▶
    {number}.done   all of them are gone, durably

The ledger stays as it is: it says what was committed, this says what left. A crash between the two documents leaves
whole files that are still readable; `finish` goes on from there, any number of times. Folders stay, though empty: the
writer may be about to link into them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from ticklake.base.errors import CorruptError
from ticklake.files.protocol import Files
from ticklake.files.synced import write_synced

RETIRED_FOLDER: Final = "catalog/retired"
FORMAT: Final = "ticklake.retired/1"
_SUFFIX: Final = ".json"
_DONE: Final = ".done"
_TEMP: Final = ".tmp-"  # what a crash left of a document; `temp` retention removes it


@dataclass(frozen=True, slots=True)
class RetiredFile:
    """One file of the ledger that was told to go.

    Attributes:
        path: relative to the data root, as in the ledger.
        table: as in the ledger.
        rows: as in the ledger.
        bytes: as in the ledger.
        crc32c: as in the ledger.
        reason: the verdict of the retention.
    """

    path: str
    table: str
    rows: int
    bytes: int
    crc32c: str
    reason: str


@dataclass(frozen=True, slots=True)
class Retirement:
    """One decision.

    Attributes:
        number: from 1, in the order of the decisions.
        decided_ns: wall clock, UTC ns.
        files: at least one.
        is_finished: whether all of them are known to be gone.
    """

    number: int
    decided_ns: int
    files: tuple[RetiredFile, ...]
    is_finished: bool = False


class _Document(msgspec.Struct):
    format: str
    number: int
    decided_ns: int
    files: list[RetiredFile]


def encode_retirement(retirement: Retirement) -> bytes:
    """The decision as a JSON document with a final newline."""
    document = _Document(FORMAT, retirement.number, retirement.decided_ns, list(retirement.files))
    return msgspec.json.encode(document) + b"\n"


def decode_retirement(content: bytes, *, path: str, is_finished: bool = False) -> Retirement:
    """The decision from its document.

    Raises:
        CorruptError: not a document of a format that this program knows.
    """
    try:
        document = msgspec.json.decode(content, type=_Document)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptError(f"{path}: {error}; restore the file, or run `ticklake verify`") from error
    if document.format != FORMAT:
        raise CorruptError(f"{path}: format {document.format!r}, expected {FORMAT!r}; use the program that wrote it")
    return Retirement(document.number, document.decided_ns, tuple(document.files), is_finished)


def read_retirements(files: Files, data_root: str) -> list[Retirement]:
    """Every decision, oldest first; empty when nothing was ever retired.

    Raises:
        CorruptError: a document cannot be read, or has the name of another; the text names it.
    """
    folder = f"{data_root}/{RETIRED_FOLDER}"
    names = set(files.list(folder))
    found = []
    for name in sorted(name for name in names if name.endswith(_SUFFIX) and not name.startswith(".")):
        path, stem = f"{folder}/{name}", name.removesuffix(_SUFFIX)
        retirement = decode_retirement(files.read(path), path=path, is_finished=f"{stem}{_DONE}" in names)
        if stem != _stem(retirement.number):
            raise CorruptError(f"{path}: holds decision {retirement.number}: it was copied or renamed; move it back")
        found.append(retirement)
    return found


def decide_retirement(
    files: Files, data_root: str, retired: Sequence[RetiredFile], *, decided_ns: int
) -> Retirement:  # fmt: skip
    """Make the decision durable. Nothing is unlinked yet. One process at a time: the caller holds a lock.

    Raises:
        CorruptError: an earlier decision cannot be read.
        OutOfRoomError: nothing was decided.
        DiskError: stop.
    """
    numbers = [found.number for found in read_retirements(files, data_root)]
    retirement = Retirement(max(numbers, default=0) + 1, decided_ns, tuple(retired))
    _write(files, f"{data_root}/{RETIRED_FOLDER}", _stem(retirement.number) + _SUFFIX, encode_retirement(retirement))
    return retirement


def finish_retirement(files: Files, data_root: str, retirement: Retirement) -> dict[str, str]:
    """Unlink what was decided, durably, and mark the decision as finished. Done twice is done.

    Returns:
        path -> why it stays, for files that are no longer those of the decision; with one of them it is not finished.

    Raises:
        OutOfRoomError, DiskError: stop; the next call goes on.
    """
    kept: dict[str, str] = {}
    own = f"{data_root}/{RETIRED_FOLDER}"
    files.make_folder(own)
    files.sync_folder(own)  # a decision that can be read may be by a process that was killed before it was durable
    folders = dict.fromkeys(file.path.rpartition("/")[0] for file in retirement.files)
    for file in retirement.files:
        path = f"{data_root}/{file.path}"
        try:
            size_bytes = files.size_bytes(path)
            if size_bytes == file.bytes:
                files.unlink(path)
            else:
                kept[file.path] = f"has {size_bytes} bytes, not {file.bytes}: it is another file; move it away by hand"
        except FileNotFoundError:
            continue
    for folder in folders:
        if files.exists(f"{data_root}/{folder}"):
            files.sync_folder(f"{data_root}/{folder}")
    done = _stem(retirement.number) + _DONE
    if not kept and not files.exists(f"{own}/{done}"):
        _write(files, own, done, b"")
    return kept


def _stem(number: int) -> str:
    return f"{number:012d}"


def _write(files: Files, folder: str, name: str, content: bytes) -> None:
    """A whole file under its name, or none; durable on return."""
    files.make_folder(folder)
    temp = f"{folder}/{_TEMP}{name}"
    if files.exists(temp):
        files.unlink(temp)
    write_synced(files, temp, content)
    files.link(temp, f"{folder}/{name}")
    files.unlink(temp)
    files.sync_folder(folder)
