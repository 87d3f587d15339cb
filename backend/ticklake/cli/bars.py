"""Bars on the command line: bars ls, show, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
        rows = store.read_bar_frame(symbol, moment(start), moment(end), timeframe=timeframe)
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
        write_rows(store.read_bar_frame(symbol, moment(start), moment(end), timeframe=timeframe), to, output)


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
            typer.echo(f"{path}: {len(frame):,} candles, {written:,} bars of {symbol}, {timeframe}", err=True)
