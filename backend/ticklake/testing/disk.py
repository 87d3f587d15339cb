"""A disk that crashes on command, and all the states in which a power cut may leave it.

Nothing is durable before its sync. Of a file, un-synced writes may be absent, cut at a sector, filled with zeros, or
there although an earlier one is not. Of a folder, any prefix of its un-synced creations and removals may have happened,
independently of every other folder. `CrashDisk` passes the same suite as `LocalFiles`.
"""

from __future__ import annotations

import itertools
import posixpath
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ticklake.base.errors import DiskError, OutOfRoomError

_FOLDER = -1  # stands in a folder where a file has its inode number


class PowerCut(BaseException):
    """The machine stopped; nothing may catch it as an error. Every later operation stops too, until `restart`."""


@dataclass(slots=True)
class _Write:
    at_bytes: int
    content: bytes


@dataclass(slots=True)
class _Truncate:
    size_bytes: int


@dataclass(slots=True)
class _Inode:
    durable: bytes = b""
    volatile: bytearray = field(default_factory=bytearray)
    pending: list[_Write | _Truncate] = field(default_factory=list)
    dropped: list[tuple[int, int]] = field(default_factory=list)  # after a failed sync: clean, yet never written

    def copy(self) -> _Inode:
        return _Inode(self.durable, bytearray(self.volatile), list(self.pending), list(self.dropped))


@dataclass(slots=True)
class _Folder:
    durable: dict[str, int] = field(default_factory=dict)
    volatile: dict[str, int] = field(default_factory=dict)
    pending: list[tuple[str, int | None]] = field(default_factory=list)  # name -> inode, or None: removed

    def copy(self) -> _Folder:
        return _Folder(dict(self.durable), dict(self.volatile), list(self.pending))

    def change(self, name: str, inode: int | None) -> None:
        _apply(self.volatile, name, inode)
        self.pending.append((name, inode))


@dataclass(slots=True)
class Faults:
    """What goes wrong, counted from 1. 0: never.

    Attributes:
        crash_at: the machine stops before this operation.
        sync_fails_at: this sync (of a file or folder) fails, and the pages of a file are marked clean.
        no_room_from: this write and all later ones find the disk full; half of the first one's bytes are written.
        no_room_until: this write finds room again.
        lies_at: this write says that it took everything, and took half.
    """

    crash_at: int = 0
    sync_fails_at: int = 0
    no_room_from: int = 0
    no_room_until: int = 0
    lies_at: int = 0


