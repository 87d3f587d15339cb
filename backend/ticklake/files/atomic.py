"""Whole files or none, on a local disk and in a bucket alike: write, replace, append; nothing is left half done.

    write_new, replace    a local disk: temp file, write, fsync, link or rename; a bucket: one PUT, conditional or not
    append_line           one line, durable, from any number of writers
    locked                read, decide, write without anyone in between

See `files.atomic_local`, `files.object_log` and `files.object_lock` for how. What a function returned from survives
kill -9 and, where disk or store keep their word, a power cut.
"""

from __future__ import annotations

import tempfile
import uuid
from contextlib import AbstractContextManager
from pathlib import Path

from ticklake.files import atomic_local
from ticklake.files.atomic_local import LOCK_PREFIX as LOCK_PREFIX
from ticklake.files.atomic_local import TEMP_PREFIX as TEMP_PREFIX
from ticklake.files.atomic_local import TORN_PREFIX as TORN_PREFIX
from ticklake.files.atomic_local import PathText
from ticklake.files.atomic_local import discard as discard
from ticklake.files.errors import NotStoredError
from ticklake.files.names import inside as inside
from ticklake.files.names import raw_name as raw_name
from ticklake.files.names import safe_name as safe_name
from ticklake.files.object_lock import locked_object
from ticklake.files.object_log import append_object_line, object_lines_size, read_object_lines, remove_object_lines
from ticklake.files.object_path import ObjectPath
from ticklake.files.os_errors import sort_error as sort_error


def write_new(path: PathText, content: bytes) -> None:
    """Create the file with all of `content`, or leave no file. Makes missing parents.

    Raises:
        AlreadyStoredError: the name is taken (a FileExistsError); the file there is untouched.
        OutOfRoomError: free some room and call again.
        DiskError: the disk failed, or we may not write there.
        StoreUnavailableError: whether it was stored is unknown; look before you call again.
    """
    if isinstance(path, ObjectPath):
        path.store.create(path.key, content, token=uuid.uuid4().hex)
    else:
        atomic_local.write_new(path, content)


def replace(path: PathText, content: bytes) -> None:
    """Give the file this content. A reader, and a crash, see all of the old or all of the new. Makes missing parents.

    Raises:
        OutOfRoomError: free some room and call again; the old content is untouched.
        DiskError: the disk failed, or we may not write there.
        StoreUnavailableError: old or new content is there; call again.
    """
    if isinstance(path, ObjectPath):
        path.store.put(path.key, content)
    else:
        atomic_local.replace(path, content)


def temp_beside(target: PathText) -> str:
    """A free temp name for writers that need a path: in the folder of `target`, or on this machine for a bucket."""
    if isinstance(target, ObjectPath):
        return str(Path(tempfile.gettempdir()) / f"{TEMP_PREFIX}{uuid.uuid4().hex}")
    return atomic_local.temp_beside(target)


def publish_file(temp: PathText, target: PathText, *, overwrite: bool = True) -> None:
    """Sync a file that another library wrote at `temp_beside(target)`, then give it its name. The temp name is gone.

    Raises:
        AlreadyStoredError: the name is taken and may not be overwritten.
        DiskError: the disk failed.
        StoreUnavailableError: see `write_new` and `replace`.
    """
    if not isinstance(target, ObjectPath):
        atomic_local.publish_file(temp, target, overwrite=overwrite)
        return
    try:
        content = Path(temp).read_bytes()
        if overwrite:
            replace(target, content)
        else:
            write_new(target, content)
    finally:
        discard(temp)


def remove(path: PathText) -> bool:
    """Remove a file durably; whether there was one.

    Raises:
        DiskError: the disk failed, or we may not remove it.
        StoreUnavailableError: the store does not answer.
    """
    if not isinstance(path, ObjectPath):
        return atomic_local.remove(path)
    try:
        path.unlink()
    except NotStoredError:
        return False
    return True


def append_line(path: PathText, line: bytes) -> int:
    """Append one whole line, durably. Makes the file and its parents; any number of processes may call at once.

    Args:
        path: the file. In a bucket it is a folder of numbered lines: read it with `read_lines`.
        line: without a line feed.

    Returns:
        where the line starts, in bytes.

    Raises:
        UsageError: `line` holds a line feed.
        CorruptError: in a bucket, a line between others is gone.
        OutOfRoomError: free some room and call again; the file is as before.
        DiskError: the disk failed, or we may not write there.
        StoreUnavailableError: whether it was stored is unknown; look before you call again.
    """
    if isinstance(path, ObjectPath):
        return append_object_line(path, line)
    return atomic_local.append_line(path, line)


def read_lines(path: PathText) -> bytes:
    """All bytes of a file that `append_line` made.

    Raises:
        FileNotFoundError: there is none.
        CorruptError: in a bucket, a line between others is gone.
    """
    return read_object_lines(path) if isinstance(path, ObjectPath) else Path(path).read_bytes()


def lines_size(path: PathText) -> int:
    """How many bytes `read_lines` would give.

    Raises:
        FileNotFoundError: on a local disk there is no such file; in a bucket that is 0.
        CorruptError: in a bucket, a line between others is gone.
        StoreUnavailableError: the store does not answer.
    """
    return object_lines_size(path) if isinstance(path, ObjectPath) else Path(path).stat().st_size


def remove_lines(path: PathText) -> bool:
    """Remove a file that `append_line` made, durably; whether there was one. Only while nobody appends.

    Raises:
        DiskError: the disk failed, or we may not remove it.
        StoreUnavailableError: some lines may be left; call again.
    """
    return remove_object_lines(path) if isinstance(path, ObjectPath) else atomic_local.remove(path)


def locked(path: PathText) -> AbstractContextManager[None]:
    """Hold the exclusive lock of a file or folder name while the block runs; others wait, wherever they run.

    The lock lies beside it under `.lock-{name}`, so that the data may be replaced meanwhile. Not re-entrant: a second
    call in the block waits for ever. Take it for a whole collection rather than for each document, and keep the block
    short.

    Raises:
        DiskError: the lock file cannot be made.
        ConflictError: in a bucket, at the end: this process stood still for so long that another one took the lock.
    """
    return locked_object(path) if isinstance(path, ObjectPath) else atomic_local.locked(path)
