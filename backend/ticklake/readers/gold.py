"""The gold tier as people ask for it: live signals, and training sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from ticklake.catalog.training_sets import read_metadata, set_names, set_versions
from ticklake.files.place import Place
from ticklake.readers import scan
from ticklake.readers.dates import available_dates
from ticklake.readers.frames import Frame, as_frame
from ticklake.readers.place import find_place
from ticklake.readers.query import Day, Selection, closed, days_of
from ticklake.readers.relation import relation_of
from ticklake.readers.training import scan_training_set
from ticklake.schema.lookup import TableCatalog

SIGNALS: Final = "levels.signals"


class GoldReader:
    """Reads the gold tier. Times, order and the three outcomes are those of `BronzeReader`."""

    def __init__(self, data_root: Place | str | None = None, *, tables: TableCatalog | None = None) -> None:
        self._root, self._tables = find_place(data_root, tables)

    def read_level_signals(
        self,
        underlying: str = "ES",
        date: Day | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        columns: Sequence[str] | None = None,
        as_datetime: bool = False,
        as_pandas: bool = False,
    ) -> Frame:
        """Level signals of one underlying: one row per level and moment.

        Shape:  the columns of `levels.signals`, sorted by event time, stream sequence, place of the level in its
                message.

        Args:
            underlying: what the signals are on.
            date: one UTC date; every date when None.
            start_ns: first event time, included, ns UTC.
            end_ns: last event time, included.
            columns: which columns, in this order; all when None.
            as_datetime: add for every time `..._ns` a `..._utc` column, Datetime("ns", "UTC").
            as_pandas: give a pandas frame.

        Raises:
            NoDataError: there is no file of the underlying.
            CorruptError: a file cannot be read; the text names it.
        """
        selection = Selection(frozenset({underlying}), days_of(date), closed(start_ns, end_ns))
        relation = relation_of(self._tables.get(SIGNALS))
        frame = scan.read(self._root, relation, selection, columns=columns, as_datetime=as_datetime)
        return as_frame(frame, as_pandas=as_pandas)

    def get_available_dates(self, underlying: str | None = "ES") -> list[str]:
        """UTC dates (YYYY-MM-DD) with signals, ascending; empty when there are none. None means every underlying."""
        relation = relation_of(self._tables.get(SIGNALS))
        return [day.isoformat() for day in available_dates(self._root, relation, underlying)]

    def list_training_sets(self) -> list[str]:
        """Names of the training sets that have a current version, sorted."""
        return set_names(self._root)

    def list_training_versions(self, name: str) -> list[int]:
        """Numbers of all whole versions of a training set, ascending; empty when there are none."""
        return set_versions(self._root, name)

    def get_dataset_metadata(self, name: str, version: int | str | None = None) -> dict[str, Any]:
        """What is known about a version of a training set (the current one when None); see `TrainingMetadata`.

        Raises:
            NoDataError: no such set or version.
        """
        return read_metadata(self._root, name, version).to_dict()

    def scan_training_data(
        self,
        name: str,
        version: int | str | None = None,
        *,
        columns: Sequence[str] | None = None,
        roles: Sequence[str] | None = None,
    ) -> pl.LazyFrame:
        """The rows of a training set, lazily; see `readers.training.scan_training_set` for arguments and errors."""
        return scan_training_set(self._root, name, version, columns=columns, roles=roles)[1]

    def load_training_data(
        self,
        name: str,
        version: int | str | None = None,
        *,
        columns: Sequence[str] | None = None,
        roles: Sequence[str] | None = None,
        as_pandas: bool = False,
    ) -> Frame:
        """The rows of a training set, now; arguments and errors as for `scan_training_data`."""
        frame = self.scan_training_data(name, version, columns=columns, roles=roles).collect()
        return as_frame(frame, as_pandas=as_pandas)
