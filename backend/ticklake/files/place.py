"""Where a lake lies: a folder of a local disk, or `s3://bucket/prefix`. The same code reads both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, TypeAlias

from ticklake.base.errors import ConfigError, UsageError
from ticklake.base.settings import Settings
from ticklake.files.object_path import ObjectPath
from ticklake.files.s3_access import S3Access, remember_access, s3_access

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
