"""An object as a file that Parquet engines read: by position, its end fetched once."""

from __future__ import annotations

import io
from typing import Final

from ticklake.files.object_path import ObjectPath

END_BYTES: Final = 64 * 1024
"""How much of the end is fetched at once: the footer of nearly every file, and small files whole."""


class ObjectReader(io.RawIOBase):
    """A read-only file over one object. One thread at a time.

    Raises NotStoredError (a FileNotFoundError) and StoreUnavailableError where a local file would raise OSError.
    """

    def __init__(self, place: ObjectPath, *, size_bytes: int | None = None) -> None:
        """Nothing is fetched yet.

        Args:
            place: the object.
            size_bytes: as a listing said; None: the store is asked.
        """
        super().__init__()
        self._place = place
        self._size_bytes = place.stat().st_size if size_bytes is None else size_bytes
        self._at = 0
        self._end: bytes | None = None

    @property
    def path(self) -> str:
        """The address, as file systems of engines want to see it."""
        return str(self._place)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go there; the new position in bytes from the start."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """So many bytes, fewer only at the end; all that are left when `size` is negative or None."""
        left = max(0, self._size_bytes - self._at)
        length = left if size is None or size < 0 else min(size, left)
        if not length:
            return b""
        end_start = max(0, self._size_bytes - END_BYTES)
        if self._at >= end_start:
            if self._end is None:
                self._end = self._fetch(end_start, self._size_bytes - end_start)
            content = self._end[self._at - end_start : self._at - end_start + length]
        else:
            content = self._fetch(self._at, length)
        self._at += length
        return content

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as there are bytes; how many."""
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _fetch(self, start: int, length: int) -> bytes:
        return self._place.store.get_range(self._place.key, start, length)
