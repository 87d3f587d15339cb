"""Versions of training sets that retention removed: one small document each, beside where the version was.

    gold/history/{name}/v000003.removed.json   durable: the version is gone for every reader, and its number is taken
    gold/history/{name}/v000003/               leaves by one rename to a temp name, then file by file

The document decides. A crash after it leaves files that nobody lists or reads; `finish_removals` takes them away. In a
bucket, where nothing can be renamed, the objects of the version go one by one, its metadata first. A version there that
a killed promotion left unfinished gets such a document too after a day, so that its number is never given again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from ticklake.base.clock import SystemClock
from ticklake.files.atomic import TEMP_PREFIX, discard, sort_error, temp_beside, write_new
from ticklake.files.errors import UnreadableError
from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place, sorted_places
from ticklake.files.trees import remove_tree

FORMAT: Final = "ticklake.removed/1"
SUFFIX: Final = ".removed.json"
COMMIT: Final = "metadata.json"
"""The document of a version whose presence makes it one, in a bucket."""
_LABEL: Final = re.compile(r"v\d{6,9}")
_UNFINISHED_KEPT_NS: Final = 86_400_000_000_000


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


def removal_of(version_folder: Place) -> Place:
    """The document that says that the version of this folder is gone."""
    return version_folder.with_name(f"{version_folder.name}{SUFFIX}")


def read_removed(version_folder: Place) -> RemovedVersion | None:
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


def removed_labels(history_folder: Place) -> list[str]:
    """Labels of the versions of a set that were removed, sorted: `v000003`."""
    return sorted(path.name.removesuffix(SUFFIX) for path in history_folder.glob(f"v*{SUFFIX}"))


def write_removed(version_folder: Place, removed: RemovedVersion) -> None:
    """Make the removal durable; nothing is unlinked yet. Call it with the set locked.

    Raises:
        AlreadyStoredError: it was removed before.
        DiskError: the disk failed.
    """
    write_new(removal_of(version_folder), msgspec.json.format(msgspec.json.encode(removed), indent=2) + b"\n")


def remove_rests(history_folder: Place) -> None:
    """Take away the files of removed versions, and what killed promotions left. Call it with the set locked.

    Raises:
        DiskError: stop; the next call goes on.
        StoreUnavailableError: stop; the next call goes on.
    """
    if isinstance(history_folder, ObjectPath):
        for rest in find_rests(history_folder):
            _remove_rest(rest)
        return
    for label in removed_labels(history_folder):
        if (folder := history_folder / label).is_dir():
            try:
                folder.rename(temp_beside(folder))
            except OSError as error:
                raise sort_error(error, "rename", str(folder)) from error
            LocalFiles().sync_folder(str(history_folder))
    for left in sorted_places(history_folder.glob(f"{TEMP_PREFIX}*")):
        if left.is_dir():
            remove_tree(left)
        else:
            discard(left)


def has_rests(history_folder: Place) -> bool:
    """Whether `remove_rests` has something to do."""
    if isinstance(history_folder, ObjectPath):
        return any(find_rests(history_folder))
    left = any(history_folder.glob(f"{TEMP_PREFIX}*"))
    return left or any((history_folder / label).is_dir() for label in removed_labels(history_folder))


@dataclass(frozen=True, slots=True)
class Rest:
    """Objects of a version that does not exist: removed, or never finished.

    Attributes:
        folder: of the version.
        objects: what is left there.
        is_removed: whether the document says so already.
    """

    folder: ObjectPath
    objects: tuple[ObjectPath, ...]
    is_removed: bool


def find_rests(history_folder: ObjectPath) -> list[Rest]:
    """What may go from a history in a bucket: of removed versions, and of versions that nobody can be making any more.

    A version without its metadata is one that a curator is making, or was killed over. It stays for a day, so that one
    that was only slow does not lose what it is about to name.
    """
    versions: dict[str, list[ObjectPath]] = {}
    removed: set[str] = set()
    for path in history_folder.rglob("*"):
        label, *below = path.relative_to(history_folder).parts
        if below:
            versions.setdefault(label, []).append(path)
        else:
            removed.add(label.removesuffix(SUFFIX))
    found = [
        Rest(history_folder / label, tuple(objects), label in removed)
        for label, objects in versions.items()
        if label in removed or _is_given_up(objects)
    ]
    return [rest for rest in found if _LABEL.fullmatch(rest.folder.name)]


def _is_given_up(objects: Sequence[ObjectPath]) -> bool:
    young_ns = SystemClock().wall_ns() - _UNFINISHED_KEPT_NS
    return all(path.name != COMMIT and path.stat().st_mtime_ns < young_ns for path in objects)


def _remove_rest(rest: Rest) -> None:
    """The document first, so that the number stays taken and nobody can finish the version any more."""
    if not rest.is_removed:
        begun, now = min(path.stat().st_mtime for path in rest.objects), SystemClock().wall_ns() / 1e9
        write_removed(
            rest.folder,
            RemovedVersion(
                format=FORMAT,
                dataset_name=rest.folder.parent.name,
                version=int(rest.folder.name[1:]),
                silver_version="",
                created_at=datetime.fromtimestamp(begun, UTC).isoformat(),
                run_id="",
                path="/".join(rest.objects[0].parts[-5:]),
                rows=0,
                bytes=sum(path.stat().st_size for path in rest.objects),
                sha256="",
                removed_at=datetime.fromtimestamp(now, UTC).isoformat(),
                reason="its promotion never came to its end",
            ),
        )
    for path in sorted(rest.objects, key=lambda path: path.name != COMMIT):  # what made it a version goes first
        path.unlink(missing_ok=True)
