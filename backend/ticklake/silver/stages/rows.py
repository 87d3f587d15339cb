"""Rows of frames that lie in memory, as a stage gets those of earlier stages.

Polars' streaming engine takes milliseconds to start a query, ten times what most queries of a stage take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import polars as pl

_FEW: Final = 100_000


def rows_of(frame: pl.LazyFrame, *, among: int = 0) -> pl.DataFrame:
    """The rows, by the engine that starts at once; by the streaming one where the query goes through many rows.

    Args:
        frame: the query.
        among: how many wide rows it goes through; 0 when it only picks columns, or few.
    """
    return frame.collect(engine="in-memory" if among <= _FEW else "auto")


def rows_of_all(frames: Sequence[pl.LazyFrame], *, among: int = 0) -> list[pl.DataFrame]:
    """The rows of each frame, what they share computed once; `among` as in `rows_of`."""
    return pl.collect_all(frames, engine="in-memory" if among <= _FEW else "auto")
