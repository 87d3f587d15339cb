"""Data files that no ledger entry names: what a writer left whose log is gone in the middle of a commit.

Their rows are read again from the stream, so they must leave the tables' folders before a new writer begins. They are
moved, not removed: to `catalog/recovered/{identity}/...`, where no reader looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from ticklake.base.errors import CorruptError
from ticklake.files.atomic import remove, write_new
from ticklake.files.errors import AlreadyStoredError
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.lake.layout import LEDGER_FOLDER, ledger_folder, ledger_name

RECOVERED_FOLDER: Final = "catalog/recovered"

_PART: Final = re.compile(r"part-\d{6}-(?P<writer>[a-z0-9]+-.+)-(?P<segment>\d{8,})\.parquet")


@dataclass(frozen=True, slots=True)
class Orphan:
    """A data file without an entry.

    Attributes:
        path: relative to the data root.
        writer: who wrote it, as its name says.
        segment: of the writer's log.
    """

    path: str
    writer: str
    segment: int
    bytes: int


def ledger_writers(root: Place) -> list[str]:
    """Every writer that has entered something in the books."""
    return [folder.name for folder in _below(root / LEDGER_FOLDER) if isinstance(folder, ObjectPath) or _below(folder)]


def last_segments(root: Place) -> dict[str, int]:
    """Writer -> number of the newest segment in its ledger. Writers commit in order, so all before it are there."""
    last: dict[str, int] = {}
    for folder in _below(root / LEDGER_FOLDER):
        numbers = [int(path.stem) for path in _below(folder) if path.suffix == ".json" and path.stem.isdecimal()]
        if numbers:
            last[folder.name] = max(numbers)
    return last


def find_orphans(root: Place, folders: Iterable[str], last: Mapping[str, int]) -> Iterator[Orphan]:
    """Files of segments behind the newest one of their writer's ledger.

    Args:
        root: of the lake.
        folders: where data files lie, relative to the root.
        last: see `last_segments`; read before this is called.
    """
    for folder in folders:
        found_files: list[Place] = [*(root / folder).rglob("*.parquet")]
        for path in sorted(found_files, key=str):
            found = _PART.fullmatch(path.name)
            if found is None:
                continue  # not ours; `ticklake verify` names it
            writer, segment = found["writer"], int(found["segment"])
            if segment > last.get(writer, 0) and not (root / ledger_folder(writer) / ledger_name(segment)).is_file():
                relative = path.relative_to(root).as_posix()
                yield Orphan(relative, writer, segment, path.stat().st_size)


def move_orphan(root: Place, orphan: Orphan, *, identity: str) -> str:
    """Move a file out of its table, durably; done twice is done. Gives where it is now, relative to the root.

    Raises:
        CorruptError: other bytes have that name already.
        DiskError, OutOfRoomError, StoreUnavailableError: run again; nothing was lost.
    """
    target = f"{RECOVERED_FOLDER}/{identity}/{orphan.path}"
    try:
        content = (root / orphan.path).read_bytes()
    except FileNotFoundError:  # moved before
        return target
    try:
        write_new(root / target, content)
    except AlreadyStoredError as error:
        if (root / target).read_bytes() != content:
            raise CorruptError(
                f"{root / target}: other bytes than those of {root / orphan.path}; move one of them away by hand"
            ) from error
    remove(root / orphan.path)
    return target


def _below(folder: Place) -> list[Place]:
    """What lies directly below, in order; nothing when the folder is missing."""
    try:
        return [folder / name for name in sorted(path.name for path in folder.iterdir())]
    except FileNotFoundError:
        return []
