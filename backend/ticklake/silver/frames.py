"""The named frames that pass from stage to stage, and small questions about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

Frames = Mapping[str, pl.LazyFrame]
"""Frame name -> its rows, lazily. Sorted by event time, then `stream_seq`, `message_row`, where a frame has those."""


def columns_of(frame: pl.LazyFrame) -> tuple[str, ...]:
    """Names of the columns, in their order. Resolves the query, reads no row."""
    return tuple(frame.collect_schema().names())


def missing_columns(frames: Frames, name: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """Those of the wanted columns that the frame lacks, in the order asked; all of them when there is no such frame."""
    known = frozenset(columns_of(frames[name])) if name in frames else frozenset[str]()
    return tuple(column for column in wanted if column not in known)
