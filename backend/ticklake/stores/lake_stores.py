"""The stores of one lake, each made when it is first asked for."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Final

from ticklake.base.clock import Clock, SystemClock
from ticklake.files.place import place_of
from ticklake.stores.cache import ProviderCache
from ticklake.stores.decisions import DecisionStore
from ticklake.stores.file_store import FileDataStore
from ticklake.stores.timeseries import TimeSeriesDataStore

RECORDS: Final = "records"
DECISIONS: Final = "records/decisions"
SERIES: Final = "records/timeseries"
CACHE: Final = "records/cache"


class LakeStores:
    """The records of a trading operation in `DATA_ROOT/records`. Nothing is made before it is asked for.

    Attributes:
        data_root: of the lake, absolute.
    """

    def __init__(self, data_root: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        self.data_root = place_of(data_root)
        self._clock = clock or SystemClock()

    @cached_property
    def decisions(self) -> DecisionStore:
        """Trading decisions, with revisions, orders, fills and outcomes."""
        return DecisionStore({"storage_path": self.data_root / DECISIONS}, clock=self._clock)

    @cached_property
    def data(self) -> FileDataStore:
        """Bars, fundamentals, events, strategy state, audit."""
        return FileDataStore(self.data_root / RECORDS, clock=self._clock)

    @cached_property
    def timeseries(self) -> TimeSeriesDataStore:
        """Entries and frames by symbol."""
        return TimeSeriesDataStore(self.data_root / SERIES, clock=self._clock)

    @cached_property
    def cache(self) -> ProviderCache:
        """Answers of data providers, with a time to live."""
        return ProviderCache(self.data_root / CACHE, clock=self._clock)

    def __repr__(self) -> str:
        return f"LakeStores({str(self.data_root)!r})"
