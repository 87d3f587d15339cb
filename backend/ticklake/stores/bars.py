"""Bars in files: one Parquet file per symbol, timeframe and UTC month.

    {folder}/symbol=AAPL/timeframe=5m/2026-01.parquet

A write replaces the months it touches, one after the other, each whole or not at all, under the lock of the series: of
two writers of one bar the later wins, and none loses a bar of the other. A crash between two months leaves the first
written: write again, the result is the same. Symbol and timeframe are in the folder and, as they are, in the footer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from ticklake.base.errors import CorruptError, RejectedError
from ticklake.files.atomic import discard, locked, publish_file, temp_beside
from ticklake.files.engines import scan_files, source_of
from ticklake.files.place import Place, sorted_places
from ticklake.schema.partition import partition_folder
from ticklake.stores.bars_frame import BAR_SCHEMA, START, bars_of, by_month, checked_frame, frame_of, merge, within
from ticklake.stores.models import DAILY, PriceBar
from ticklake.stores.spans import ALWAYS, Moment, Span, month_of

_SUFFIX: Final = ".parquet"
_ROW_GROUP_ROWS: Final = 64 * 1024
"""A month of 1-minute bars is one row group; a month of 1-second bars is forty, so that a day is read alone."""


@dataclass(frozen=True, slots=True)
class BarSeries:
    """What is stored of one symbol and timeframe.

    Attributes:
        symbol: the instrument.
        timeframe: length of the bars.
        rows: bars.
        files: months.
        bytes: size of the files.
        first: start of the first bar.
        last: start of the last bar.
    """

    symbol: str
    timeframe: str
    rows: int
    files: int
    bytes: int
    first: datetime
    last: datetime


class FileBars:
    """Bars below one folder. Safe between threads and processes."""

    def __init__(self, folder: Place) -> None:
        self._folder = folder

    def write_bars(self, symbol: str, bars: Sequence[PriceBar]) -> None:
        """Add bars; one that starts when a stored bar of its timeframe starts replaces it. No bars, no write.

        Raises:
            RejectedError: a bar is of another symbol; nothing was stored.
            DiskError: months before the failed one are stored; write all of it again.
        """
        for timeframe, group in by_timeframe(symbol, bars).items():
            self._upsert(symbol, timeframe, frame_of(group))

    def write_bar_frame(self, symbol: str, frame: Any, *, timeframe: str = DAILY) -> int:
        """Add the bars of a frame (see `bars_frame.checked_frame`), like `write_bars`. The way for many.

        Returns:
            rows written, repeated starts counted once.

        Raises:
            RejectedError: the frame holds something that is no bar; nothing was stored.
        """
        rows = checked_frame(frame)
        self._upsert(symbol, timeframe, rows)
        return len(rows)

    def read_bars(self, symbol: str, start: Moment, end: Moment, *, timeframe: str = DAILY) -> list[PriceBar]:
        """Bars that start from `start` to `end`, both included, in order; empty for an unknown symbol."""
        span = Span.of(start, end)
        return bars_of(self._read(symbol, timeframe, span), symbol=symbol, timeframe=timeframe, span=span)

    def read_bar_frame(
        self, symbol: str, start: Moment | None = None, end: Moment | None = None, *, timeframe: str = DAILY
    ) -> pl.DataFrame:
        """The same bars as a frame (`bars_frame.BAR_SCHEMA`), sorted; empty for an unknown symbol.

        Raises:
            CorruptError: a file cannot be read; the text names it.
        """
        return self._read(symbol, timeframe, Span.of(start, end))

    def list_bars(self) -> list[BarSeries]:
        """What there is, sorted by symbol and timeframe; from footers, without reading rows."""
        found = [self._describe(folder) for folder in sorted_places(self._folder.glob("symbol=*/timeframe=*"))]
        return sorted((series for series in found if series), key=lambda series: (series.symbol, series.timeframe))

    def _series_folder(self, symbol: str, timeframe: str) -> Place:
        return self._folder / partition_folder({"symbol": symbol, "timeframe": timeframe})

    def _upsert(self, symbol: str, timeframe: str, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        folder = self._series_folder(symbol, timeframe)
        footer = {"ticklake.schema": "records.bars/1", "ticklake.symbol": symbol, "ticklake.timeframe": timeframe}
        with locked(folder):
            for month, part in by_month(rows):
                path = folder / f"{month}{_SUFFIX}"
                whole = merge(_read_month(path), part) if path.exists() else part
                _write_month(path, whole, footer)

    def _read(self, symbol: str, timeframe: str, span: Span) -> pl.DataFrame:
        files = [path for path in _months(self._series_folder(symbol, timeframe)) if _may_hold(path.stem, span)]
        if not files:
            return pl.DataFrame(schema=BAR_SCHEMA)
        try:
            return within(_scan(files), span).collect()
        except (pl.exceptions.PolarsError, OSError) as error:
            for path in files:
                _read_month(path)
            raise CorruptError(f"bars of {symbol}, {timeframe}: {error}; restore the files") from error

    def _describe(self, folder: Place) -> BarSeries | None:
        months = _months(folder)
        if not months:
            return None
        bounds = _scan(months).select(rows=pl.len(), first=pl.col(START).min(), last=pl.col(START).max())
        rows, first, last = bounds.collect().row(0)
        footer = pl.read_parquet_metadata(source_of(months[0]))
        symbol, timeframe = footer["ticklake.symbol"], footer["ticklake.timeframe"]
        size = sum(path.stat().st_size for path in months)
        return BarSeries(symbol, timeframe, rows, len(months), size, ALWAYS.present(first), ALWAYS.present(last))


def by_timeframe(symbol: str, bars: Sequence[PriceBar]) -> dict[str, list[PriceBar]]:
    """The bars of one symbol by timeframe.

    Raises:
        RejectedError: a bar is of another symbol.
    """
    series: dict[str, list[PriceBar]] = {}
    for bar in bars:
        if bar.symbol != symbol:
            raise RejectedError(f"a bar of {bar.symbol!r} among those of {symbol!r}; write each symbol on its own")
        series.setdefault(bar.timeframe, []).append(bar)
    return series


def _months(folder: Place) -> list[Place]:
    return sorted_places(path for path in folder.glob(f"*{_SUFFIX}") if not path.name.startswith("."))


def _may_hold(month: str, span: Span) -> bool:
    return (span.start is None or month_of(span.start) <= month) and (span.end is None or month <= month_of(span.end))


def _scan(files: list[Place]) -> pl.LazyFrame:
    return scan_files(files, schema=BAR_SCHEMA)


def _read_month(path: Place) -> pl.DataFrame:
    try:
        return pl.read_parquet(source_of(path), schema=BAR_SCHEMA, glob=False, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise CorruptError(f"{path}: cannot be read as bars ({error}); restore it from a copy") from error


def _write_month(path: Place, rows: pl.DataFrame, footer: dict[str, str]) -> None:
    temp = temp_beside(path)
    try:
        rows.write_parquet(
            temp, compression="zstd", compression_level=1, row_group_size=_ROW_GROUP_ROWS, metadata=footer
        )
    except BaseException:
        discard(temp)
        raise
    publish_file(temp, path)
