"""Is a file of the ledger there, as long as it was, and the same bytes?"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import google_crc32c

from ticklake.files.checksums import crc32c_hex
from ticklake.files.errors import NotStoredError
from ticklake.files.object_path import ObjectPath
from ticklake.lake.ledger import LedgerFile
from ticklake.readers.report import Problem

_CHUNK_BYTES: Final = 8 << 20  # large enough for the checksum to run at memory speed
_RESTORE: Final = "restore the file from a copy, or move it away and take its messages again from the stream"


def check_file(path: Path, file: LedgerFile) -> Iterator[Problem]:
    """Read every byte of a local file."""
    checksum = size_bytes = 0
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield _missing(file, "on disk")
        return
    except PermissionError:
        next_step = f"give user {os.geteuid()} the right to read it, or verify as the user who writes the lake"
        yield Problem("unreadable_file", file.path, "Permission denied", next_step)
        return
    except OSError as error:
        yield Problem("unreadable_file", file.path, str(error.strerror), _RESTORE)
        return
    try:
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            checksum = google_crc32c.extend(checksum, chunk)
            size_bytes += len(chunk)
    except OSError as error:
        yield Problem("unreadable_file", file.path, str(error.strerror), _RESTORE)
        return
    finally:
        os.close(descriptor)
    yield from _compare(file, size_bytes, f"{checksum:08x}")


def check_stored(place: ObjectPath, file: LedgerFile) -> list[Problem]:
    """Compare size and checksum that the store keeps beside the object, in one request.

    The checksum was written together with the bytes, so an object that somebody stored in its place has another one.
    An object without it, such as a restored copy, is read.

    Raises:
        StoreUnavailableError: the store does not answer, or does not let us in.
    """
    try:
        info = place.store.head(place.key)
    except NotStoredError:
        return [_missing(file, "in the bucket")]
    if info.crc32c is None and info.size_bytes == file.bytes:
        return check_object(place, file)[0]
    return list(_compare(file, info.size_bytes, info.crc32c or ""))


def check_object(place: ObjectPath, file: LedgerFile) -> tuple[list[Problem], bytes]:
    """Read every byte of an object: the problems, and the bytes.

    Raises:
        StoreUnavailableError: the store does not answer, or does not let us in.
    """
    try:
        content = place.read_bytes()
    except NotStoredError:
        return [_missing(file, "in the bucket")], b""
    return list(_compare(file, len(content), crc32c_hex(content))), content


def _missing(file: LedgerFile, where: str) -> Problem:
    return Problem("missing_file", file.path, f"in the ledger with {file.rows} rows, but not {where}", _RESTORE)


def _compare(file: LedgerFile, size_bytes: int, checksum: str) -> Iterator[Problem]:
    if size_bytes != file.bytes:
        yield Problem("wrong_size", file.path, f"{size_bytes} bytes, written with {file.bytes}", _RESTORE)
    elif checksum != file.crc32c:
        what = f"checksum {checksum}, written with {file.crc32c}: its bytes changed"
        yield Problem("wrong_checksum", file.path, what, _RESTORE)
