"""Whole files or none: write, replace and append so that neither a crash nor another process leaves half of it.

    write_new, replace    temp file in the same folder, write, fsync, link or rename, fsync of the folder
    append_line           one line under an exclusive lock of the file, fsynced
    locked                read, decide, write without anyone in between

A process killed on the way leaves at most a temp file (`.tmp-...`): no reader opens it, `retention` removes it by age.
What a function returned from survives kill -9 and, where the disk honours fsync, a power cut.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ticklake.base.errors import DiskError, UsageError
from ticklake.files.errors import AlreadyStoredError
from ticklake.files.local import FILE_MODE, LocalAppendFile, LocalFiles
from ticklake.files.os_errors import final_errors, sorted_errors

TEMP_PREFIX: Final = ".tmp-"
LOCK_PREFIX: Final = ".lock-"
TORN_PREFIX: Final = ".torn-"
_ATTEMPTS_MAX: Final = 5  # each lost race needs another process to remove the folder in the same instant
_TAIL_BYTES: Final = 65_536

PathText = str | os.PathLike[str]

_files = LocalFiles()  # one for the process: it remembers which folders it has made durable
_synced_logs: set[str] = set()  # files for `append_line` whose names this process has made durable


def write_new(path: PathText, content: bytes) -> None:
    """Create the file with all of `content`, or leave no file. Makes missing parents.

    Raises:
        AlreadyStoredError: the name is taken (a FileExistsError); the file there is untouched.
        OutOfRoomError: free some room and call again.
        DiskError: the disk failed, or we may not write there.
    """
    target = _absolute(path)
    _link(_write_temp(target, content), target)


def replace(path: PathText, content: bytes) -> None:
    """Give the file this content. A reader, and a crash, see all of the old or all of the new. Makes missing parents.

    Raises:
        OutOfRoomError: free some room and call again; the old content is untouched.
        DiskError: the disk failed, or we may not write there.
    """
    target = _absolute(path)
    _rename(_write_temp(target, content), target)


def temp_beside(target: PathText) -> str:
    """A free temp name in the folder of `target`, which is made first. For writers that need a path."""
    folder = os.path.dirname(_absolute(target))
    _files.make_folder(folder)
    return _temp_name(folder)


def publish_file(temp: PathText, target: PathText, *, overwrite: bool = True) -> None:
    """Sync a file that another library wrote at `temp_beside(target)`, then give it its name. The temp name is gone.

    Raises:
        AlreadyStoredError: the name is taken and may not be overwritten.
        DiskError: the disk failed.
    """
    temp, target = os.fspath(temp), _absolute(target)
    try:
        with sorted_errors("open", temp):
            descriptor = os.open(temp, os.O_RDONLY | os.O_CLOEXEC)
        with final_errors("fsync", temp):
            try:
                os.fchmod(descriptor, FILE_MODE)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except BaseException:
        discard(temp)
        raise
    if overwrite:
        _rename(temp, target)
    else:
        _link(temp, target)


def discard(path: PathText) -> None:
    """Remove a file if it is there. Not synced: for temp files."""
    with suppress(FileNotFoundError):
        _files.unlink(os.fspath(path))


def remove(path: PathText) -> bool:
    """Remove a file durably; whether there was one.

    Raises:
        DiskError: the disk failed, or we may not remove it.
    """
    target = _absolute(path)
    try:
        _files.unlink(target)
    except FileNotFoundError:
        return False
    _files.sync_folder(os.path.dirname(target))
    return True


def append_line(path: PathText, line: bytes) -> int:
    """Append one whole line and sync it. Makes the file and its parents; any number of processes may call at once.

    A last line without its line feed is the rest of a writer that was killed before its call returned: nobody was told
    that it is stored. It is moved to `.torn-{name}-{offset}` beside the file, so that the file holds whole lines only.

    Args:
        path: the file.
        line: without a line feed.

    Returns:
        where the line starts, in bytes.

    Raises:
        UsageError: `line` holds a line feed.
        OutOfRoomError: free some room and call again; the file is as before.
        DiskError: the disk failed, or we may not write there.
    """
    if b"\n" in line:
        raise UsageError("a line must not hold a line feed; encode it first (JSON does)")
    target = _absolute(path)
    with _locked_for_append(target) as descriptor:
        start = _cut_torn_line(descriptor, target)
        file = LocalAppendFile(target, descriptor)
        try:
            file.write([line + b"\n"])
        except BaseException:
            file.truncate(start)
            raise
        file.sync()
        if start == 0 or target not in _synced_logs:  # whoever made the file may have died before it synced the name
            _files.sync_folder(os.path.dirname(target))
            _synced_logs.add(target)
    return start


@contextmanager
def locked(path: PathText) -> Iterator[None]:
    """Hold the exclusive lock of a file or folder name while the block runs; others wait, threads and processes alike.

    The lock is a file `.lock-{name}` beside it, so that the data may be replaced meanwhile. It stays there: removing it
    would let two in. It ends with the process, however that ends. Not re-entrant: a second call in the block waits for
    ever. Take it for a whole collection rather than for each document, and keep the block short.

    Raises:
        DiskError: the lock file cannot be made.
    """
    target = _absolute(path)
    folder, name = os.path.split(target)
    descriptor = _open(os.path.join(folder, f"{LOCK_PREFIX}{name}"), os.O_RDWR | os.O_CREAT)
    try:
        with sorted_errors("lock", target):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write_temp(target: str, content: bytes) -> str:
    """A synced temp file beside the target."""
    folder = os.path.dirname(target)
    temp = _temp_name(folder)
    file = _create(temp, folder)
    try:
        file.write([content])
        file.sync()
    except BaseException:
        _files.unlink(temp)
        raise
    finally:
        file.close()
    return temp


def _create(temp: str, folder: str) -> LocalAppendFile:
    _files.make_folder(folder)
    for _ in range(_ATTEMPTS_MAX):
        try:
            return _files.create(temp)
        except FileNotFoundError:
            LocalFiles().make_folder(folder)  # somebody removed it after we had made it: forget what we knew
    raise DiskError(f"{folder} vanishes as often as it is made; find out who removes it, then try again")


def _link(temp: str, target: str) -> None:
    """Give a synced temp file its name in the same folder, durably, unless the name is taken."""
    try:
        _files.link(temp, target)
    except FileExistsError as error:
        raise AlreadyStoredError(f"{target} exists already; choose another name", path=target) from error
    finally:
        _files.unlink(temp)
    _files.sync_folder(os.path.dirname(target))


def _rename(temp: str, target: str) -> None:
    """Give a synced temp file its name in the same folder, durably; remove it when that fails."""
    try:
        with sorted_errors("rename", target):
            os.replace(temp, target)
    except BaseException:
        discard(temp)
        raise
    _files.sync_folder(os.path.dirname(target))


def _temp_name(folder: str) -> str:
    return os.path.join(folder, f"{TEMP_PREFIX}{uuid.uuid4().hex}")


def _open(path: str, flags: int) -> int:
    with sorted_errors("open", path):
        for _ in range(_ATTEMPTS_MAX):
            try:
                return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
            except FileNotFoundError:
                LocalFiles().make_folder(os.path.dirname(path))
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)


@contextmanager
def _locked_for_append(target: str) -> Iterator[int]:
    """A descriptor of the file that has the name now, exclusively locked: it may be replaced while we wait."""
    while True:
        descriptor = _open(target, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        try:
            with sorted_errors("lock", target):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_named(descriptor, target):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_named(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _cut_torn_line(descriptor: int, target: str) -> int:
    """The length of the file after its last whole line, to which it is cut when more follows."""
    size = os.fstat(descriptor).st_size
    end, tail = size, b""
    while end > 0 and b"\n" not in tail:
        start = max(0, end - _TAIL_BYTES)
        tail = _read_exactly(descriptor, start, end - start, target) + tail
        if end == size and tail.endswith(b"\n"):
            return size
        end = start
    torn = tail[tail.rfind(b"\n") + 1 :]
    whole = size - len(torn)
    if torn:
        folder, name = os.path.split(target)
        replace(os.path.join(folder, f"{TORN_PREFIX}{name[:200]}-{whole}"), torn)
        file = LocalAppendFile(target, descriptor)
        file.truncate(whole)
        file.sync()
    return whole


def _read_exactly(descriptor: int, offset: int, size: int, path: str) -> bytes:
    with sorted_errors("read", path):
        content = os.pread(descriptor, size, offset)
    if len(content) != size:
        raise DiskError(f"read {path}: {len(content)} of {size} bytes at {offset}; check the disk")
    return content


def _absolute(path: PathText) -> str:
    text = os.fspath(path)
    if "\0" in text or not text:
        raise UsageError(f"{text!r} is no path; encode names with `safe_name` first")
    if text.startswith("s3:/"):  # as text, or folded by `Path`: else a folder of that name would appear here
        raise UsageError(f"{text!r} is an address of a bucket; make a place of it with `place_of` first")
    return os.path.abspath(text)
