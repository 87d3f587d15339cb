"""The real disk: POSIX calls, with every error sorted by what the caller should do.

A write that finds no room can be undone and tried again (`OutOfRoomError`). Any other failed write, and every failed
sync whatever its errno, is final (`DiskError`): after a failed fsync the kernel may have dropped the pages and a second
call would report success for bytes that are gone.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from mmap import MAP_PRIVATE, PROT_READ, mmap
from typing import Final

from ticklake.base.errors import DiskError
from ticklake.files.os_errors import final_errors, sorted_errors, write_errors

FILE_MODE = 0o640  # readable by the group (researchers), by nobody else
FOLDER_MODE = 0o750
_POPULATE_READ: Final = 22  # MADV_POPULATE_READ of Linux: an error where a read of the memory would end in a signal
_CANNOT_MAP: Final = frozenset({errno.EINVAL, errno.ENODEV, errno.ENOSYS, errno.EOPNOTSUPP})
"""What a kernel before 5.14 says to that call, and a file system whose files cannot be mapped."""

_WRITE_PARTS_MAX = 512  # below IOV_MAX (1024 on Linux, may be lower elsewhere)


class LocalAppendFile:
    """A growing file on a local disk. One owner, one thread at a time."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def write(self, parts: Sequence[bytes]) -> None:
        """Append all `parts`, however many calls that takes.

        Raises:
            OutOfRoomError: the disk or the quota is full; some bytes may have been written: truncate.
            DiskError: any other failure.
        """
        views = [memoryview(part) for part in parts if part]
        with write_errors(self._path):
            while views:
                written = os.writev(self._descriptor, views[:_WRITE_PARTS_MAX])
                if written == 0:
                    raise OSError(errno.EIO, "the disk takes no more bytes and gives no reason")
                views = _without_first(views, written)

    def sync(self) -> None:
        """Make every byte written so far survive a power cut (fdatasync).

        Raises:
            DiskError: never retry; what was written may be gone.
        """
        with final_errors("fdatasync", self._path):
            os.fdatasync(self._descriptor)

    def truncate(self, size_bytes: int) -> None:
        """Cut the file to `size_bytes`. Not durable before `sync`.

        Raises:
            DiskError: never retry; the end of the file is not known.
        """
        with final_errors("truncate", self._path):
            os.ftruncate(self._descriptor, size_bytes)

    def close(self) -> None:
        """Give the descriptor back. Does not sync."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)


class LocalFiles:
    """Named bytes on local disks. Safe to share between threads.

    Every method raises OutOfRoomError without a free descriptor, AccessRefusedError (a DiskError) where a right is
    missing, and DiskError for any other failure of the disk, beside what is named at each.
    """

    def __init__(self) -> None:
        # Folders whose own name this process has synced. An existing folder proves nothing: a process that was killed
        # between mkdir and fsync leaves one that the next power cut takes away.
        self._durable_folders: set[str] = set()

    def create(self, path: str) -> LocalAppendFile:
        """Open a new empty file for appending.

        Raises:
            FileExistsError: the name is taken.
            OutOfRoomError: no room, no inode or no free descriptor.
        """
        with sorted_errors("create", path):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            return LocalAppendFile(path, os.open(path, flags, FILE_MODE))

    def read(self, path: str, first_bytes: int = -1) -> bytes:
        """All bytes of the file, or only the first so many. Raises FileNotFoundError."""
        with sorted_errors("read", path), open(path, "rb") as file:
            return file.read(first_bytes)

    def load(self, path: str) -> memoryview:
        """All bytes of a large file that nobody shortens meanwhile, read-only: the file itself, without a copy.

        Every page is read here, so an error of the disk is an error here, and no signal later.
        """
        with sorted_errors("read", path), open(path, "rb", buffering=0) as file:
            size_bytes = os.fstat(file.fileno()).st_size
            if not size_bytes:
                return memoryview(b"")  # nothing cannot be mapped
            try:
                content = mmap(file.fileno(), size_bytes, flags=MAP_PRIVATE, prot=PROT_READ)
                content.madvise(_POPULATE_READ)
            except OSError as error:
                if error.errno not in _CANNOT_MAP:
                    raise
                return memoryview(file.read())
            return memoryview(content)

    def size_bytes(self, path: str) -> int:
        """Length of the file, bytes. Raises FileNotFoundError."""
        with sorted_errors("stat", path):
            return os.stat(path).st_size

    def exists(self, path: str) -> bool:
        """Whether a file or folder has that name."""
        return os.path.lexists(path)

    def list(self, folder: str) -> list[str]:
        """Names in a folder, sorted; empty when the folder is missing."""
        try:
            with sorted_errors("list", folder):
                return sorted(os.listdir(folder))
        except FileNotFoundError:
            return []

    def make_folder(self, folder: str) -> None:
        """Create the folder and its missing parents; every name on the way is durable when this returns."""
        if folder in self._durable_folders and os.path.isdir(folder):  # a person may have removed it since
            return
        parent = os.path.dirname(folder)
        if parent == folder:
            return
        if os.path.isdir(folder) and not os.access(parent, os.W_OK):
            return  # not ours to have made
        self.make_folder(parent)
        with sorted_errors("mkdir", folder):
            try:
                os.mkdir(folder, FOLDER_MODE)
            except FileExistsError:
                if not os.path.isdir(folder):
                    raise
        self.sync_folder(parent)
        self._durable_folders.add(folder)

    def link(self, source: str, target: str) -> None:
        """Give the file a second name. Never overwrites.

        Raises:
            FileExistsError: the target is taken.
            FileNotFoundError: there is no source, or no folder for the target.
            DiskError: also when source and target lie on different disks; see `same_disk`.
        """
        with sorted_errors("link", target):
            os.link(source, target, follow_symlinks=False)

    def unlink(self, path: str) -> None:
        """Remove a name. Raises FileNotFoundError."""
        with sorted_errors("unlink", path):
            os.unlink(path)

    def remove_folder(self, folder: str) -> None:
        """Remove an empty folder. Not synced. Raises FileNotFoundError."""
        self._durable_folders.discard(folder)
        with sorted_errors("rmdir", folder):
            os.rmdir(folder)

    def sync_folder(self, folder: str) -> None:
        """Make links and unlinks in the folder survive a power cut.

        Raises:
            OutOfRoomError: no free descriptor; nothing was synced, and nothing is lost by trying again.
            DiskError: never retry.
        """
        with sorted_errors("open", folder):
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise DiskError(f"fsync {folder}: it is gone; see who removed it, then start again") from error
        try:
            with final_errors("fsync", folder):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def free_bytes(self, folder: str) -> int:
        """Room left for us (not for root) on the folder's disk, bytes. Raises FileNotFoundError."""
        with sorted_errors("statvfs", folder):
            room = os.statvfs(folder)
            return room.f_bavail * room.f_frsize

    def same_disk(self, first: str, second: str) -> bool:
        """Whether a file in one folder can be linked into the other. Raises FileNotFoundError: both must exist."""
        with sorted_errors("stat", first):
            return os.stat(first).st_dev == os.stat(second).st_dev


def _without_first(views: list[memoryview], size_bytes: int) -> list[memoryview]:
    """What is left of `views` after their first `size_bytes` were written."""
    for index, view in enumerate(views):
        if size_bytes < len(view):
            return [view[size_bytes:], *views[index + 1 :]]
        size_bytes -= len(view)
    return []
