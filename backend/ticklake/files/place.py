"""Where a lake lies: a folder of a local disk, or `s3://bucket/prefix`. The same code reads both."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from ticklake.base.errors import ConfigError, UsageError
from ticklake.files.object_path import ObjectPath
from ticklake.files.s3_access import S3Access, remember_access, s3_access

if TYPE_CHECKING:
    from ticklake.base.settings import Settings

Place: TypeAlias = Path | ObjectPath

S3: Final = "s3://"


def place_of(text: str | os.PathLike[str], *, access: S3Access | None = None) -> Place:
    """The place that a path or an address names; a relative path becomes absolute.

    Args:
        text: a path, `s3://bucket/prefix`, or a place (given back as it is).
        access: how to reach the store; None: as this process was told before (`lake_place`), else by the settings.

    Raises:
        UsageError: an address of another kind, or without a bucket.
        ConfigError: the settings are needed and wrong, or the client of object stores is not installed.
    """
    if isinstance(text, ObjectPath):
        return text
    text = os.fspath(text)
    if not text.startswith(S3):
        if "://" in text:
            raise UsageError(f"{text!r}: a lake lies in a local folder or at s3://bucket/prefix")
        return Path(text).expanduser().absolute()
    bucket, _, key = text.removeprefix(S3).partition("/")
    if not bucket:
        raise UsageError(f"{text!r} names no bucket; write s3://bucket/prefix")
    try:
        from ticklake.files.object_store import open_store  # an extra, and 25 ms
    except ImportError as error:
        raise ConfigError(f"{text}: the client of object stores is missing; run: pip install 'ticklake[s3]'") from error
    return ObjectPath(open_store(bucket, access), key.strip("/"))


def lake_place(settings: Settings) -> Place:
    """The lake of these settings. Later `place_of` calls reach the same bucket in the same way.

    Raises:
        ConfigError: the client of object stores is not installed.
    """
    text = os.fspath(settings.data_root)
    if text.startswith(S3):
        remember_access(text.removeprefix(S3).partition("/")[0], s3_access(settings.s3))
    return place_of(text)


def place_in(root: Place, path: str | os.PathLike[str]) -> Place:
    """`root/path`; a path or an address that is absolute by itself. `.` and `..` are followed.

    Raises:
        UsageError: it leads out of a bucket.
    """
    text = path if isinstance(path, ObjectPath) else os.fspath(path)
    if isinstance(text, ObjectPath) or text.startswith(S3):
        own = isinstance(root, ObjectPath) and str(text).startswith(f"{S3}{root.store.bucket}/")
        return place_of(text, access=root.store.access if own and isinstance(root, ObjectPath) else None)
    if isinstance(root, ObjectPath) and not text.startswith("/"):
        key = posixpath.normpath(posixpath.join(root.key, text))
        if key.startswith(".."):
            raise UsageError(f"{text!r} leads out of the bucket of {root}; use a name below it, or a whole address")
        return ObjectPath(root.store, "" if key == "." else key)
    return Path(os.path.normpath(Path(root) / text))


def name_in(root: Place, path: str | os.PathLike[str]) -> str:
    """How `place_in(root, path)` is written down: relative to the root when it lies below, so that a lake may move."""
    place = place_in(root, path)
    return str(place.relative_to(root) if place.is_relative_to(root) else place)


def sorted_places(places: Iterable[Place]) -> list[Place]:
    """Places sorted by their names, part by part, as paths are."""
    return sorted(places, key=lambda place: place.parts)
