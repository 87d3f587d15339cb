"""Patience with an object store: steps are made again until they succeed, however long that takes.

The steps run on daemon threads: a store that took a request and never answers must not keep a service from ending.
"""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ticklake.base.clock import Clock
from ticklake.base.metrics import Metrics
from ticklake.files.object_answer import Answer, StoreUnavailableError

DENIED: Final = "storage_denied"
UNAVAILABLE: Final = "storage_unavailable"

_THREAD_NAME: Final = "store-request"
_THREADS: Final = 8  # requests under way at once; each holds the bytes of one file
_SILENCE_S: Final = 10.0  # longer than a good store takes for the largest file
_PAUSE_S: Final = (0.1, 5.0)  # first and longest pause, with full jitter: many writers must not come back together
_PERSON_PAUSE_S: Final = (1.0, 15.0)  # keys and buckets are mended by people
_PERSON: Final = frozenset({Answer.DENIED, Answer.NO_BUCKET})

Step = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class StoreDown:
    """Why nothing gets into the store now.

    Attributes:
        reason: `storage_denied`: a person must act; `storage_unavailable`: it passes.
        since_ns: wall clock of the first failure.
        text: what the store said last.
    """

    reason: str
    since_ns: int
    text: str


class StoreWait:
    """Makes the steps of one lane. One thread calls `run`; `call_off` and `down` are for any other.

    Attributes:
        down: what is wrong now; None while the store answers.
    """

    def __init__(self, name: str, *, clock: Clock, metrics: Metrics | None = None) -> None:
        """Nothing runs yet.

        Args:
            name: of the lane, for the log.
            clock: stamps `down`.
            metrics: count the tries of commits that the store did not settle.
        """
        self.name = name
        self.down: StoreDown | None = None
        self._clock = clock
        self._metrics = metrics
        self._is_last_try = False
        self._is_off = threading.Event()
        self._round: _Round | None = None
        self._log = structlog.get_logger().bind(lane=name)

    def run(self, steps: Sequence[Step]) -> list[Any]:
        """Make all steps, several at once; those that the store did not answer again and again. See `Persist`.

        Raises:
            StoreUnavailableError: called off; some steps may have been made.
            TickLakeError: a step failed in a way that trying again does not mend.
        """
        return self._repeat(steps, on_failure=lambda: None)

    def commit(self, steps: Sequence[Step]) -> list[Any]:
        """As `run`, for the steps of a commit: each try that ends without an answer is counted."""
        return self._repeat(steps, on_failure=self._count_unknown)

    def _repeat(self, steps: Sequence[Step], *, on_failure: Callable[[], None]) -> list[Any]:
        results: dict[int, Any] = {}
        failures = 0
        while True:
            error = self._try(steps, results)
            if error is None:
                self._note_up()
                return [results[index] for index in range(len(steps))]
            on_failure()
            self._note_down(error)
            first_s, longest_s = _PERSON_PAUSE_S if error.reason in _PERSON else _PAUSE_S
            pause_s = random.uniform(0.0, min(longest_s, first_s * 2 ** min(failures, 16)))  # noqa: S311 - jitter
            failures += 1
            if self._is_last_try or self._is_off.wait(max(pause_s, first_s / 2)):
                raise error

    def last_try(self) -> None:
        """Repeat nothing from now on; what fails already is called off. The end is near."""
        self._is_last_try = True
        if self.down is not None:
            self.call_off()

    def call_off(self) -> None:
        """Wait no longer: `run` raises, whatever its requests are doing."""
        self._is_off.set()
        running = self._round
        if running is not None:
            running.answers.put(None)

    def _try(self, steps: Sequence[Step], results: dict[int, Any]) -> StoreUnavailableError | None:
        """Make the steps that have no result yet, once."""
        left = [index for index in range(len(steps)) if index not in results]
        running = self._round = _Round(steps, left)
        if self._is_off.is_set():
            return self._called_off()
        running.start()
        failure: StoreUnavailableError | None = None
        fatal: BaseException | None = None
        for _ in range(running.threads):
            while True:
                try:
                    answer = running.answers.get(timeout=_SILENCE_S)
                except queue.Empty:
                    self._note_down(_silent())
                    continue
                if answer is None:
                    return self._called_off()
                index, result, error = answer
                if index is None:
                    break  # a thread has ended
                if error is None:
                    results[index] = result
                elif isinstance(error, StoreUnavailableError):
                    failure = failure or error
                else:
                    fatal = fatal or error
        if fatal is not None:
            raise fatal
        return failure

    def _count_unknown(self) -> None:
        if self._metrics is not None:
            self._metrics.commit_total.labels("unknown").inc()

    def _called_off(self) -> StoreUnavailableError:
        why = self.down.text if self.down is not None else "the service ends"
        return StoreUnavailableError(f"{self.name}: called off: {why}", reason=Answer.UNKNOWN)

    def _note_down(self, error: StoreUnavailableError) -> None:
        reason = DENIED if error.reason in _PERSON else UNAVAILABLE
        before = self.down
        self.down = StoreDown(reason, before.since_ns if before else self._clock.wall_ns(), str(error))
        if before is None or before.reason != reason:
            self._log.warning(
                "sink.store_down", reason=reason, error=str(error), next_step="none: it is tried until it works"
            )

    def _note_up(self) -> None:
        if self.down is not None:
            away_s = (self._clock.wall_ns() - self.down.since_ns) / 1e9
            self.down = None
            self._log.info("sink.store_back", away_s=round(away_s, 1))


class _Round:
    """One go at some steps. Its threads stop taking steps after the first failure, and say when they end."""

    def __init__(self, steps: Sequence[Step], left: Sequence[int]) -> None:
        self.answers: queue.SimpleQueue[tuple[int | None, Any, BaseException | None] | None] = queue.SimpleQueue()
        self.threads = min(_THREADS, len(left))
        self._steps = steps
        self._left: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in left:
            self._left.put(index)
        self._has_failed = False

    def start(self) -> None:
        for _ in range(self.threads):
            threading.Thread(target=self._work, name=_THREAD_NAME, daemon=True).start()

    def _work(self) -> None:
        while not self._has_failed:
            try:
                index = self._left.get_nowait()
            except queue.Empty:
                break
            try:
                self.answers.put((index, self._steps[index](), None))
            except BaseException as error:  # noqa: BLE001 - raised again, or repeated, by the thread that waits
                self._has_failed = True
                self.answers.put((index, None, error))
        self.answers.put((None, None, None))


def has_open_requests() -> bool:
    """Whether a request that was called off is still under way in this process."""
    return any(thread.name == _THREAD_NAME for thread in threading.enumerate())


def _silent() -> StoreUnavailableError:
    return StoreUnavailableError(f"the store has not answered for {_SILENCE_S:g} s", reason=Answer.UNKNOWN)
