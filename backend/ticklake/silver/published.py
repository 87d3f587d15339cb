"""Data files of a version in a bucket: put in place, and compared with what their records say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

from ticklake.base.errors import CorruptError, RetryableError
from ticklake.catalog.artifact_ref import hash_bytes
from ticklake.files.errors import AlreadyStoredError, NotStoredError
from ticklake.files.object_path import ObjectPath
from ticklake.files.side_by_side import side_by_side
from ticklake.silver.record import OutputFile

Check = Callable[[], None]


def size_and_hash(place: ObjectPath) -> tuple[int, str]:
    """Bytes and sha256 of an object: what was noted with it when it was stored, else of its bytes.

    Raises:
        NotStoredError: there is none (a FileNotFoundError).
        StoreUnavailableError: the store does not answer.
    """
    found = place.store.head(place.key)
    return found.size_bytes, found.sha256 or hash_bytes(place.read_bytes())


def holds(place: ObjectPath, file: OutputFile) -> bool:
    """Whether an object is there, byte for byte."""
    try:
        return size_and_hash(place) == (file.bytes, file.sha256)
    except NotStoredError:
        return False


def put_files(folder: ObjectPath, files: Mapping[str, OutputFile], staged: Mapping[str, Path], check: Check) -> None:
    """Store a date's new files and remove those that are no longer part of it. Its record is away meanwhile.

    Args:
        folder: of the date.
        files: name -> each file of the date, new or kept.
        staged: name -> new file on this machine.
        check: raises when the version is no longer ours; called before anything is removed.

    Raises:
        CorruptError: a staged file is not what was recorded.
        RetryableError: another builder stores the date.
    """
    extra = [old for old in folder.glob("*") if old.name not in files]
    if extra:
        check()
        side_by_side(partial(ObjectPath.unlink, missing_ok=True), extra)
    side_by_side(lambda item: _put(folder / item[0], files[item[0]], item[1], check), staged.items())


def put_record(place: ObjectPath, content: bytes) -> None:
    """Store the record of a date, where there is none: with it the date is part of the version.

    Raises:
        RetryableError: another builder stored one.
    """
    try:
        place.store.create(place.key, content)
    except AlreadyStoredError as error:
        raise _other_builder(place) from error


def _put(place: ObjectPath, file: OutputFile, source: Path, check: Check) -> None:
    content = source.read_bytes()
    if hash_bytes(content) != file.sha256:
        raise CorruptError(f"{source} changed before it was stored as {place}; build the version again")
    with suppress(AlreadyStoredError):  # by an earlier build: that file goes
        place.store.create(place.key, content)
        return
    check()
    place.store.delete(place.key)
    try:
        place.store.create(place.key, content)
    except AlreadyStoredError as error:
        raise _other_builder(place) from error


def _other_builder(place: ObjectPath) -> RetryableError:
    return RetryableError(f"{place}: another process builds the version; wait for it, then build again")
