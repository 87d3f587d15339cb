"""Live signals as people ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from ticklake.readers import scan
from ticklake.readers.dates import available_dates
from ticklake.readers.frames import Frame, as_frame
from ticklake.readers.place import find_place
from ticklake.readers.query import Day, Selection, closed, days_of
from ticklake.readers.relation import relation_of
from ticklake.schema.lookup import TableCatalog

SIGNALS: Final = "levels.signals"


class GoldReader:
    """Reads the gold tier. Times, order and the three outcomes are those of `BronzeReader`."""

    def __init__(self, data_root: Path | str | None = None, *, tables: TableCatalog | None = None) -> None:
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
