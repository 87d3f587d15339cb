"""The named frames that pass from stage to stage, and small questions about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

Frames = Mapping[str, pl.LazyFrame]
"""Frame name -> its rows, lazily. Sorted by event time, then `stream_seq`, `message_row`, where a frame has those."""

EVENT_ORDER = ("ts_event_ns", "stream_seq", "message_row")
"""What market events are sorted by: time, then what tells events of one instant apart."""


def columns_of(frame: pl.LazyFrame) -> tuple[str, ...]:
    """Names of the columns, in their order. Resolves the query, reads no row."""
    return tuple(frame.collect_schema().names())


def missing_columns(frames: Frames, name: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """Those of the wanted columns that the frame lacks, in the order asked; all of them when there is no such frame."""
    known = frozenset(columns_of(frames[name])) if name in frames else frozenset[str]()
    return tuple(column for column in wanted if column not in known)


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