class CrashDisk:
    """A simulated disk below one root folder. Implements `PlacedFiles`.

    Attributes:
        faults: may be changed at any time.
        operations: how many operations changed or synced something.
        syncs: how many of them were syncs.
        writes: how many of them wrote bytes.
    """

    def __init__(
        self, *, root: str = "/disk", sector_bytes: int = 512, room_bytes: int = 1 << 40, faults: Faults | None = None
    ) -> None:
        self.root = root
        self.sector_bytes = sector_bytes
        self.faults = faults or Faults()
        self.operations = self.syncs = self.writes = 0
        self._room_bytes = room_bytes
        self._inodes: dict[int, _Inode] = {}
        self._folders: dict[str, _Folder] = {root: _Folder()}
        self._next_inode = 1
        self._durable_folders = {root}
        self._is_dead = False

    # -- the protocol ------------------------------------------------------------------------------------------------

    def create(self, path: str) -> CrashFile:
        """See `Files.create`."""
        folder, name = self._parent(path)
        if name in folder.volatile:
            raise FileExistsError(path)
        self._operate()
        number = self._next_inode
        self._next_inode += 1
        self._inodes[number] = _Inode()
        folder.change(name, number)
        return CrashFile(self, number, path)

    def read(self, path: str, first_bytes: int = -1) -> bytes:
        """See `Files.read`."""
        return bytes(self._inode(path).volatile)[: None if first_bytes < 0 else first_bytes]

    def load(self, path: str) -> memoryview:
        """See `Files.load`."""
        return memoryview(self.read(path))

    def size_bytes(self, path: str) -> int:
        """See `Files.size_bytes`."""
        return len(self._inode(path).volatile)

    def exists(self, path: str) -> bool:
        """See `Files.exists`."""
        if path in self._folders:
            return True
        try:
            folder, name = self._parent(path)
        except FileNotFoundError:
            return False
        return name in folder.volatile

    def list(self, folder: str) -> list[str]:
        """See `Files.list`."""
        self._check_alive()
        return sorted(self._folders[folder].volatile) if folder in self._folders else []

    def make_folder(self, folder: str) -> None:
        """See `Files.make_folder`."""
        self._check_alive()
        if folder in self._durable_folders:
            return
        above = posixpath.dirname(folder)
        assert above != folder, f"{folder} is not below {self.root}"
        self.make_folder(above)
        if folder not in self._folders:
            self._operate()
            self._folders[above].change(posixpath.basename(folder), _FOLDER)
            self._folders[folder] = _Folder()
        self.sync_folder(above)
        self._durable_folders.add(folder)

    def link(self, source: str, target: str) -> None:
        """See `Files.link`."""
        folder, name = self._parent(target)
        if name in folder.volatile:
            raise FileExistsError(target)
        above, source_name = self._parent(source)
        if source_name not in above.volatile:
            raise FileNotFoundError(source)
        self._operate()
        folder.change(name, above.volatile[source_name])

    def unlink(self, path: str) -> None:
        """See `Files.unlink`."""
        folder, name = self._parent(path)
        if name not in folder.volatile:
            raise FileNotFoundError(path)
        self._operate()
        folder.change(name, None)

    def remove_folder(self, folder: str) -> None:
        """See `Files.remove_folder`."""
        if self._folders[folder].volatile:
            raise DiskError(f"{folder} is not empty; empty it first")
        self._operate()
        above, name = self._parent(folder)
        above.change(name, None)
        del self._folders[folder]
        self._durable_folders.discard(folder)

    def sync_folder(self, folder: str) -> None:
        """See `Files.sync_folder`. A failed one leaves everything pending: it may or may not be there later."""
        if folder not in self._folders:
            raise DiskError(f"{folder} does not exist; make it first")
        self._operate()
        self._count_sync(folder)
        self._folders[folder].durable = dict(self._folders[folder].volatile)
        self._folders[folder].pending.clear()

    def free_bytes(self, folder: str) -> int:
        """See `Files.free_bytes`."""
        self._check_alive()
        return 0 if self._is_full(self.writes + 1) else self._room_bytes

    def same_disk(self, first: str, second: str) -> bool:
        """See `PlacedFiles.same_disk`."""
        return first.startswith(self.root) == second.startswith(self.root)

    # -- what tests do with it ---------------------------------------------------------------------------------------

    def copy(self) -> CrashDisk:
        """An independent disk in the same state, with its own faults (none)."""
        twin = CrashDisk(root=self.root, sector_bytes=self.sector_bytes, room_bytes=self._room_bytes)
        twin._inodes = {number: inode.copy() for number, inode in self._inodes.items()}
        twin._folders = {path: folder.copy() for path, folder in self._folders.items()}
        twin._next_inode = self._next_inode
        twin._durable_folders = set(self._durable_folders)
        return twin

    def restart(self) -> CrashDisk:
        """The disk after the process was killed: the page cache lives, nobody remembers what was synced."""
        twin = self.copy()
        twin._durable_folders = {self.root}
        return twin

    def tree(self) -> dict[str, bytes]:
        """Path -> content of every file that can be read now."""
        return {
            f"{path}/{name}": bytes(self._inodes[inode].volatile)
            for path, folder in sorted(self._folders.items())
            for name, inode in sorted(folder.volatile.items())
            if inode != _FOLDER
        }

    def images(self, rng: random.Random, cap: int) -> Iterator[CrashDisk]:
        """Disks as a power cut may leave this one: all of them, or `cap` drawn by `rng` when there are more."""
        folder_paths = sorted(self._folders)
        choices: list[Sequence[object]] = [_folder_images(self._folders[path]) for path in folder_paths]
        open_inodes = [number for number, inode in self._inodes.items() if inode.pending]
        choices += [_file_images(self._inodes[number], self.sector_bytes) for number in open_inodes]
        count = 1
        for options in choices:
            count *= len(options)
        drawn = (
            itertools.product(*choices)
            if count <= cap
            else (tuple(rng.choice(options) for options in choices) for _ in range(cap))
        )
        for choice in drawn:
            folders = dict(zip(folder_paths, choice[: len(folder_paths)], strict=True))
            contents = dict(zip(open_inodes, choice[len(folder_paths) :], strict=True))
            yield self._image(folders, contents)  # type: ignore[arg-type]

    # -- inside ------------------------------------------------------------------------------------------------------

    def _image(self, folders: Mapping[str, Mapping[str, int]], contents: Mapping[int, bytes]) -> CrashDisk:
        image = CrashDisk(root=self.root, sector_bytes=self.sector_bytes, room_bytes=self._room_bytes)
        image._next_inode = self._next_inode
        waiting = [self.root]
        while waiting:
            path = waiting.pop()
            entries = dict(folders.get(path, {}))
            image._folders[path] = _Folder(entries, dict(entries))
            for name, number in entries.items():
                if number == _FOLDER:
                    waiting.append(f"{path}/{name}")
                elif number not in image._inodes:
                    content = contents.get(number, self._inodes[number].durable)
                    image._inodes[number] = _Inode(content, bytearray(content))
        return image

    def _check_alive(self) -> None:
        if self._is_dead:
            raise PowerCut

    def _operate(self) -> None:
        self._check_alive()
        self.operations += 1
        if self.operations == self.faults.crash_at:
            self._is_dead = True
            raise PowerCut

    def _count_sync(self, path: str) -> None:
        self.syncs += 1
        if self.syncs == self.faults.sync_fails_at:
            raise DiskError(f"sync {path}: I/O error; check the disk, then start again")

    def _is_full(self, write: int) -> bool:
        return 0 < self.faults.no_room_from <= write and not 0 < self.faults.no_room_until <= write

    def _parent(self, path: str) -> tuple[_Folder, str]:
        self._check_alive()
        above, name = posixpath.split(path)
        if above not in self._folders:
            raise FileNotFoundError(above)
        return self._folders[above], name

    def _inode(self, path: str) -> _Inode:
        folder, name = self._parent(path)
        if folder.volatile.get(name, _FOLDER) == _FOLDER:
            raise FileNotFoundError(path)
        return self._inodes[folder.volatile[name]]


