"""The same call for several items at once: each waits for a store, or works in native code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place

REQUESTS_MAX: Final = 16  # of one call at the same time

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class Run(Protocol):
    """Calls a function for each item; the results come in the order of the items."""

    def __call__(self, call: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterable[ResultT]:
        """The results, perhaps as they are asked for."""


def run_for(place: Place | None) -> Run:
    """How to do the same with many files: all at once where each waits for a store, else lazily one by one."""
    return side_by_side if isinstance(place, ObjectPath) else map


def side_by_side(
    call: Callable[[ItemT], ResultT], items: Iterable[ItemT], *, at_once: int = REQUESTS_MAX
) -> list[ResultT]:
    """The results of `call` for each item, in the order of the items, `at_once` of them at the same time.

    Raises what the first failed call raised.
    """
    items = list(items)
    if len(items) < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(min(at_once, len(items)), thread_name_prefix="side-by-side") as pool:
        try:
            return list(pool.map(call, items))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # a store that is down would be asked for every item
            raise
