"""One holder at a time, in a bucket: a lease that needs no clocks in step.

The lock is a row of numbered objects; the highest number is its state. To take it is to create the next number, which
the store gives to one of us only. The holder writes its object anew every few seconds. Who waits and sees no such sign
of life for a whole lease, by its own clock, takes the lock over. A holder that was stopped for so long learns of it at
the end: whatever it wrote meanwhile was written as if it held the lock, so what must never be lost is also created
under names that cannot be taken twice.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ticklake.files.errors import AlreadyStoredError, ConflictError, NotStoredError
from ticklake.files.object_answer import StoreUnavailableError
from ticklake.files.object_path import ObjectPath

LEASE_S: Final = 30.0
_RENEW_S: Final = 10.0
_POLL_S: Final = (0.02, 1.0)
_FREE: Final = b"{}"


@contextmanager
def locked_object(place: ObjectPath, *, lease_s: float = LEASE_S, renew_s: float = _RENEW_S) -> Iterator[None]:
    """Hold the lock of a name while the block runs; others wait, wherever they are.

    Args:
        place: the name; its lock lies beside it, in `.lock-{name}/`.
        lease_s: without a sign of life for so long, others take over.
        renew_s: how often a sign of life is given.

    Raises:
        ConflictError: somebody took the lock over while we were stopped; read again what was written.
        StoreUnavailableError: the store does not answer.
    """
    held = _Lease(place.parent / f".lock-{place.name}", lease_s)
    held.take()
    stop = threading.Event()
    renewer = threading.Thread(target=held.renew_until, args=(stop, renew_s), name="object-lock", daemon=True)
    renewer.start()
    try:
        yield
    finally:
        stop.set()
        renewer.join()
        was_lost = not held.release()
    if was_lost:
        raise ConflictError(
            f"{place}: another process took the lock over while this one stood still; read it again, then decide again",
            path=str(place),
        )


class _Lease:
    """Our try to hold one lock."""

    def __init__(self, folder: ObjectPath, lease_s: float) -> None:
        self._folder = folder
        self._lease_s = lease_s
        self._number = 0
        self._beats = 0
        self._token = uuid.uuid4().hex

    def take(self) -> None:
        """Wait until it is ours."""
        pause_s = _POLL_S[0]
        seen, since_s = (0, _FREE), time.monotonic()
        while True:
            state = self._state()
            if state != seen:
                seen, since_s, pause_s = state, time.monotonic(), _POLL_S[0]
            number, body = state
            is_dead = time.monotonic() - since_s > self._lease_s
            if (body == _FREE or is_dead) and self._create(number + 1):
                self._forget(number - 1)
                return
            time.sleep(random.uniform(0.5, 1.0) * pause_s)  # noqa: S311 - jitter
            pause_s = min(_POLL_S[1], pause_s * 2)

    def renew_until(self, stop: threading.Event, every_s: float) -> None:
        """Give signs of life. A store that does not answer is asked again with the next one."""
        while not stop.wait(every_s):
            self._beats += 1
            with suppress(StoreUnavailableError):  # the next sign of life comes soon; a lease outlasts several
                self._mine.store.put(self._mine.key, self._body())

    def release(self) -> bool:
        """Let others in; whether it was ours until now."""
        still = self._state()[0] == self._number
        if still:
            self._mine.store.put(self._mine.key, _FREE)
        return still

    @property
    def _mine(self) -> ObjectPath:
        return self._at(self._number)

    def _at(self, number: int) -> ObjectPath:
        return self._folder / f"{number:012d}.json"

    def _body(self) -> bytes:
        holder = {"token": self._token, "host": socket.gethostname(), "pid": os.getpid(), "beats": self._beats}
        return json.dumps(holder).encode()

    def _state(self) -> tuple[int, bytes]:
        """The highest number and what it says."""
        while True:
            numbers = [int(path.stem) for path in self._folder.glob("*.json")]
            if not numbers:
                return 0, _FREE
            try:
                return max(numbers), self._at(max(numbers)).read_bytes()
            except NotStoredError:
                continue  # its successor removed it in between

    def _create(self, number: int) -> bool:
        self._number = number
        try:
            self._mine.store.create(self._mine.key, self._body())
        except AlreadyStoredError:
            return False
        if self._state()[0] == number:
            return True
        self._mine.unlink(missing_ok=True)  # we had looked long ago: the number was used and removed meanwhile
        return False

    def _forget(self, number: int) -> None:
        """Remove a state that is over. The one just before ours stays, for those who are reading it."""
        if number > 0:
            self._at(number).unlink(missing_ok=True)