class CrashFile:
    """A growing file on a `CrashDisk`."""

    def __init__(self, disk: CrashDisk, number: int, path: str) -> None:
        self._disk = disk
        self._number = number
        self._path = path
        self._is_closed = False

    def write(self, parts: Sequence[bytes]) -> None:
        """See `AppendFile.write`."""
        assert not self._is_closed, f"{self._path} is closed"
        disk, inode = self._disk, self._disk._inodes[self._number]
        disk._operate()
        disk.writes += 1
        content = b"".join(parts)
        is_full = disk._is_full(disk.writes)
        if is_full or disk.writes == disk.faults.lies_at:
            content = content[: len(content) // 2]
        inode.pending.append(_Write(len(inode.volatile), content))
        inode.volatile += content
        if is_full:
            raise OutOfRoomError(f"write {self._path}: no space left on device; free some room, nothing was lost")

    def sync(self) -> None:
        """See `AppendFile.sync`."""
        assert not self._is_closed, f"{self._path} is closed"
        disk, inode = self._disk, self._disk._inodes[self._number]
        disk._operate()
        try:
            disk._count_sync(self._path)
        except DiskError:
            inode.dropped += [(op.at_bytes, len(op.content)) for op in inode.pending if isinstance(op, _Write)]
            inode.pending.clear()
            raise
        durable = bytearray(inode.volatile)
        for at_bytes, size_bytes in inode.dropped:
            until = min(at_bytes + size_bytes, len(durable))
            durable[at_bytes:until] = bytes(max(until - at_bytes, 0))
        inode.durable = bytes(durable)
        inode.pending.clear()

    def truncate(self, size_bytes: int) -> None:
        """See `AppendFile.truncate`."""
        inode = self._disk._inodes[self._number]
        self._disk._operate()
        inode.pending.append(_Truncate(size_bytes))
        del inode.volatile[size_bytes:]

    def close(self) -> None:
        """See `AppendFile.close`."""
        self._is_closed = True


def _apply(entries: dict[str, int], name: str, inode: int | None) -> None:
    if inode is None:
        entries.pop(name, None)
    else:
        entries[name] = inode


def _folder_images(folder: _Folder) -> list[dict[str, int]]:
    """The folder after each prefix of what is pending."""
    entries = dict(folder.durable)
    found = [dict(entries)]
    for name, inode in folder.pending:
        _apply(entries, name, inode)
        if entries not in found:
            found.append(dict(entries))
    return found


def _file_images(inode: _Inode, sector_bytes: int) -> list[bytes]:
    """What may be left of a file: prefixes of its writes, the last one torn, zeroed or there without the first."""
    found, content = {inode.durable}, bytearray(inode.durable)
    for operation in inode.pending:
        if isinstance(operation, _Truncate):
            del content[operation.size_bytes :]
            found.add(bytes(content))
            continue
        begin, end = operation.at_bytes, operation.at_bytes + len(operation.content)
        content.extend(bytes(max(end - len(content), 0)))
        content[begin:end] = operation.content
        found.add(bytes(content))
        found.add(_zeroed(content, begin, end))
        for cut in range((begin // sector_bytes + 1) * sector_bytes, end, sector_bytes):
            found.add(bytes(content[:cut]))
            found.add(_zeroed(content, cut, end))
            found.add(_zeroed(content, max(begin, cut - sector_bytes), cut))
    writes = [operation for operation in inode.pending if isinstance(operation, _Write)]
    if len(writes) > 1:
        first = writes[0]
        found.add(_zeroed(content, first.at_bytes, min(first.at_bytes + len(first.content), len(content))))
    return sorted(found)


def _zeroed(content: bytearray, begin: int, end: int) -> bytes:
    return bytes(content[:begin]) + bytes(end - begin) + bytes(content[end:])
