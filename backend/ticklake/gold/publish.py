"""Versions of a training set on disk: made whole in a hidden folder, named once, then made current by one rename.

    gold/history/{name}/.tmp-...        being written; whoever holds the lock next removes it
    gold/history/{name}/v000002.removed.json   retention removed that version; see `catalog.training_removed`
    gold/history/{name}/v000003/        whole and never changed again (0440): data.parquet, metadata.json, sources.json
    gold/training/{name}_metadata.json  the pointer: a copy of the metadata of the current version, replaced atomically
    gold/training/{name}.parquet        a copy of the current version's file, for plain globs; see `gold.plain_file`

The pointer decides. A crash between it and the Parquet file leaves the older file under the plain name until the next
promotion or rollback repairs it; each of the two is whole at any moment, and our readers follow the pointer.

In a bucket a version is made in a local folder, then stored object by object, each under a name that can be taken once.
`metadata.json` comes last and is the commit: a version without it does not exist, and its number is never given again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ticklake.catalog.training_removed import SUFFIX as REMOVED_SUFFIX
from ticklake.catalog.training_removed import remove_rests
from ticklake.catalog.training_sets import (
    DATA,
    HISTORY,
    METADATA,
    TrainingMetadata,
    history_folder,
    pointer,
    read_metadata,
    version_label,
)
from ticklake.files.atomic import discard, locked, replace, sort_error, temp_beside, write_new
from ticklake.files.errors import AlreadyStoredError
from ticklake.files.local import FOLDER_MODE, LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.trees import remove_tree
from ticklake.gold.plain_file import publish_plain, stage_plain

_VERSIONS: Final = "v[0-9]*"
_KEPT_MODE: Final = 0o440  # a version is never written to again

_files = LocalFiles()  # one for the process: it remembers which folders it has made durable


@contextmanager
def held(root: Place, name: str) -> Iterator[None]:
    """Hold the training set alone while the block runs; others wait. Half versions are removed before and after.

    Raises:
        DiskError: the lock cannot be taken.
    """
    with locked(history_folder(root, name)):
        remove_rests(history_folder(root, name))
        try:
            yield
        finally:
            remove_rests(history_folder(root, name))


def next_version(root: Place, name: str) -> int:
    """The number after the highest one that was ever taken, also by a version that is removed."""
    taken = (
        path.name.removeprefix("v").removesuffix(REMOVED_SUFFIX) for path in history_folder(root, name).glob(_VERSIONS)
    )
    return max((int(text) for text in taken if text.isdigit()), default=0) + 1


def stage_folder(root: Place, name: str) -> Path:
    """A new hidden folder to make a version in; on this machine for a bucket. Nobody reads it: no temp names needed.

    Raises:
        OutOfRoomError: nothing was made.
        DiskError: the disk failed.
    """
    folder = Path(temp_beside(history_folder(root, name) / METADATA))
    try:
        folder.mkdir(FOLDER_MODE)
    except OSError as error:
        raise sort_error(error, "mkdir", str(folder)) from error
    return folder


def put_staged(path: Path, content: bytes) -> None:
    """Write a file of a staged folder and sync its bytes; `seal_version` makes its name durable.

    Raises:
        DiskError: the disk failed.
    """
    file = _files.create(str(path))
    try:
        file.write([content])
    finally:
        file.close()
    sync_staged(path)


def sync_staged(path: Path) -> None:
    """Sync the bytes of a file that another library wrote into a staged folder; `seal_version` does the rest.

    Raises:
        DiskError: the disk failed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, _KEPT_MODE)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise sort_error(error, "fsync", str(path)) from error


def drop_staged(staged: Path) -> None:
    """Remove a staged folder if it is still there.

    Raises:
        DiskError: the disk failed.
    """
    remove_tree(staged)


def seal_version(root: Place, name: str, number: int, staged: Path) -> Place:
    """Give a staged folder, whose files are synced, its number. One process wins a number, whoever else tries.

    On a local disk the commit is one rename of the folder. In a bucket it is the creation of `metadata.json`, after
    the other objects.

    Returns:
        the folder of the version.

    Raises:
        AlreadyStoredError: the number is taken; the staged folder is as before.
        DiskError: the disk failed.
        StoreUnavailableError: whether it is stored is unknown; promote again.
    """
    target = history_folder(root, name) / version_label(number)
    if isinstance(target, ObjectPath):
        try:
            for path in sorted(staged.iterdir(), key=lambda path: (path.name == METADATA, path.name)):
                write_new(target / path.name, path.read_bytes())  # who gets the first of them gets the number
        except AlreadyStoredError as error:
            raise _taken(target) from error
        return target
    _files.sync_folder(str(staged))
    try:
        os.rename(staged, target)  # noqa: PTH104, a folder that holds files is never replaced by it
    except (FileExistsError, NotADirectoryError) as error:
        raise _taken(target) from error
    except OSError as error:
        if target.exists():
            raise _taken(target) from error
        raise sort_error(error, "rename", str(target)) from error
    _files.sync_folder(str(target.parent))
    return target


def make_current(root: Place, name: str, number: int) -> TrainingMetadata:
    """Let a version of the history be the current one. Call it within `held`.

    What can fail for the version's own reasons does so before the pointer moves.

    Raises:
        NoDataError: there is no such version.
        CorruptError: the version has lost its rows; the current one stays.
        OutOfRoomError: free some room; the current version stays.
        DiskError: the disk failed.
    """
    metadata = read_metadata(root, name, number)
    content = (history_folder(root, name) / version_label(number) / METADATA).read_bytes()
    staged = stage_plain(root, metadata)
    try:
        replace(pointer(root, name), content)
    except BaseException:
        if staged is not None:
            discard(staged)
        raise
    publish_plain(root, metadata, staged)
    return metadata


def data_path(name: str, number: int) -> str:
    """Where the rows of a version lie, relative to the data root."""
    return f"{HISTORY}/{name}/{version_label(number)}/{DATA}"


def _taken(target: Place) -> AlreadyStoredError:
    return AlreadyStoredError(f"{target} exists already: another curator took the number; promote again", path=target)
