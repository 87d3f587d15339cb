"""One owner per folder, and who that is: LOCK, IDENTITY and EPOCH of the state folder."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import ConfigError, CorruptError, RetryableError
from ticklake.files.atomic_local import replace
from ticklake.files.local import FILE_MODE, LocalFiles
from ticklake.files.os_errors import sorted_errors

RECOVERING = "RECOVERING"  # stands in a state folder that is being made anew
_IDENTITY = re.compile(r"[a-z0-9]{1,16}")
_IDENTITY_BYTES = 4  # eight hex digits: two state folders of one lake collide once in four billion


class FolderLock:
    """An exclusive lock on a folder, held until `release` or the end of the process, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, folder: str, *, clock: Clock) -> FolderLock:
        """Take the lock of an existing folder.

        Raises:
            RetryableError: another process holds it; the text names it.
            ConfigError: we may not write into the folder, or there is none.
            OutOfRoomError: try again when there is room.
            DiskError: the disk failed.
        """
        path = f"{folder}/LOCK"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}; give the folder to the user who runs this") from error
        lock = cls(descriptor)
        try:
            with sorted_errors("lock", path):
                lock._take(folder, clock)
        except BaseException:
            lock.release()
            raise
        return lock

    def release(self) -> None:
        """Let others in. The file stays: removing it would let two of them in."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _take(self, folder: str, clock: Clock) -> None:
        """Lock the open file and write into it who we are."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 4096, 0)
            raise RetryableError(
                f"{folder} is in use by {_describe(holder)}; stop it, or give this one its own state folder"
            ) from error
        started = datetime.fromtimestamp(clock.wall_ns() // 1_000_000_000, UTC).isoformat()
        holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, holder, 0)


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The locked state folder. A context manager; open with `StateFolder.open`.

    Attributes:
        path: absolute path.
        identity: who writes: eight lower-case hex digits (or the configured writer id), made once.
        epoch: number of this start, from 1.
    """

    path: str
    identity: str
    epoch: int
    _lock: FolderLock

    @classmethod
    def open(
        cls,
        path: str,
        *,
        clock: Clock | None = None,
        entropy: Callable[[int], bytes] = os.urandom,
        writer_id: str | None = None,
        is_recovering: bool = False,
    ) -> StateFolder:
        """Create what is missing, take the lock, count the start durably.

        Args:
            path: the folder; made when missing.
            clock: stamps the lock.
            entropy: gives n random bytes.
            writer_id: identity to use instead of a random one; must stay the same for the life of the folder.
            is_recovering: open it although it is only half made, to make it whole.

        Raises:
            RetryableError: another process holds the folder.
            ConfigError: `writer_id` is not the identity of this folder, or no valid one.
            CorruptError: IDENTITY or EPOCH cannot be read, or a recovery of the folder did not come to its end.
            OutOfRoomError: try again when there is room.
            DiskError: stop.
        """
        files = LocalFiles()
        path = str(Path(path).absolute())
        files.make_folder(path)
        lock = FolderLock.acquire(path, clock=clock or SystemClock())
        try:
            if not is_recovering:
                _check_whole(files, path)
            identity = _read_identity(files, path, writer_id) or _make_identity(path, writer_id, entropy)
            epoch = _read_epoch(files, path) + 1
            replace(f"{path}/EPOCH", f"{epoch}\n".encode())
        except BaseException:
            lock.release()
            raise
        return cls(path, identity, epoch, lock)

    def close(self) -> None:
        """Give the folder back."""
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _check_whole(files: LocalFiles, path: str) -> None:
    if files.exists(f"{path}/{RECOVERING}"):
        raise CorruptError(f"{path}: a recovery did not come to its end; run `ticklake recover` again")


def _read_identity(files: LocalFiles, path: str, writer_id: str | None) -> str | None:
    if writer_id is not None and not _IDENTITY.fullmatch(writer_id):
        raise ConfigError(f"writer_id {writer_id!r}: expected 1 to 16 of a-z and 0-9; change the setting")
    try:
        identity = files.read(f"{path}/IDENTITY").decode("ascii", "replace").strip()
    except FileNotFoundError:
        return None
    if not _IDENTITY.fullmatch(identity):
        raise CorruptError(f"{path}/IDENTITY holds {identity[:40]!r}; restore it: file names in the lake carry it")
    if writer_id not in (None, identity):
        raise ConfigError(
            f"writer_id is {writer_id!r}, but {path} belongs to {identity!r}; "
            "drop the setting, or give this writer its own state folder"
        )
    return identity


def _make_identity(path: str, writer_id: str | None, entropy: Callable[[int], bytes]) -> str:
    identity = writer_id or entropy(_IDENTITY_BYTES).hex()
    replace(f"{path}/IDENTITY", f"{identity}\n".encode())
    return identity


def _read_epoch(files: LocalFiles, path: str) -> int:
    try:
        content = files.read(f"{path}/EPOCH")
    except FileNotFoundError:
        return 0
    if not content.strip().isdigit():
        raise CorruptError(f"{path}/EPOCH holds {content[:40]!r}; write the number of starts so far, or 0")
    return int(content)


def _describe(holder: bytes) -> str:
    try:
        facts = json.loads(holder)
        return f"process {facts['pid']} on {facts['host']}, started {facts['started']}"
    except (ValueError, KeyError, TypeError):
        return "a process that is just starting"
