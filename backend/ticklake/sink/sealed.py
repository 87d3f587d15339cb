"""Segments that are sealed and still in the log: those on their way into the lake, and empty ones among them.

The files of the log go oldest first, one by one. A segment that is missing behind one that is still there would read as
damage at the next start, so an empty one goes together with the one in front of it.
"""

from __future__ import annotations

import threading
from collections import deque

from ticklake.files.protocol import Files
from ticklake.sink.room import put_off
from ticklake.sink.segment import Segment
from ticklake.wal.log import retire


class SealedSegments:
    """The sealed segments of one lane. The log thread adds, the commit thread removes; for both, and for watchers."""

    def __init__(self, files: Files, folder: str, *, lane: str, lock: threading.Lock) -> None:
        """Nothing is sealed yet.

        Args:
            files: the disk.
            folder: the lane's log.
            lane: its name, for people.
            lock: guards what two threads change; a caller of `add`, `messages` or `size_bytes` holds it.
        """
        self._files = files
        self._folder = folder
        self._lane = lane
        self._lock = lock
        self._waiting: deque[Segment] = deque()
        self._emptied: list[int] = []

    @property
    def oldest(self) -> Segment | None:
        """The one that is committed next."""
        return self._waiting[0] if self._waiting else None

    @property
    def messages(self) -> int:
        """Messages in them."""
        return sum(segment.messages for segment in self._waiting)

    @property
    def size_bytes(self) -> int:
        """Their size in the log."""
        return sum(segment.size_bytes for segment in self._waiting)

    def add(self, segment: Segment) -> None:
        """One more waits for its commit."""
        self._waiting.append(segment)

    def add_empty(self, number: int) -> None:
        """Segment `number` ended without a message: it goes now, or behind the ones that wait in front of it.

        Raises:
            DiskError: stop.
        """
        with self._lock:
            self._emptied.append(number)
            is_first = not self._waiting  # else the commit thread takes it along
        if is_first:
            with put_off(self._lane):
                self._retire(None)

    def remove_oldest(self) -> None:
        """The oldest one is in the lake: remove it from the log, with the empty ones behind it. Durable on return.

        Raises:
            OutOfRoomError: it still waits; call again.
            DiskError: stop.
        """
        self._retire(self._waiting[0])
        with self._lock:
            self._waiting.popleft()

    def _retire(self, committed: Segment | None) -> None:
        with self._lock:
            behind = [segment.number for segment in self._waiting if segment is not committed]
            empty = [number for number in self._emptied if not behind or number < behind[0]]
        retire(self._files, self._folder, sorted([*empty, *([committed.number] if committed else [])]))
        with self._lock:
            self._emptied = [number for number in self._emptied if number not in empty]
