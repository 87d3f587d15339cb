"""What is written down about one date and one version: status, reason, files and inputs with their hashes. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeVar

import msgspec

from ticklake.base.errors import CorruptError


class DateStatus(StrEnum):
    """What became of a date. `empty`: a session without rows, and why; `closed`: no session on that day."""

    BUILT = "built"
    EMPTY = "empty"
    CLOSED = "closed"
    FAILED = "failed"


class VersionStatus(StrEnum):
    """How far a version is. Only a complete one is readable."""

    BUILDING = "building"
    COMPLETE = "complete"
    FAILED = "failed"


class OutputFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One data file of a date; `name` within the date's folder."""

    name: str
    rows: int
    bytes: int
    sha256: str


class InputFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One bronze file that a date was made from; `path` relative to the data root."""

    path: str
    rows: int
    bytes: int
    sha256: str


class Warmup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of the wanted look-back the lake had.

    Attributes:
        sessions_wanted: earlier sessions the stages want to see.
        sessions_found: those that have bronze files.
        first_ns: earliest event time that was asked for, ns UTC.
    """

    sessions_wanted: int = 0
    sessions_found: int = 0
    first_ns: int = 0


class DateRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One date of a version. Holds nothing of time or machine: equal builds write equal records.

    Attributes:
        date: YYYY-MM-DD.
        status: what became of it.
        reason: why it is empty, closed or failed; "" for a built one.
        rows: of signals.
        files: its data files; none unless built.
        inputs: bronze files of the session and its look-back.
        warmup: how much of the look-back there was.
        inputs_hash: of the inputs' paths and hashes.
        manifest_hash: of what the manifest asks for.
        code_hash: of the code of the stages.
    """

    date: str
    status: DateStatus
    reason: str = ""
    rows: int = 0
    files: tuple[OutputFile, ...] = ()
    inputs: tuple[InputFile, ...] = ()
    warmup: Warmup = Warmup()
    inputs_hash: str = ""
    manifest_hash: str = ""
    code_hash: str = ""


class VersionState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """State of a version.

    Attributes:
        state: building, complete or failed.
        reason: why it failed, or what is going on.
        dates: dates with a record.
        rows: signals of all dates.
        build: counts the builds that changed the version; a reader that sees it unchanged saw one whole version.
    """

    state: VersionStatus
    reason: str = ""
    dates: int = 0
    rows: int = 0
    build: int = 0


Document = TypeVar("Document", DateRecord, VersionState)


def encode_json(document: DateRecord | VersionState) -> bytes:
    """As indented JSON with a final line feed; equal documents give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def decode_json(content: bytes, kind: type[Document], *, path: str) -> Document:
    """The document in the content of a file.

    Raises:
        CorruptError: it is none; the text names the file.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise CorruptError(f"{path}: {error}; remove the file and build the version again") from error
