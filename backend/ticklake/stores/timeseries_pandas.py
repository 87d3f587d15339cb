"""Rows with times as pandas frames, for who has pandas."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import polars as pl

from ticklake.base.errors import UsageError
from ticklake.stores.timeseries_frames import TIME


def indexed_by_time(rows: pl.DataFrame) -> Any:
    """A pandas frame whose index is `timestamp`, a DatetimeIndex in UTC.

    Raises:
        UsageError: pandas is not installed.
    """
    if find_spec("pandas") is None:
        raise UsageError('pandas is not installed: `pip install "ticklake[pandas]"`, or take the Polars frame')
    return rows.to_arrow(compat_level=pl.CompatLevel.oldest()).to_pandas().set_index(TIME)
