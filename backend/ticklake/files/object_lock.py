"""One holder at a time, in a bucket: a lease that needs no clocks in step.

The lock is a row of numbered objects; the highest number is its state. To take it is to create the next number, which
the store gives to one of us only. The holder writes its object anew every few seconds. Who waits and sees no such sign
of life for a whole lease, by its own clock, takes the lock over; at once when the holder was a process of this machine
that is no more. A holder that was stopped for so long learns of it at the end: whatever it wrote meanwhile was written
as if it held the lock, so what must never be lost is also created under names that cannot be taken twice.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Final

from ticklake.base.errors import RetryableError
from ticklake.files.errors import AlreadyStoredError, ConflictError, NotStoredError
from ticklake.files.object_answer import StoreUnavailableError
from ticklake.files.object_path import ObjectPath

LEASE_S: Final = 30.0
_RENEW_S: Final = 10.0
_POLL_S: Final = (0.02, 1.0)
_FREE: Final = b"{}"
_tokens: set[str] = set()  # of this process: locks that it holds or tries to take


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
    with _tried(place, lease_s) as held:
        held.take()
        with _kept(held, place, renew_s):
            yield


@contextmanager
def held_object(
    place: ObjectPath, *, lease_s: float = LEASE_S, renew_s: float = _RENEW_S
) -> Iterator[Callable[[], None]]:
    """The same lock for work of minutes: who finds it held is told at once by whom, and does not wait for its end.

    Gives a function to call just before what must not happen without the lock; it raises ConflictError when it is lost.

    Args:
        place: the name.
        lease_s: for so long we wait for a sign of life of a holder that we cannot see, one of another machine.
        renew_s: how often a sign of life is given.

    Raises:
        RetryableError: somebody holds it and is alive; the text names the process.
        ConflictError: as `locked_object`.
        StoreUnavailableError: the store does not answer.
    """
    with _tried(place, lease_s) as held:
        held.take_unless_alive(place)

        def check() -> None:
            if not held.is_ours():
                raise _lost(place)

        with _kept(held, place, renew_s):
            yield check


@contextmanager
def _tried(place: ObjectPath, lease_s: float) -> Iterator[_Lease]:
    """Our try to hold the lock of a name, known to this process until it is over, however it ends.

    A creation whose answer was lost may have made the lock ours without our knowing: it must not count as alive then.
    """
    held = _Lease(place.parent / f".lock-{place.name}", lease_s)
    _tokens.add(held.token)
    try:
        yield held
    finally:
        _tokens.discard(held.token)


@contextmanager
def _kept(held: _Lease, place: ObjectPath, renew_s: float) -> Iterator[None]:
    """Give signs of life while the block runs, then let others in."""
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
        raise _lost(place)


def _lost(place: ObjectPath) -> ConflictError:
    return ConflictError(
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
        self.token = uuid.uuid4().hex

    def take(self) -> None:
        """Wait until it is ours."""
        pause_s = _POLL_S[0]
        seen, since_s = (0, _FREE), time.monotonic()
        while True:
            state = self._state()
            if state != seen:
                seen, since_s, pause_s = state, time.monotonic(), _POLL_S[0]
            number, body = state
            is_dead = time.monotonic() - since_s > self._lease_s or _is_over(body)
            if (body == _FREE or is_dead) and self._create(number + 1):
                self._forget(number - 1)
                return
            time.sleep(random.uniform(0.5, 1.0) * pause_s)  # noqa: S311 - jitter
            pause_s = min(_POLL_S[1], pause_s * 2)

    def take_unless_alive(self, place: ObjectPath) -> None:
        """Make it ours; wait only to find out whether somebody is alive."""
        first, since_s = self._state(), time.monotonic()
        state = first
        while True:
            number, body = state
            is_dead = time.monotonic() - since_s > self._lease_s or _is_over(body)
            if body == _FREE or is_dead:
                if self._create(number + 1):
                    self._forget(number - 1)
                    return
            elif state != first or _is_ours_to_see(body):
                holder = json.loads(body)
                raise RetryableError(
                    f"{place} is in use by process {holder['pid']} on {holder['host']}; stop it, or wait for its end"
                )
            else:
                time.sleep(random.uniform(0.5, 1.0) * _POLL_S[1])  # noqa: S311 - jitter
            state = self._state()

    def is_ours(self) -> bool:
        """Whether nobody took it over."""
        return self._state()[0] == self._number

    def renew_until(self, stop: threading.Event, every_s: float) -> None:
        """Give signs of life. A store that does not answer is asked again with the next one."""
        while not stop.wait(every_s):
            self._beats += 1
            with suppress(StoreUnavailableError):  # the next sign of life comes soon; a lease outlasts several
                self._mine.store.put(self._mine.key, self._body())

    def release(self) -> bool:
        """Let others in; whether it was ours until now."""
        still = self.is_ours()
        if still:
            self._mine.store.put(self._mine.key, _FREE)
        return still

    @property
    def _mine(self) -> ObjectPath:
        return self._at(self._number)

    def _at(self, number: int) -> ObjectPath:
        return self._folder / f"{number:012d}.json"

    def _body(self) -> bytes:
        holder = {"token": self.token, "host": socket.gethostname(), "pid": os.getpid(), "beats": self._beats}
        return json.dumps({**holder, "machine": _machine(), "started": _started(os.getpid())}).encode()

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


def _is_over(body: bytes) -> bool:
    """Whether the holder was a process of this machine and this set of process numbers that is no more, or ours."""
    if not _is_ours_to_see(body):
        return False
    holder = json.loads(body)
    if holder["pid"] == os.getpid() and holder["started"] == _started(os.getpid()):
        return holder["token"] not in _tokens
    return bool(_started(holder["pid"]) != holder["started"])


def _is_ours_to_see(body: bytes) -> bool:
    """Whether the holder is or was a process of this machine, and this set of process numbers."""
    machine = json.loads(body).get("machine")
    return bool(machine) and machine == _machine()


@cache
def _machine() -> str | None:
    """This start of this machine and its set of process numbers (a container has its own); None where none is told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}-{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process of ours started, in ticks since the machine did; None when there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]  # a zombie runs no more; its name may hold blanks
