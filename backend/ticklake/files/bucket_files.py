"""A bucket as `Files`: for books that are kept through that protocol, a few small documents at a time.

Names are addresses (`s3://bucket/key`). A new file is kept here until it is synced, which stores it whole; a link is a
copy that never overwrites. There is nothing to sync for a folder, and nothing to run out of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ticklake.files.atomic import write_new
from ticklake.files.errors import AlreadyStoredError, NotStoredError
from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import S3, Place
from ticklake.files.protocol import Files
from ticklake.files.trees import list_names

_ROOM_BYTES: Final = 1 << 62


def files_of(place: Place) -> Files:
    """The `Files` that a place lies in."""
    return BucketFiles(place) if isinstance(place, ObjectPath) else LocalFiles()


class BucketFile:
    """A file that grows here and is stored by `sync`."""

    def __init__(self, place: ObjectPath) -> None:
        self._place = place
        self._content = b""

    def write(self, parts: Sequence[bytes]) -> None:
        """Append all `parts`."""
        self._content += b"".join(parts)

    def sync(self) -> None:
        """Store all of it. Raises StoreUnavailableError."""
        self._place.store.put(self._place.key, self._content)

    def truncate(self, size_bytes: int) -> None:
        """Cut it. Follow with `sync`."""
        self._content = self._content[:size_bytes]

    def close(self) -> None:
        """Nothing is held open."""


class BucketFiles:
    """The bucket of one place. Every method raises StoreUnavailableError when the store does not answer."""

    def __init__(self, place: ObjectPath) -> None:
        self._store = place.store

    def create(self, path: str) -> BucketFile:
        """A new empty file. Raises AlreadyStoredError (a FileExistsError)."""
        place = self._at(path)
        if place.is_file():
            raise AlreadyStoredError(f"{path} exists already; choose another name", path=path)
        return BucketFile(place)

    def read(self, path: str, first_bytes: int = -1) -> bytes:
        """All bytes, or only the first so many. Raises FileNotFoundError."""
        place = self._at(path)
        return place.read_bytes() if first_bytes < 0 else self._store.get_range(place.key, 0, first_bytes)

    def load(self, path: str) -> memoryview:
        """All bytes, read-only. Raises FileNotFoundError."""
        return memoryview(self.read(path))

    def size_bytes(self, path: str) -> int:
        """Length of the file, bytes. Raises FileNotFoundError."""
        return self._at(path).stat().st_size

    def exists(self, path: str) -> bool:
        """Whether an object, or one below, is there."""
        return self._at(path).exists()

    def list(self, folder: str) -> list[str]:
        """Names in a folder, sorted; empty when there is none."""
        return list_names(self._at(folder))

    def make_folder(self, folder: str) -> None:
        """Nothing: a bucket has no folders."""

    def link(self, source: str, target: str) -> None:
        """Give the bytes a second name. Never overwrites. Raises FileExistsError, FileNotFoundError."""
        write_new(self._at(target), self._at(source).read_bytes())

    def unlink(self, path: str) -> None:
        """Remove a name. Raises FileNotFoundError."""
        self._at(path).unlink()

    def remove_folder(self, folder: str) -> None:
        """Nothing: a bucket has no folders."""

    def sync_folder(self, folder: str) -> None:
        """Nothing: what was stored is stored."""

    def free_bytes(self, folder: str) -> int:
        """More than anybody needs, bytes."""
        return _ROOM_BYTES

    def _at(self, path: str) -> ObjectPath:
        root = f"{S3}{self._store.bucket}"
        if path != root and not path.startswith(f"{root}/"):
            raise NotStoredError(f"{path} does not lie in {root}; open the bucket it lies in", path=path)
        return ObjectPath(self._store, path.removeprefix(root).strip("/"))
