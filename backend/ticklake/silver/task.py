"""What is asked of a crew: units of work, in values that travel to any process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

Unit = Callable[..., bytes]


class Task(Protocol):
    """What a unit of work is to do, in values that travel to any process."""

    @property
    def key(self) -> str:
        """Tells it from every other task that is under way anywhere."""
        ...

    @property
    def date(self) -> str:
        """YYYY-MM-DD."""
        ...

    @property
    def bytes(self) -> int:
        """How much it reads; of the tasks that a crew starts with, large ones begin first."""
        ...

    @property
    def unit(self) -> Unit:
        """Does it; importable."""
        ...

    def arguments(self) -> tuple[object, ...]:
        """For the unit of work."""
        ...


Done = Callable[[Task, bytes], Iterable[Task]]
"""Called in this process with each task that is done and its outcome; gives the tasks that follow from it. Other
processes begin each of them, behind those that wait, as soon as it is given, whatever is done between two of them."""
