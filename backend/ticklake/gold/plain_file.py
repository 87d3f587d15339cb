"""The file under the plain name, `gold/training/{name}.parquet`: a copy of its own of the current version's rows.

It is never a second name of the file in the history: whoever writes to the plain file must not change a version. Where
the file system can share the blocks of two files (XFS, Btrfs), the kernel makes the copy without moving a byte.

    stage_plain      before the swap: is the version whole, and does the plain name hold it? If not, a synced copy
    publish_file     after the swap: one rename

A crash in between leaves the older file under the plain name, and the copy in the history's folder, from where whoever
holds the set next removes it.
"""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Final

from ticklake.base.errors import CorruptError
from ticklake.catalog.artifact_ref import hash_file
from ticklake.catalog.training_sets import DATA, TrainingMetadata, current_data, history_folder
from ticklake.files.atomic import discard, publish_file, sort_error, temp_beside
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place

_NOT_BY_KERNEL: Final = frozenset({errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL})


def stage_plain(root: Place, metadata: TrainingMetadata) -> str | None:
    """Make ready what the plain name shall hold; None when it holds that already. Call it within `held`.

    Returns:
        a temp file for `publish_plain`.

    Raises:
        CorruptError: the version has lost its rows; nothing was changed.
        OutOfRoomError: nothing was changed.
        DiskError: the disk failed.
    """
    source = root / metadata.data.path
    try:
        if holds_version(root, metadata):
            _check_hash(source, source, metadata)
            return None
        temp = temp_beside(history_folder(root, metadata.dataset_name) / DATA)
        try:
            _copy(source, temp)
            _check_hash(Path(temp), source, metadata)
        except BaseException:
            discard(temp)
            raise
    except FileNotFoundError as error:
        raise CorruptError(f"{source} is gone; {_next_step(metadata)}") from error
    return temp


def publish_plain(root: Place, metadata: TrainingMetadata, temp: str | None) -> None:
    """Give the plain name what `stage_plain` made ready.

    Raises:
        DiskError: the disk failed.
        StoreUnavailableError: old or new rows are there; promote or roll back again.
    """
    if temp is not None:
        publish_file(temp, current_data(root, metadata.dataset_name))


def holds_version(root: Place, metadata: TrainingMetadata) -> bool:
    """Whether the plain name holds the rows of that version, byte for byte, in a file of its own."""
    plain = current_data(root, metadata.dataset_name)
    try:
        if plain.stat().st_size != metadata.data.bytes:
            return False
        if not isinstance(plain, ObjectPath) and plain.stat().st_nlink > 1:
            return False  # a second name of the history's file, as versions before this one made it
        return hash_file(plain) == metadata.data.sha256
    except FileNotFoundError:
        return False


def _check_hash(path: Place, source: Place, metadata: TrainingMetadata) -> None:
    if (found := hash_file(path)) != metadata.data.sha256:
        wanted = metadata.data.sha256[:12]
        raise CorruptError(f"{source} has sha256 {found[:12]}, promoted was {wanted}; {_next_step(metadata)}")


def _next_step(metadata: TrainingMetadata) -> str:
    return (
        "restore it from a copy, roll back to another version, "
        f"or promote {metadata.silver_version} again with force for a new one"
    )


def _copy(source: Place, temp: str) -> None:
    """Copy a version's file to a temp file of this machine; `publish_file` syncs it."""
    try:
        if isinstance(source, ObjectPath):
            Path(temp).write_bytes(source.read_bytes())
        else:
            _copy_local(source, temp)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise sort_error(error, "copy", str(source)) from error


def _copy_local(source: Path, temp: str) -> None:
    with source.open("rb") as origin, Path(temp).open("xb") as copy:
        left = os.fstat(origin.fileno()).st_size
        try:
            while left and (done := os.copy_file_range(origin.fileno(), copy.fileno(), left)):
                left -= done
        except OSError as error:
            if error.errno not in _NOT_BY_KERNEL:
                raise
            shutil.copyfileobj(origin, copy)  # both still stand at their beginning: the kernel refuses at once or never
