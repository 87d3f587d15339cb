"""Time series by symbol: single entries as JSON lines, frames as Parquet.

    store = TimeSeriesDataStore("data/time_series_data")
    store.save_data("BTCUSD", {"timestamp": "2024-12-29T10:00:00", "price": 42500.50})
    store.save_dataframe("BTCUSD", frame, start, end, "1h")

This is history: it does not expire. What a provider may be asked again for belongs into `ProviderCache`. Capitals make
no difference in symbols (`IBM`, `ibm`); every other difference does (`BTC/USD`, `BTCUSD`). Threads and processes may
share a folder on one machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, Literal

import polars as pl
import structlog

from ticklake.base.clock import Clock, SystemClock
from ticklake.base.errors import UsageError
from ticklake.base.moments import iso_text
from ticklake.files.atomic import append_line, read_lines
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import UnreadableError
from ticklake.files.frames import to_arrow
from ticklake.files.place import Place, place_of
from ticklake.files.trees import make_folder
from ticklake.stores.decision_time import Moment
from ticklake.stores.timeseries_frames import (
    StoredFrame,
    list_frames,
    overlay,
    read_rows,
    with_time,
    write_rows,
)
from ticklake.stores.timeseries_pandas import indexed_by_time
from ticklake.stores.timeseries_ranges import SUFFIX, TimeSpan, covers, series_prefix, step_ns, symbol_name

DEFAULT_FOLDER: Final = "data/time_series_data"
_LINES_SUFFIX: Final = "_timeseries.jsonl"
_ATTEMPTS_MAX: Final = 3  # each lost race needs somebody to remove a file while we read

_log = structlog.get_logger()


class TimeSeriesDataStore:
    """The series of one folder."""

    def __init__(self, storage_path: str | os.PathLike[str] = DEFAULT_FOLDER, *, clock: Clock | None = None) -> None:
        """Make the folder.

        Raises:
            DiskError: it cannot be made.
        """
        self.storage_path = place_of(storage_path)
        self._clock = clock or SystemClock()
        make_folder(self.storage_path)

    def save_data(self, symbol: str, data_entry: Mapping[str, Any]) -> None:
        """Append one entry, durably. Its values come back as they are: times, Decimals, enums (see `documents`).

        Raises:
            UsageError: no symbol, no mapping, or a value that no document can hold.
            DiskError, OutOfRoomError: nothing was appended.
        """
        if not isinstance(data_entry, Mapping):
            raise UsageError(f"an entry is a mapping, not {type(data_entry).__name__}")
        append_line(self._lines_path(symbol), encode_document(dict(data_entry), indent=None))

    def load_data(self, symbol: str, *, damaged: Literal["skip", "raise"] = "skip") -> list[dict[str, Any]]:
        """All entries of a symbol in the order in which they were appended; empty when there are none.

        Args:
            symbol: whose.
            damaged: what to do with a line that is no entry: leave it out and name it in the log, or raise.

        Raises:
            UnreadableError: a line is damaged and `damaged` is "raise".
        """
        path = self._lines_path(symbol)
        try:
            content = read_lines(path)
        except FileNotFoundError:
            return []
        entries = []
        whole = content[: content.rfind(b"\n") + 1]  # what follows is being written, or its writer was killed
        for number, line in enumerate(whole.split(b"\n"), start=1):
            if line.strip():
                try:
                    entries.append(_entry_of(line, f"{path}:{number}"))
                except UnreadableError as error:
                    if damaged == "raise":
                        raise
                    _log.warning("timeseries.line_skipped", path=str(path), line=number, reason=str(error))
        return entries

    def save_dataframe(self, asset_pair: str, df: Any, start_date: Moment, end_date: Moment, timeframe: str) -> None:
        """Store what is known of a range: it replaces what was stored of the same range, whole or not at all.

        A frame without rows is not stored and named in the log: nothing known is not the same as nothing there.

        Args:
            asset_pair: symbol.
            df: Polars or pandas frame, Arrow table, or anything with `__arrow_c_stream__`; times in a DatetimeIndex or
                in a column.
            start_date: first time, included. What names no zone is UTC.
            end_date: last time, included; a date without a time of day includes that whole day.
            timeframe: length of the bars, such as 1h.

        Raises:
            FrameError: no frame, or no clear times in it.
            UsageError: the range or a name makes no sense.
            DiskError, OutOfRoomError: an older file is untouched.
        """
        span, prefix = TimeSpan.of(start_date, end_date), series_prefix(asset_pair, timeframe)
        if to_arrow(df).num_rows == 0:
            _log.warning("timeseries.frame_empty", asset_pair=asset_pair, timeframe=timeframe, range=span.text)
            return
        facts = {
            "asset_pair": asset_pair,
            "timeframe": timeframe,
            "start": iso_text(span.start_ns),
            "end": iso_text(span.end_ns),
        }
        path = self.storage_path / f"{prefix}{span.text}{SUFFIX}"
        write_rows(with_time(df), path, facts=facts, saved_ns=self._clock.wall_ns())

    def load_dataframe(
        self, asset_pair: str, start_date: Moment, end_date: Moment, timeframe: str, *, as_pandas: bool = False
    ) -> Any:
        """The rows of a range, from the file of that range or from others that cover it; None when none do.

        Shape:  Polars frame sorted by its first column `timestamp`, Datetime in UTC; with `as_pandas` a pandas frame
                with these as its DatetimeIndex. A range that was saved comes back as it was saved, also with rows
                outside of it.

        Raises:
            UnreadableError: a file of the series is damaged.
            UsageError: the range or a name makes no sense, or pandas is not installed.
        """
        wanted, prefix = TimeSpan.of(start_date, end_date), series_prefix(asset_pair, timeframe)
        rows = self._load(wanted, prefix, step_ns(timeframe))
        if rows is None or not as_pandas:
            return rows
        return indexed_by_time(rows)

    def _load(self, wanted: TimeSpan, prefix: str, bar_ns: int) -> pl.DataFrame | None:
        for attempt in range(_ATTEMPTS_MAX):
            frames = [frame for frame in list_frames(self.storage_path, prefix) if frame.span.meets(wanted)]
            try:
                return _answer(frames, wanted, bar_ns)
            except FileNotFoundError:
                if attempt + 1 == _ATTEMPTS_MAX:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _lines_path(self, symbol: str) -> Place:
        return self.storage_path / f"{symbol_name(symbol)}{_LINES_SUFFIX}"


def _answer(frames: list[StoredFrame], wanted: TimeSpan, bar_ns: int) -> pl.DataFrame | None:
    if frames and frames[-1].span == wanted:
        return read_rows(frames[-1].path)
    if not covers([frame.span for frame in frames], wanted, step_ns=bar_ns):
        return None
    return overlay(frames, wanted)


def _entry_of(line: bytes, place: str) -> dict[str, Any]:
    value = decode_document(line, path=place)
    if not isinstance(value, dict):
        raise UnreadableError(f"{place}: no JSON object; repair the line", path=place)
    return value
