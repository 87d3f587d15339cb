"""Versions of training sets that retention removed: one small document each, beside where the version was.

    gold/history/{name}/v000003.removed.json   durable: the version is gone for every reader, and its number is taken
    gold/history/{name}/v000003/               leaves by one rename to a temp name, then file by file

The document decides. A crash after it leaves files that nobody lists or reads; `finish_removals` takes them away.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import msgspec

from ticklake.files.atomic import TEMP_PREFIX, discard, sort_error, temp_beside, write_new
from ticklake.files.errors import UnreadableError
from ticklake.files.local import LocalFiles

FORMAT: Final = "ticklake.removed/1"
SUFFIX: Final = ".removed.json"


class RemovedVersion(msgspec.Struct, frozen=True):
    """What stays known about a version that is gone.

    Attributes:
        format: of this document.
        dataset_name: the training set.
        version: its number; never given again.
        silver_version: which feature version it held.
        created_at: when it was promoted, UTC, ISO text.
        run_id: the promotion, in the run registry.
        path: where its rows were, relative to the data root.
        rows: in it.
        bytes: of its Parquet file.
        sha256: of the whole Parquet file.
        removed_at: UTC, ISO text.
        reason: the verdict of the retention.
    """

    format: str
    dataset_name: str
    version: int
    silver_version: str
    created_at: str
    run_id: str
    path: str
    rows: int
    bytes: int
    sha256: str
    removed_at: str
    reason: str

    def told(self) -> str:
        """When and why, for messages."""
        return f"removed by retention at {self.removed_at} ({self.reason})"


def removal_of(version_folder: Path) -> Path:
    """The document that says that the version of this folder is gone."""
    return version_folder.with_name(f"{version_folder.name}{SUFFIX}")


def read_removed(version_folder: Path) -> RemovedVersion | None:
    """What is known about a removed version; None when it was not removed.

    Raises:
        UnreadableError: the document is damaged.
    """
    path = removal_of(version_folder)
    try:
        removed = msgspec.json.decode(path.read_bytes(), type=RemovedVersion)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnreadableError(f"{path}: {error}; restore it from a copy", path=path) from error
    if removed.format != FORMAT:
        raise UnreadableError(f"{path}: format {removed.format!r}, expected {FORMAT!r}; restore it from a copy",
                              path=path)  # fmt: skip
    return removed


def removed_labels(history_folder: Path) -> list[str]:
    """Labels of the versions of a set that were removed, sorted: `v000003`."""
    return sorted(path.name.removesuffix(SUFFIX) for path in history_folder.glob(f"v*{SUFFIX}"))


def write_removed(version_folder: Path, removed: RemovedVersion) -> None:
    """Make the removal durable; nothing is unlinked yet. Call it with the set locked.

    Raises:
        AlreadyStoredError: it was removed before.
        DiskError: the disk failed.
    """
    write_new(removal_of(version_folder), msgspec.json.format(msgspec.json.encode(removed), indent=2) + b"\n")


def remove_rests(history_folder: Path) -> None:
    """Take away the files of removed versions, and all that is under a temp name. Call it with the set locked.

    Raises:
        DiskError: stop; the next call goes on.
    """
    for label in removed_labels(history_folder):
        if (folder := history_folder / label).is_dir():
            try:
                folder.rename(temp_beside(folder))
            except OSError as error:
                raise sort_error(error, "rename", str(folder)) from error
            LocalFiles().sync_folder(str(history_folder))
    for left in sorted(history_folder.glob(f"{TEMP_PREFIX}*")):
        if not left.is_dir():
            discard(left)
            continue
        try:
            shutil.rmtree(left)
        except OSError as error:
            raise sort_error(error, "remove", str(left)) from error


def has_rests(history_folder: Path) -> bool:
    """Whether `remove_rests` has something to do."""
    left = any(history_folder.glob(f"{TEMP_PREFIX}*"))
    return left or any((history_folder / label).is_dir() for label in removed_labels(history_folder))
