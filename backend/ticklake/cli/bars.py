"""Bars on the command line: bars ls, show, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from ticklake.base.errors import NoDataError
from ticklake.base.words import count, names_near
from ticklake.cli.one import OneOption
from ticklake.cli.output import Output, OutputOption, show_rows
from ticklake.cli.place import DataOption
from ticklake.cli.record_store import (
    DsnOption,
    EndOption,
    FileArgument,
    StartOption,
    given_file,
    moment,
    open_records,
    shown,
    write_rows,
)
from ticklake.stores.bars_import import bars_from_candles, read_json_file
from ticklake.stores.protocol import DataStore

app = typer.Typer(help="Bars by symbol and timeframe.")

SymbolArgument = Annotated[str, typer.Argument(help="The instrument, as in `bars ls`.")]
TimeframeOption = Annotated[str, typer.Option("--timeframe", "-t", help="Length of the bars: 5m, 4h, 1d.")]


@app.command()
def ls(output: OutputOption = Output.TABLE, data: DataOption = None, dsn: DsnOption = None) -> None:
    """What bars there are."""
    columns = ["symbol", "timeframe", "rows", "first", "last", "files", "bytes"]
    with open_records(data, dsn) as store:
        rows = [shown({name: getattr(series, name) for name in columns}) for series in store.list_bars()]
    show_rows(rows, output, columns=columns)


@app.command()
def show(
    symbol: SymbolArgument,
    timeframe: TimeframeOption = "1d",
    start: StartOption = None,
    end: EndOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Print so many bars at most, the last ones.")] = 50,
    output: OutputOption = Output.TABLE,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Print the last bars of a range, in order. A bar's time is its start."""
    with open_records(data, dsn) as store:
        rows = _read(store, symbol, timeframe, start, end)
    show_rows([shown(row) for row in rows.tail(limit).iter_rows(named=True)], output, columns=rows.columns)
    if len(rows) > limit:
        typer.echo(f"the last {limit:,} of {len(rows):,} bars; raise --limit to see more", err=True)


@app.command()
def export(
    symbol: SymbolArgument,
    to: FileArgument = None,
    timeframe: TimeframeOption = "1d",
    start: StartOption = None,
    end: EndOption = None,
    output: OneOption = Output.JSON,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Write bars to a file, or to stdout."""
    with open_records(data, dsn) as store:
        write_rows(_read(store, symbol, timeframe, start, end), to, output)


@app.command("import")
def import_candles(
    files: Annotated[list[Path], typer.Argument(help="Candle files of an exchange, JSON, also gzipped.")],
    symbol: Annotated[str, typer.Option("--symbol", "-s", help="Whose bars they are.")],
    timeframe: TimeframeOption,
    data: DataOption = None,
    dsn: DsnOption = None,
) -> None:
    """Read candle files: `candles` with the start of a bar in seconds, or `ohlc` with its end in milliseconds."""
    with given_file():
        frames = [bars_from_candles(read_json_file(path), timeframe=timeframe, where=str(path)) for path in files]
    with open_records(data, dsn, make=True) as store:
        for path, frame in zip(files, frames, strict=True):
            written = store.write_bar_frame(symbol, frame, timeframe=timeframe)
            typer.echo(
                f"{path}: {count(len(frame), 'candle')}, {count(written, 'bar')} of {symbol}, {timeframe}", err=True
            )


def _read(store: DataStore, symbol: str, timeframe: str, start: str | None, end: str | None) -> pl.DataFrame:
    """The bars of a range; an empty frame when the series has none there.

    Raises:
        NoDataError: there is no such series; the text says which there are.
    """
    rows = store.read_bar_frame(symbol, moment(start), moment(end), timeframe=timeframe)
    if rows.is_empty():
        series = store.list_bars()
        lengths = [one.timeframe for one in series if one.symbol == symbol]
        if not lengths:
            raise NoDataError(f"no bars of {symbol}; {names_near(symbol, {one.symbol for one in series})}")
        if timeframe not in lengths:
            raise NoDataError(f"no {timeframe} bars of {symbol}; there are: {', '.join(lengths)} (--timeframe)")
        typer.echo(f"no bars of {symbol}, {timeframe}, in that range; `ticklake bars ls` shows what there is", err=True)
    return rows
