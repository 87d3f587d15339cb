"""Market events as people ask for them: by symbol and time, of the front month, sampled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as Date  # noqa: N812 - `date` is a parameter everywhere below
from typing import Final

import polars as pl

from ticklake.base.errors import NoDataError, UsageError
from ticklake.files.place import Place
from ticklake.readers import scan
from ticklake.readers.dates import available_dates
from ticklake.readers.frames import Frame, as_frame
from ticklake.readers.frontmonth import FrontMonth, Metric, choose_front_month
from ticklake.readers.listing import DataFile, list_paths
from ticklake.readers.place import find_place
from ticklake.readers.query import Day, Selection, closed, day_of, days_of, values_of
from ticklake.readers.relation import Relation, checked_columns, relation_of
from ticklake.schema.lookup import TableCatalog

TRADES: Final = "futures.trades"
BOOKS: Final = "futures.mbp10"
OPTION_TRADES: Final = "options.trades"
_MS_NS: Final = 1_000_000


class BronzeReader:
    """Reads the bronze tier.

    All times are int64 ns since 1970, UTC; `start_ns` and `end_ns` are both **included**. Frames hold the columns of
    the table, then its partition columns, sorted by event time, stream sequence, row of the message. A range without
    rows is an empty frame with all columns. No file at all is a NoDataError, a file that cannot be read a CorruptError
    that names it: nothing is left out silently.
    """

    def __init__(self, data_root: Place | str | None = None, *, tables: TableCatalog | None = None) -> None:
        self._root, self._tables = find_place(data_root, tables)
        self._front_months: dict[tuple[object, ...], FrontMonth] = {}

    def read_futures_trades(
        self,
        symbol: str = "ES",
        date: Day | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        front_month_only: bool = True,
        specific_contract: str | None = None,
        *,
        columns: Sequence[str] | None = None,
        as_pandas: bool = False,
    ) -> Frame:
        """Trades of one futures root.

        Args:
            symbol: the root.
            date: one UTC date; every date when None.
            start_ns: first event time, included.
            end_ns: last event time, included.
            front_month_only: keep, date by date, only the contract with the largest volume of that UTC date.
            specific_contract: keep only this contract (`ESZ5`); the front month then plays no part.
            columns: which columns, in this order; all when None.
            as_pandas: give a pandas frame.

        Raises:
            NoDataError: there is no file of the symbol, or no trade to choose a front month by.
            CorruptError: a file cannot be read.
        """
        selection = _selection(symbol, date, start_ns, end_ns)
        frame = self._read_futures(TRADES, symbol, selection, front_month_only, specific_contract, columns)
        return as_frame(frame, as_pandas=as_pandas)

    def read_futures_mbp10(
        self,
        symbol: str = "ES",
        date: Day | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        front_month_only: bool = True,
        specific_contract: str | None = None,
        *,
        columns: Sequence[str] | None = None,
        as_pandas: bool = False,
    ) -> Frame:
        """Order book snapshots of one futures root, ten levels a side; arguments as in `read_futures_trades`.

        The front month is the one of the **trades** of the same date. Without trades it is unknown, and the call fails
        rather than mixing contracts.
        """
        selection = _selection(symbol, date, start_ns, end_ns)
        frame = self._read_futures(BOOKS, symbol, selection, front_month_only, specific_contract, columns)
        return as_frame(frame, as_pandas=as_pandas)

    def read_futures_mbp10_downsampled(
        self,
        date: Day | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        bucket_ms: int = 250,
        *,
        symbol: str = "ES",
        front_month_only: bool = True,
        specific_contract: str | None = None,
        as_pandas: bool = False,
    ) -> Frame:
        """The last snapshot of each bucket of time and contract, stamped with the **end** of the bucket.

        Shape:  one row per contract and bucket that holds a snapshot, in time order; `bucket_end_ns` (int64 ns UTC)
                first, then the columns of the table. Buckets are `[k * bucket, (k + 1) * bucket)` since 1970, so they
                do not depend on the range that is asked for.
        Knows:  nothing at or after `bucket_end_ns`. A range that ends inside a bucket still gives that bucket's row.

        Raises:
            UsageError: `bucket_ms` is not positive.
        """
        if bucket_ms <= 0:
            raise UsageError(f"bucket_ms is {bucket_ms}; give a positive number of milliseconds")
        relation = self._relation(BOOKS)
        selection = _selection(symbol, date, start_ns, end_ns)
        frame = self._read_futures(BOOKS, symbol, selection, front_month_only, specific_contract, None)
        bucket_ns = bucket_ms * _MS_NS
        end = (relation.event_time_expr // bucket_ns + 1) * bucket_ns
        sampled = (
            frame.lazy()
            .select(end.alias("bucket_end_ns"), pl.all())
            .unique(["bucket_end_ns", "contract"], keep="last", maintain_order=True)
            .collect()
        )
        return as_frame(sampled, as_pandas=as_pandas)

    def read_option_trades(
        self,
        underlying: str = "ES",
        date: Day | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        columns: Sequence[str] | None = None,
        as_pandas: bool = False,
    ) -> Frame:
        """Trades of the options on one underlying; arguments as in `read_futures_trades`."""
        selection = _selection(underlying, date, start_ns, end_ns)
        frame = scan.read(self._root, self._relation(OPTION_TRADES), selection, columns=columns)
        return as_frame(frame, as_pandas=as_pandas)

    def read(
        self,
        table: str,
        symbol: str | Sequence[str] | None = None,
        date: Day | Sequence[Day] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
        *,
        columns: Sequence[str] | None = None,
        as_datetime: bool = False,
        as_pandas: bool = False,
    ) -> Frame:
        """Rows of any table, every contract.

        Args:
            table: its name (`crypto.quotes`, `raw`).
            symbol: one or more values of its instrument partition; all when None.
            date: one or more UTC dates; all when None.
            start_ns: first event time, included.
            end_ns: last event time, included.
            columns: which columns, in this order; all when None.
            as_datetime: add for every time `..._ns` a `..._utc` column, Datetime("ns", "UTC").
            as_pandas: give a pandas frame.

        Raises:
            UsageError: no such table or column.
            NoDataError: the table, or every asked symbol, has no file at all.
            CorruptError: a file cannot be read.
        """
        selection = Selection(values_of(symbol), days_of(date), closed(start_ns, end_ns))
        frame = scan.read(self._root, self._relation(table), selection, columns=columns, as_datetime=as_datetime)
        return as_frame(frame, as_pandas=as_pandas)

    def select_front_month(self, date: Day, symbol: str = "ES", *, metric: Metric = "volume") -> FrontMonth:
        """The contract that traded most on one UTC date, with its share and the runner-up.

        The whole date decides, so a choice made for the morning knows the afternoon: on days that are
        `roll_contaminated` name the contract instead.

        Raises:
            NoDataError: no trades on that date.
        """
        relation = self._relation(TRADES)
        day = day_of(date)
        selection = Selection(values=frozenset({symbol}), dates=frozenset({day}))
        key = (symbol, day, metric, *list_paths(self._root / relation.folder, relation.keys, selection))
        if key not in self._front_months:
            trades = scan.read(self._root, relation, selection, columns=["contract", "size"])
            self._front_months[key] = choose_front_month(trades, day=day, symbol=symbol, metric=metric)
        return self._front_months[key]

    def get_available_dates(self, table: str = TRADES, partition_value: str | None = None) -> list[str]:
        """UTC dates (YYYY-MM-DD) with data, ascending; empty when there are none.

        Args:
            table: its name; `futures/trades` is understood too.
            partition_value: one symbol or underlying; `symbol=ES` is understood too. All of them when None.
        """
        relation = self._relation(table)
        return [day.isoformat() for day in available_dates(self._root, relation, _plain(relation, partition_value))]

    def get_latest_date(self, table: str = TRADES, partition_value: str | None = None) -> str | None:
        """The last UTC date with data, None when there is none."""
        return next(iter(reversed(self.get_available_dates(table, partition_value))), None)

    def get_warmup_dates(self, date: Day, n: int, *, symbol: str = "ES", table: str = TRADES) -> list[str]:
        """The last `n` UTC dates before `date` that have data, ascending; fewer, or [], when there are no more.

        Raises:
            UsageError: `n` is negative.
        """
        if n < 0:
            raise UsageError(f"n is {n}; give the number of dates to warm up with")
        day = day_of(date).isoformat()
        earlier = [known for known in self.get_available_dates(table, symbol) if known < day]
        return earlier[len(earlier) - min(n, len(earlier)) :]

    def _read_futures(
        self,
        table: str,
        symbol: str,
        selection: Selection,
        front_month_only: bool,
        contract: str | None,
        columns: Sequence[str] | None,
    ) -> pl.DataFrame:
        relation = self._relation(table)
        checked_columns(relation, columns)
        files = scan.find_files(self._root, relation, selection)
        if contract is not None:
            where: pl.Expr | None = pl.col("contract") == contract
        elif front_month_only:
            where = self._front_months_only(files, symbol)
        else:
            where = None
        return scan.read(self._root, relation, selection, where=where, columns=columns, files=files)

    def _front_months_only(self, files: Sequence[DataFile], symbol: str) -> pl.Expr | None:
        """The condition that keeps each date's front month; None when no file holds a wanted row."""
        days = sorted({_day_of_folder(file.folder) for file in files})
        contracts = {day: self._front_month(day, symbol).contract for day in days}
        if len(set(contracts.values())) == 1:
            return pl.col("contract") == contracts[days[0]]
        keep = [(pl.col("date") == day) & (pl.col("contract") == contract) for day, contract in contracts.items()]
        return pl.any_horizontal(keep) if keep else None

    def _front_month(self, day: Date, symbol: str) -> FrontMonth:
        try:
            return self.select_front_month(day, symbol)
        except NoDataError as error:
            raise NoDataError(
                f"the front month of {symbol} on {day} is unknown, because there are no trades to choose by; "
                "name a specific_contract or read with front_month_only=False"
            ) from error

    def _relation(self, table: str) -> Relation:
        return relation_of(self._tables.get(table.replace("/", ".")))


def _selection(value: str, date: Day | None, start_ns: int | None, end_ns: int | None) -> Selection:
    if not isinstance(value, str):
        raise UsageError(f"{value!r} is no symbol: give one, such as 'ES'; `read` takes several")
    return Selection(values=frozenset({value}), dates=days_of(date), range=closed(start_ns, end_ns))


def _day_of_folder(folder: str) -> Date:
    return Date.fromisoformat(folder.partition("date=")[2][:10])


def _plain(relation: Relation, value: str | None) -> str | None:
    return value.removeprefix(f"{relation.value_key}=") if value is not None else None
