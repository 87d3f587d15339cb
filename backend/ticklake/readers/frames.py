"""The frame library people asked for: Polars as it is, pandas on request."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import polars as pl

from ticklake.base.errors import UsageError

Frame = Any
"""A Polars frame, or a pandas frame where a call says `as_pandas=True`. Any: pandas may not be installed."""


def as_frame(frame: pl.DataFrame, *, as_pandas: bool) -> Frame:
    """The frame itself, or a pandas frame with Arrow-backed columns (so that integers with nulls stay integers).

    Raises:
        UsageError: pandas is asked for and not installed.
    """
    if not as_pandas:
        return frame
    if find_spec("pandas") is None:
        raise UsageError('pandas is not installed: `pip install "ticklake[pandas]"`, or take the Polars frame')
    return frame.to_pandas(use_pyarrow_extension_array=True)
