"""PURE: what a counter did in the last minute."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import Final

WINDOW_S: Final = 60.0
_STEP_S: Final = 1.0


class Recent:
    """Remembers counters that only grow, and tells by how much each grew within the window.

    Ask often: a counter that nobody looked at for a minute has no recent past. A counter seen for the first time
    began at zero then.
    """

    def __init__(self) -> None:
        self._seen: dict[Hashable, deque[tuple[float, int]]] = {}

    def growth(self, key: Hashable, count: int, now_s: float) -> int:
        """By how much `count` grew in the last minute.

        Args:
            key: names the counter.
            count: its value now.
            now_s: by a clock that never jumps.
        """
        seen = self._seen.setdefault(key, deque([(now_s, 0)]))
        if now_s - seen[-1][0] >= _STEP_S:
            seen.append((now_s, count))
        while len(seen) > 1 and now_s - seen[0][0] > WINDOW_S:
            seen.popleft()
        return count - seen[0][1]
