"""Room on the disk: a check before work, and a reserve that lets commits free the log when everything is full."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import structlog

from ticklake.base.errors import OutOfRoomError
from ticklake.files.protocol import Files

BALLAST_BYTES = 64 * 1024 * 1024  # two full segments as Parquet, with their folders

ResultT = TypeVar("ResultT")
_PIECE_BYTES = 1024 * 1024

log = structlog.get_logger()


def has_room(files: Files, folder: str, *, need_bytes: int) -> bool:
    """Whether the folder's disk has that much room for us right now."""
    return files.free_bytes(folder) >= need_bytes


@contextmanager
def put_off(lane: str) -> Iterator[None]:
    """Around tidying that a later commit or start makes good: a full disk is told, and what was done stays done."""
    try:
        yield
    except OutOfRoomError as error:
        log.warning(
            "sink.tidying_put_off", lane=lane, error=str(error), next_step="none: a later commit removes what is left"
        )


class Ballast:
    """A file that only takes room, so that there is some to give back. Not durable and need not be. For any thread."""

    def __init__(self, files: Files, folder: str, *, name: str, size_bytes: int = BALLAST_BYTES) -> None:
        self._files = files
        self._folder = folder
        self._path = f"{folder}/{name}"
        self._size_bytes = size_bytes
        self._lock = threading.Lock()  # one thread may need the reserve while another makes it

    @property
    def is_held(self) -> bool:
        """Whether the reserve is there in full."""
        return self._size_bytes > 0 and self._held_bytes() == self._size_bytes

    def make(self) -> bool:
        """Take the reserve when the disk has four times as much to give. Whether it is held now; never an error."""
        with self._lock:
            if self._size_bytes == 0 or self.is_held:
                return self.is_held
            if not has_room(self._files, self._folder, need_bytes=4 * self._size_bytes):
                return False
            try:
                self._drop()  # part of a reserve is none
                self._fill()
            except OutOfRoomError:
                with suppress(OutOfRoomError):  # the part that is left goes with the next try
                    self._drop()
                return False
            return True

    def aid(self, step: Callable[[], ResultT]) -> ResultT:
        """Take a step; when it finds no room, give the reserve back and take it once more.

        Raises:
            OutOfRoomError: there is no room in spite of it, or no reserve.
        """
        try:
            return step()
        except OutOfRoomError:
            if not self.release():
                raise
            return step()

    def release(self) -> bool:
        """Give the reserve back to the disk. Whether there was any.

        Raises:
            OutOfRoomError: not even that is possible now.
            DiskError: stop.
        """
        with self._lock:
            return self._drop()

    def _fill(self) -> None:
        piece = os.urandom(min(_PIECE_BYTES, self._size_bytes))  # zeros may be stored as nothing
        file = self._files.create(self._path)
        try:
            left_bytes = self._size_bytes
            while left_bytes:
                file.write([piece[:left_bytes]])
                left_bytes -= min(len(piece), left_bytes)
        finally:
            file.close()

    def _drop(self) -> bool:
        if not self._files.exists(self._path):
            return False
        self._files.unlink(self._path)
        self._files.sync_folder(self._folder)
        return True

    def _held_bytes(self) -> int:
        try:
            return self._files.size_bytes(self._path)
        except FileNotFoundError:
            return 0
