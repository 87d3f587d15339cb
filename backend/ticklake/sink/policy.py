"""When a flush is due. Pure: the caller brings the time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ticklake.schema.messages import MessageGroup


@dataclass(frozen=True, slots=True)
class FlushRule:
    """One table's wish: flush at so many messages or after so many seconds, whichever comes first.

    Attributes:
        rows: of `flush_rows`. Nobody looks into a payload before the log has it, so messages are counted: one row each,
            unless a publisher sends batches.
        seconds: of `flush_seconds`.
    """

    rows: int
    seconds: float


class FlushPolicy:
    """Counts what waits in the open segment of one lane and says when it must go.

    A flush is due when the first table of the lane reaches its rule; the whole segment goes, because a segment is one
    micro-batch. It still waits until `interval_min_s` has passed since the last one, so that batches grow under load
    instead of files multiplying; only a full segment (`bytes_max`) does not wait.
    """

    def __init__(self, rule_of: Callable[[bytes], FlushRule], *, interval_min_s: float, bytes_max: int) -> None:
        """Start with an empty segment.

        Args:
            rule_of: subject -> the rule of its table; asked once per distinct subject.
            interval_min_s: shortest time between two flushes.
            bytes_max: payload bytes at which the segment is full.
        """
        self._rule_of = rule_of
        self._rules: dict[bytes, FlushRule] = {}
        self._interval_min_s = interval_min_s
        self._bytes_max = bytes_max
        self._last_flush_s = float("-inf")
        self._is_asked = False
        self._clear()

    def _clear(self) -> None:
        self.messages = 0
        self.payload_bytes = 0
        self.first_s: float | None = None
        self._counts: dict[FlushRule, int] = {}
        self._deadline_s = float("inf")

    @property
    def is_full(self) -> bool:
        """Whether the segment has reached its size limit."""
        return self.payload_bytes >= self._bytes_max

    def note(self, group: MessageGroup, now_s: float) -> None:
        """A group became durable in the open segment."""
        if self.first_s is None:
            self.first_s = now_s
        self.messages += len(group)
        self.payload_bytes += group.payload_bytes
        counts = Counter(group.subject_codes) if len(group.subjects) > 1 else {0: len(group)}  # one pass: many subjects
        for code, subject in enumerate(group.subjects):
            rule = self._rules.get(subject)
            if rule is None:
                if len(self._rules) > 100_000:  # hostile subjects must not grow this for ever
                    self._rules.clear()
                rule = self._rules[subject] = self._rule_of(subject)
            self._counts[rule] = self._counts.get(rule, 0) + counts[code]
            self._deadline_s = min(self._deadline_s, now_s + rule.seconds)

    def ask(self) -> None:
        """Somebody wants a flush now (SIGUSR1, shutdown)."""
        self._is_asked = True

    def due_in_s(self, now_s: float) -> float | None:
        """Seconds until the open segment must be flushed: 0 = now, None = nothing waits."""
        if self.first_s is None:
            self._is_asked = False
            return None
        if self._is_asked or self.is_full:
            return 0.0
        is_counted = any(count >= rule.rows for rule, count in self._counts.items())
        wanted_s = now_s if is_counted else self._deadline_s
        return max(wanted_s, self._last_flush_s + self._interval_min_s, now_s) - now_s

    def flushed(self, now_s: float) -> None:
        """The open segment was taken; a new, empty one begins."""
        self._last_flush_s = now_s
        self._is_asked = False
        self._clear()
