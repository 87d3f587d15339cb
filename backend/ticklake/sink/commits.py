"""Segments on their way into the lake: while one is committed, the next one is being encoded already.

Encoding touches no disk. Whatever is durable happens in the order of the log: nothing of a segment is staged before the
one in front of it is in the lake and gone from the log. While a store or a disk holds that one up (`is_held_up`)
nothing more should be added: what waits for it in memory stays small.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from ticklake.base.clock import Clock
from ticklake.lake.batch import EncodedSegment
from ticklake.sink.lane import Lane
from ticklake.sink.segment import Segment

_THREADS = 2  # for the oldest segment and for the one behind it
_HELD_UP_S = 1.0  # a commit takes a tenth of this; whatever takes longer may take hours


class Commits:
    """The commits of one lane, one behind the other."""

    def __init__(self, lane: Lane, *, clock: Clock, wake: Callable[[], None]) -> None:
        """Nothing is on its way.

        Args:
            lane: encodes.
            clock: tells how long a commit takes.
            wake: called when a commit has ended, well or badly.
        """
        self._lane = lane
        self._clock = clock
        self._wake = wake
        self._commit_since_s: float | None = None
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix=f"files-{lane.name}")
        self._newest: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a segment is on its way."""
        return self._newest is not None and not self._newest.done()

    @property
    def commit_s(self) -> float:
        """How long the commit under way takes already, in seconds; 0 when there is none."""
        since_s = self._commit_since_s
        return 0.0 if since_s is None else self._clock.monotonic_s() - since_s

    @property
    def is_held_up(self) -> bool:
        """Whether a commit takes so long that it seems to wait for a store or a disk."""
        return self.commit_s >= _HELD_UP_S

    async def add(self, segment: Segment, commit: Callable[[EncodedSegment], Awaitable[None]]) -> None:
        """Encode a segment that was sealed just now; when all before it are committed, begin to `commit` it and return.

        One caller at a time, in the order of the log.

        Raises:
            TickLakeError: what kept an older segment out of the lake; this one stays in the log behind it.
        """
        if not self.is_busy:
            await self.settle()  # raises what ended it
        loop = asyncio.get_running_loop()
        encoded = loop.run_in_executor(self._threads, self._lane.encode, segment)
        try:
            await self.settle()
        except BaseException:
            encoded.cancel()
            raise
        self._newest = loop.create_task(self._commit(encoded, commit))
        self._newest.add_done_callback(lambda _: self._wake())

    async def settle(self) -> None:
        """Wait until all that was added is in the lake.

        Raises:
            TickLakeError: what kept a segment out of it.
        """
        newest = self._newest
        if newest is not None:
            await asyncio.wait([newest])  # the wait may be called off, the commit goes on
            newest.result()

    def close(self) -> None:
        """Give the threads back; what is still on its way goes no further than the step it is in."""
        if self._newest is not None:
            self._newest.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _commit(
        self, encoded: asyncio.Future[EncodedSegment], commit: Callable[[EncodedSegment], Awaitable[None]]
    ) -> None:
        files = await encoded
        self._commit_since_s = self._clock.monotonic_s()
        try:
            await commit(files)
        finally:
            self._commit_since_s = None
