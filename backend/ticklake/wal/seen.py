"""Which sequences are durable with us, as ranges. For streams that cannot be read again from a position."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence

SeenRange = tuple[int, int, int]  # first, last, newest server time in ns


class SeenSet:
    """Sequences of one incarnation with the newest server time of each range.

    A message is a duplicate only if its sequence is here **and** its server time is not newer than the range's: a
    server that lost its tail gives the same sequences to new messages. Not thread-safe.
    """

    def __init__(self, ranges: Iterable[SeenRange] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self._newest_ns: list[int] = []
        for first, last, newest_ns in ranges:
            self.add_range(first, last, newest_ns=newest_ns)

    def __len__(self) -> int:
        """How many sequences are in the set."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def ranges(self) -> tuple[SeenRange, ...]:
        """Ascending, disjoint, never adjacent."""
        return tuple(zip(self._firsts, self._lasts, self._newest_ns, strict=True))

    def below(self, sequence: int) -> SeenSet:
        """A copy with only what is below `sequence`."""
        return SeenSet(
            (first, min(last, sequence - 1), newest_ns) for first, last, newest_ns in self.ranges() if first < sequence
        )

    def contains(self, sequence: int, *, server_ns: int) -> bool:
        """Whether that very message is durable with us."""
        at = bisect_right(self._firsts, sequence) - 1
        return at >= 0 and sequence <= self._lasts[at] and server_ns <= self._newest_ns[at]

    def is_reused(self, sequence: int, *, server_ns: int) -> bool:
        """Whether the sequence is known, yet for an older message: the stream began a new life."""
        at = bisect_right(self._firsts, sequence) - 1
        return at >= 0 and sequence <= self._lasts[at] and server_ns > self._newest_ns[at]

    def newest_ns(self, sequence: int | None = None) -> int:
        """Newest server time of the range that holds a sequence, or of all; 0 when there is none."""
        if sequence is None:
            return max(self._newest_ns, default=0)
        at = bisect_right(self._firsts, sequence) - 1
        return self._newest_ns[at] if at >= 0 and sequence <= self._lasts[at] else 0

    def add(self, sequence: int, *, server_ns: int) -> None:
        """Put one message into the set."""
        self.add_range(sequence, sequence, newest_ns=server_ns)

    def add_many(self, sequences: Sequence[int], server_ns: Sequence[int]) -> None:
        """Put the messages of a group into the set; cheap when the sequences follow one another."""
        if not sequences:
            return
        first, last = sequences[0], sequences[-1]
        if last - first + 1 == len(sequences) and array("q", sequences) == array("q", range(first, last + 1)):
            self.add_range(first, last, newest_ns=max(server_ns))
            return
        for sequence, stamp_ns in zip(sequences, server_ns, strict=True):
            self.add_range(sequence, sequence, newest_ns=stamp_ns)

    def add_range(self, first: int, last: int, *, newest_ns: int) -> None:
        """Put `first` to `last` (both in) into the set and join what touches."""
        low = bisect_right(self._firsts, first) - 1
        if low < 0 or self._lasts[low] < first - 1:
            low += 1
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
            newest_ns = max(newest_ns, *self._newest_ns[low:high])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]
        self._newest_ns[low:high] = [newest_ns]
