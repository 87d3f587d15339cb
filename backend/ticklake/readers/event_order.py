"""The order of market events: time, then what tells events of one instant apart. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import polars as pl

EVENT_ORDER: Final = ("ts_event_ns", "stream_seq", "message_row")


def comes_too_late(columns: Iterable[str]) -> pl.Expr:
    """Of each row: whether it belongs before the row above it, by those of `EVENT_ORDER` that are among the columns.

    They hold integers; null comes first, as core NATS has no sequences.
    """
    known = frozenset(columns)
    is_late = pl.lit(value=False)
    for name in reversed([name for name in EVENT_ORDER if name in known]):
        step = pl.col(name).cast(pl.Int64).fill_null(-1).diff()
        is_late = (step < 0) | ((step == 0) & is_late)
    return is_late.fill_null(value=False)
