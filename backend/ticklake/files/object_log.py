"""Lines that are appended one by one, in a bucket, where nothing can be appended: each line is an object of its own.

    {path}/0000000001     the first line with its line feed
    {path}/0000000002     the second

The next number is created, never overwritten, so any number of writers may append at once without a lock: each line has
one place, and an answer that was lost on the way is settled by looking (`ObjectStore.create`).
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from ticklake.base.errors import CorruptError, UsageError
from ticklake.files.errors import AlreadyStoredError, NotStoredError
from ticklake.files.object_answer import Answer, StoreUnavailableError
from ticklake.files.object_path import ObjectPath

_READERS: Final = 16
_ends: dict[ObjectPath, tuple[int, int]] = {}  # lines and bytes as we last saw them: where to try first


def append_object_line(path: ObjectPath, line: bytes) -> int:
    """Append one line; it is stored when this returns.

    Returns:
        where the line starts, in bytes, as if the lines were one file.

    Raises:
        UsageError: `line` holds a line feed.
        CorruptError: a line between others is gone; nothing was appended.
        StoreUnavailableError: it may be stored or not; look before you append it again.
    """
    if b"\n" in line:
        raise UsageError("a line must not hold a line feed; encode it first (JSON does)")
    number, start = _known_end(path) or _end(path)
    while True:  # each turn somebody else appended a line
        key = (path / f"{number + 1:010d}").key
        try:
            path.store.create(key, line + b"\n", token=uuid.uuid4().hex)  # two may append the same words
        except AlreadyStoredError as error:
            taken = number + 1
            number, start = _end(path)
            if number < taken:
                raise StoreUnavailableError(
                    f"{path}/{taken:010d} is taken, and the store does not list it; nothing was appended: try again",
                    reason=Answer.UNKNOWN,
                ) from error
            continue
        _ends[path] = (number + 1, start + len(line) + 1)
        return start


def read_object_lines(path: ObjectPath) -> bytes:
    """All lines, as one file would hold them.

    Raises:
        NotStoredError: there is no line (a FileNotFoundError).
        CorruptError: a line between others is gone.
        StoreUnavailableError: the store does not answer.
    """
    found = _lines(path)
    if not found:
        raise NotStoredError(f"{path}: no such log", path=str(path))
    with ThreadPoolExecutor(_READERS, thread_name_prefix="object-log") as pool:
        return b"".join(pool.map(ObjectPath.read_bytes, found))


def object_lines_size(path: ObjectPath) -> int:
    """How many bytes `read_object_lines` would give; 0 when there is no line.

    Raises:
        CorruptError: a line between others is gone.
        StoreUnavailableError: the store does not answer.
    """
    return _end(path)[1]


def remove_object_lines(path: ObjectPath) -> bool:
    """Remove all lines; whether there were any. Only while nobody appends: the caller holds a lock.

    The last line goes first, so that whatever is left after a crash are the first lines, without a gap.

    Raises:
        StoreUnavailableError: some lines may be left; call again.
    """
    _ends.pop(path, None)
    found = sorted(path.glob("*"), reverse=True)
    for each in found:
        each.unlink(missing_ok=True)
    return bool(found)


def _known_end(path: ObjectPath) -> tuple[int, int] | None:
    """The end as we last saw it, if its last line is still there: another process may have removed the log."""
    known = _ends.get(path)
    return known if known is not None and (path / f"{known[0]:010d}").is_file() else None


def _end(path: ObjectPath) -> tuple[int, int]:
    """How many lines and bytes there are."""
    sizes = [each.stat().st_size for each in _lines(path)]
    return len(sizes), sum(sizes)


def _lines(path: ObjectPath) -> list[ObjectPath]:
    """All lines in order, none of them missing."""
    found = sorted(path.glob("*"))
    for number, each in enumerate(found, start=1):
        if each.name != f"{number:010d}":
            raise CorruptError(f"{path}/{number:010d} is gone, though later lines are there; restore it from a copy")
    return found
