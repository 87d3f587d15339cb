"""What the durable code asks of a disk. `LocalFiles` is the real one, `testing.disk.CrashDisk` the one that crashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class AppendFile(Protocol):
    """A file that only grows. One owner."""

    def write(self, parts: Sequence[bytes]) -> None:
        """Append all `parts`, looping over short writes. Not yet on disk.

        Raises:
            OutOfRoomError: ENOSPC or EDQUOT; some bytes may have been written: truncate.
            DiskError: anything else.
        """
        ...

    def sync(self) -> None:
        """Make every byte written so far survive a power cut (fdatasync).

        Raises:
            DiskError: never retry; what was written may be gone.
        """
        ...

    def truncate(self, size_bytes: int) -> None:
        """Cut the file. Follow with `sync`.

        Raises:
            DiskError: never retry; the end of the file is not known.
        """
        ...

    def close(self) -> None:
        """Give the descriptor back. Does not sync."""
        ...


class Files(Protocol):
    """Named bytes on one disk. Names are absolute POSIX paths as `str`.

    Every method raises DiskError when the disk fails or refuses us, beside what is named at each.
    """

    def create(self, path: str) -> AppendFile:
        """Open a new empty file for appending (O_EXCL). The name is durable after `sync_folder` of its folder.

        Raises:
            FileExistsError: the name is taken.
            FileNotFoundError: there is no such folder.
            OutOfRoomError: nothing was made; try again when there is room.
        """
        ...

    def read(self, path: str, first_bytes: int = -1) -> bytes:
        """All bytes, or only the first so many. Raises FileNotFoundError."""
        ...

    def load(self, path: str) -> memoryview:
        """All bytes of a large file that nobody shortens meanwhile, read-only. Raises FileNotFoundError."""
        ...

    def size_bytes(self, path: str) -> int:
        """Length of the file, bytes. Raises FileNotFoundError."""
        ...

    def exists(self, path: str) -> bool:
        """Whether a file or folder has that name."""
        ...

    def list(self, folder: str) -> list[str]:
        """Names (not paths) in a folder, sorted; empty when the folder is missing."""
        ...

    def make_folder(self, folder: str) -> None:
        """Create the folder and its parents; every new entry is durable when this returns.

        Raises:
            FileExistsError: a file has one of the names.
            OutOfRoomError: try again when there is room.
        """
        ...

    def link(self, source: str, target: str) -> None:
        """Give the file a second name, durable after `sync_folder`. Never overwrites.

        Raises:
            FileExistsError: the target is taken.
            FileNotFoundError: there is no source, or no folder for the target.
            OutOfRoomError: nothing was linked; try again when there is room.
        """
        ...

    def unlink(self, path: str) -> None:
        """Remove a name; durable after `sync_folder`. Raises FileNotFoundError."""
        ...

    def remove_folder(self, folder: str) -> None:
        """Remove an empty folder. Not synced: an empty folder that returns is harmless."""
        ...

    def sync_folder(self, folder: str) -> None:
        """Make links and unlinks in the folder survive a power cut.

        Raises:
            OutOfRoomError: it could not be opened for lack of descriptors; try again.
            DiskError: never retry.
        """
        ...

    def free_bytes(self, folder: str) -> int:
        """Room left for us on the folder's disk, bytes."""
        ...
