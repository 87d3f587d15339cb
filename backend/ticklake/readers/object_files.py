"""The data files of a question as a file system for DuckDB: these objects, read-only, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

from fsspec import AbstractFileSystem  # type: ignore[import-untyped]

from ticklake.base.errors import TickLakeError
from ticklake.files.object_path import ObjectPath
from ticklake.readers.listing_rules import DataFile
from ticklake.readers.object_reader import ObjectReader

_ENDS_MAX: Final = 256  # of at most 64 KiB each


class ListedFiles(AbstractFileSystem):  # type: ignore[misc]
    """Files of a listing under their addresses.

    Names and sizes come from the listing, so that an engine opens only what it reads: through a file system that asks
    the store for each name, a question about one of 1,000 partitions takes a hundred times as long.

    Attributes:
        failure: what went wrong with the store; engines put it into words of their own.
        ends: (address, first byte) -> the end of a file, for the files that were opened last.
    """

    protocol = "s3"
    cachable = False

    def __init__(self) -> None:
        super().__init__()
        self.failure: TickLakeError | None = None
        self.ends: dict[tuple[str, int], bytes] = {}
        self._keeping = Lock()
        self._files: dict[str, DataFile] = {}

    def add(self, files: Iterable[DataFile]) -> None:
        """Let these be read."""
        self._files.update((file.path, file) for file in files)

    def glob(self, path: str, **_: Any) -> list[str]:
        """The file itself; our names hold no pattern, because partition values are encoded."""
        return [path] if path in self._files else []

    def exists(self, path: str, **_: Any) -> bool:
        """Whether it was listed."""
        return path in self._files

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Name, size, kind."""
        return {"name": path, "size": self._file(path).size_bytes, "type": "file"}

    def open(self, path: str, mode: str = "rb", **_: Any) -> Any:
        """The file, for reading."""
        if mode not in ("r", "rb"):
            raise PermissionError(f"{path}: the files of a lake are never changed")
        return _Watched(self, self._stored(path), size_bytes=self.size(path))

    def size(self, path: str) -> int:
        """In bytes."""
        return self._file(path).size_bytes

    def modified(self, path: str) -> datetime:
        """When it was stored."""
        return datetime.fromtimestamp(self._stored(path).stat().st_mtime, UTC)

    def keep_end(self, place: tuple[str, int], content: bytes) -> None:
        """Keep the end of a file, and forget that of the file that was opened longest ago."""
        with self._keeping:
            self.ends[place] = content
            if len(self.ends) > _ENDS_MAX:
                del self.ends[next(iter(self.ends))]

    def _file(self, path: str) -> DataFile:
        if path not in self._files:
            raise FileNotFoundError(path)
        return self._files[path]

    def _stored(self, path: str) -> ObjectPath:
        stored = self._file(path).stored
        assert stored is not None  # only files of buckets are added
        return stored


class _Watched(ObjectReader):
    """Remembers why a read failed, and the ends of files: engines open each file again after its footer."""

    def __init__(self, files: ListedFiles, stored: ObjectPath, *, size_bytes: int) -> None:
        super().__init__(stored, size_bytes=size_bytes)
        self._files = files

    def _fetch(self, start: int, length: int) -> bytes:
        is_end = start + length == self._size_bytes
        known = self._files.ends.get((self.path, start)) if is_end else None
        if known is not None:
            return known
        try:
            content = super()._fetch(start, length)
        except TickLakeError as error:
            self._files.failure = error
            raise
        if is_end:
            self._files.keep_end((self.path, start), content)
        return content
