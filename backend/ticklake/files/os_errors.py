"""What an error of a system call means for the caller: free some room, give a right, or look after the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ticklake.base.errors import AccessRefusedError, DiskError, OutOfRoomError

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_READS: Final = frozenset({"read", "stat", "list", "statvfs"})


def sort_error(error: OSError, action: str, path: str) -> OutOfRoomError | DiskError:
    """The error of a system call that was given a name, sorted by what the caller should do.

    Args:
        error: of the call.
        action: what was tried, as a verb.
        path: on what.
    """
    if error.errno in _NO_ROOM:
        return OutOfRoomError(f"{action} {path}: {error.strerror}; free some room, nothing was lost")
    if error.errno in _REFUSED:
        right = f"read {path}" if action in _READS else f"write {Path(path).parent}"
        return AccessRefusedError(
            f"{action} {path}: {error.strerror}; give user {os.geteuid()} the right to {right}, then start again"
        )
    return DiskError(f"{action} {path}: {error.strerror or error}; check the disk, then start again")


@contextmanager
def sorted_errors(action: str, path: str) -> Iterator[None]:
    """Sort the errors of the block by `sort_error`; a missing or taken name stays what it is."""
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise sort_error(error, action, path) from error


@contextmanager
def write_errors(path: str) -> Iterator[None]:
    """Sort the errors of writing to an open file: without room it may be tried again, all others are of the disk.

    Also a refusal: a file system becomes read-only under us when its disk fails.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise sort_error(error, "write", path) from error
        raise DiskError(f"write {path}: {error.strerror or error}; check the disk, then start again") from error


@contextmanager
def final_errors(action: str, path: str) -> Iterator[None]:
    """Every error of the block, whatever its number, is final: what was not synced may be gone."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"{action} {path}: {error.strerror or error}; bytes not yet synced may be gone: "
            "check the disk, then start again"
        ) from error
