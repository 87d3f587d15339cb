"""A place in a bucket that reads like a `pathlib.Path`, as far as the lake needs one.

There are no folders in a bucket: `mkdir` and `rmdir` do nothing, a folder exists while an object lies below it. There
is no rename and no append. Writing goes through `files.atomic`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from ticklake.base.errors import UsageError
from ticklake.files.errors import NotStoredError

if TYPE_CHECKING:  # an extra, imported by whoever opens the store
    from ticklake.files.object_store import ObjectInfo, ObjectStore

_NS_PER_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ObjectStat:
    """Size and age of an object, under the names that `os.stat` uses.

    Attributes:
        st_size: bytes.
        st_mtime_ns: last change, UTC ns, in whole seconds: no finer than every answer of a store says it.
        st_ino: made of the store's own mark of this state, so that it changes with every change; 0 without one.
    """

    st_size: int
    st_mtime_ns: int
    st_ino: int

    @property
    def st_mtime(self) -> float:
        """Seconds since 1970."""
        return self.st_mtime_ns / 1e9


class ObjectPath(os.PathLike[str]):
    """`s3://bucket/key`. Immutable. Two are equal when bucket and key are."""

    __slots__ = ("_info", "key", "store")

    def __init__(self, store: ObjectStore, key: str = "", *, info: ObjectInfo | None = None) -> None:
        """A place.

        Args:
            store: its bucket.
            key: the name in the bucket, without a slash at either end; empty for the bucket itself.
            info: what a listing said about it; `stat` then asks nobody.
        """
        if any(part in ("", ".", "..") for part in key.split("/")) and key:
            raise UsageError(f"s3://{store.bucket}/{key}: a name in a bucket has no empty part, `.` or `..`")
        self.store = store
        self.key = key
        self._info = info

    def __fspath__(self) -> str:
        return self.store.url(self.key).rstrip("/")

    def __str__(self) -> str:
        return self.__fspath__()

    def __repr__(self) -> str:
        return f"ObjectPath({self.__fspath__()!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and (self.store.bucket, self.key) == (other.store.bucket, other.key)

    def __lt__(self, other: ObjectPath) -> bool:
        return (self.store.bucket, self.key.split("/")) < (other.store.bucket, other.key.split("/"))

    def __copy__(self) -> ObjectPath:
        return self

    def __deepcopy__(self, _: object) -> ObjectPath:
        return self  # it never changes, and its store is not to be opened again

    def __hash__(self) -> int:
        return hash((self.store.bucket, self.key))

    def __truediv__(self, name: str | os.PathLike[str]) -> ObjectPath:
        text = os.fspath(name).strip("/")
        return ObjectPath(self.store, f"{self.key}/{text}" if self.key and text else self.key or text)

    def joinpath(self, *names: str | os.PathLike[str]) -> ObjectPath:
        """`self / name / ...`."""
        place = self
        for name in names:
            place = place / name
        return place

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rsplit("/", 1)[-1]

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The last part's suffix, with the dot."""
        return PurePosixPath(self.name).suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """`s3://bucket`, then the parts of the key."""
        return (f"s3://{self.store.bucket}", *self.key.split("/")) if self.key else (f"s3://{self.store.bucket}",)

    @property
    def parent(self) -> ObjectPath:
        """The folder; the bucket's own is itself."""
        return ObjectPath(self.store, self.key.rpartition("/")[0])

    @property
    def parents(self) -> tuple[ObjectPath, ...]:
        """All folders above, the nearest first."""
        found, place = [], self
        while place.key:
            place = place.parent
            found.append(place)
        return tuple(found)

    def with_name(self, name: str) -> ObjectPath:
        """Beside it, under another name."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> ObjectPath:
        """Beside it, with another suffix."""
        return self.parent / f"{self.stem}{suffix}"

    def relative_to(self, other: str | os.PathLike[str]) -> PurePosixPath:
        """The way from a folder above. Raises ValueError when it is not above."""
        return PurePosixPath("/".join(self.parts[1:])).relative_to("/".join(_key_parts(self, other)))

    def is_relative_to(self, other: str | os.PathLike[str]) -> bool:
        """Whether `other` is it or above it."""
        try:
            self.relative_to(other)
        except ValueError:
            return False
        return True

    def as_posix(self) -> str:
        """The address."""
        return str(self)

    def absolute(self) -> ObjectPath:
        """Itself."""
        return self

    def resolve(self) -> ObjectPath:
        """Itself: a bucket has no links."""
        return self

    def expanduser(self) -> ObjectPath:
        """Itself."""
        return self

    def is_symlink(self) -> bool:
        """Never."""
        return False

    def exists(self) -> bool:
        """Whether an object, or one below, is there. Raises StoreUnavailableError."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether an object is there. Raises StoreUnavailableError."""
        if self._info is not None:
            return True
        try:
            self.store.head(self.key)
        except NotStoredError:
            return False
        return True

    def is_dir(self) -> bool:
        """Whether an object lies below. Raises StoreUnavailableError."""
        if self._info is not None:
            return False
        folders, objects = self.store.list_folder(self.key)
        return bool(folders or objects)

    def stat(self) -> ObjectStat:
        """Size and age. Raises NotStoredError (a FileNotFoundError), StoreUnavailableError."""
        info = self._info or self.store.head(self.key)
        mark = 0 if info.e_tag is None else int.from_bytes(sha256(info.e_tag.strip('"').encode()).digest()[:7])
        return ObjectStat(info.size_bytes, info.modified_ns // _NS_PER_S * _NS_PER_S, mark)

    def iterdir(self) -> Iterator[ObjectPath]:
        """What lies directly below, in order.

        Raises:
            NotStoredError: nothing does (a FileNotFoundError, as for a missing folder).
            StoreUnavailableError: the store does not answer.
        """
        folders, objects = self.store.list_folder(self.key)
        if not folders and not objects:
            raise NotStoredError(f"{self}: nothing there", path=str(self))
        found = [self / folder for folder in folders] + [
            ObjectPath(self.store, each.key, info=each) for each in objects
        ]
        yield from sorted(found)

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """What matches below, each part of the pattern one level. Empty for a missing folder."""
        first, _, rest = pattern.partition("/")
        folders, objects = self.store.list_folder(self.key)
        for name in folders:
            if fnmatchcase(name, first):
                yield from (self / name).glob(rest) if rest else iter((self / name,))
        if not rest:
            yield from (
                ObjectPath(self.store, each.key, info=each)
                for each in objects
                if fnmatchcase(each.key.rsplit("/", 1)[-1], first)
            )

    def rglob(self, pattern: str) -> Iterator[ObjectPath]:
        """Every object at any depth whose name matches, in order. Folders are none."""
        for each in self.store.list_all(self.key):
            if fnmatchcase(each.key.rsplit("/", 1)[-1], pattern):
                yield ObjectPath(self.store, each.key, info=each)

    def read_bytes(self) -> bytes:
        """All bytes. Raises NotStoredError (a FileNotFoundError), StoreUnavailableError."""
        return self.store.get(self.key)

    def read_text(self, encoding: str = "utf-8", errors: str | None = None) -> str:
        """All text. Raises as `read_bytes`."""
        return self.read_bytes().decode(encoding, errors or "strict")

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the object. Raises NotStoredError unless `missing_ok`, StoreUnavailableError."""
        if not missing_ok:
            self.store.head(self.key)
        self.store.delete(self.key)

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a bucket has no folders."""

    def rmdir(self) -> None:
        """Nothing: a bucket has no folders."""


def _key_parts(path: ObjectPath, other: str | os.PathLike[str]) -> tuple[str, ...]:
    if isinstance(other, ObjectPath):
        if other.store.bucket != path.store.bucket:
            raise ValueError(f"{path} is not below {other}")
        return other.parts[1:]
    return tuple(os.fspath(other).split("/"))
