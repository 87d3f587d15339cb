"""The tour after the demo: real queries on the lake that was just written, and the proof that it is whole."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from ticklake.base.errors import NoDataError
from ticklake.base.words import count
from ticklake.cli.output import table_cell
from ticklake.readers.lake import Lake, open_lake
from ticklake.schema.lookup import TableCatalog

_QUERIES = (
    (
        "What is there",
        """SELECT 'futures.trades' AS "table", count(*) AS rows, count(DISTINCT contract) AS instruments
            FROM futures.trades
        UNION ALL SELECT 'futures.mbp10', count(*), count(DISTINCT contract) FROM futures.mbp10
        UNION ALL SELECT 'options.trades', count(*), count(DISTINCT option_symbol) FROM options.trades
        UNION ALL SELECT 'options.nbbo', count(*), count(DISTINCT option_symbol) FROM options.nbbo
        UNION ALL SELECT 'levels.signals', count(*), count(DISTINCT level_id) FROM levels.signals
        UNION ALL SELECT 'raw', count(*), count(DISTINCT subject) FROM raw""",
    ),
    (
        "One-minute bars of the front contract, from its trades",
        """SELECT strftime(make_timestamp(ts_event_ns // 60000000000 * 60000000), '%H:%M') AS utc,
            arg_min(price, ts_event_ns) AS open, max(price) AS high, min(price) AS low,
            arg_max(price, ts_event_ns) AS close,
            sum(size)::BIGINT AS volume, round(sum(price * size) / sum(size), 2) AS vwap,
            round(sum(aggressor * size) / sum(size), 3) AS imbalance
        FROM futures.trades WHERE contract = (SELECT mode(contract) FROM futures.trades)
            AND date = (SELECT max(date) FROM futures.trades)
        GROUP BY ts_event_ns // 60000000000, 1 ORDER BY ts_event_ns // 60000000000 LIMIT 6""",
    ),
    (
        "The book: spread in ticks, and how often",
        """SELECT round((ask_px_1 - bid_px_1) / 0.25)::INT AS spread_ticks, count(*) AS snapshots,
            round(avg(bid_sz_1 + ask_sz_1), 1) AS contracts_at_the_top
        FROM futures.mbp10 GROUP BY 1 ORDER BY 2 DESC LIMIT 4""",
    ),
    (
        "Busiest options of the last day",
        """SELECT option_symbol, count(*) AS trades, sum(size)::BIGINT AS contracts,
            round(avg(price), 2) AS average_price, sum(aggressor * size)::BIGINT AS net_bought
        FROM options.trades WHERE date = (SELECT max(date) FROM options.trades)
        GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 4""",
    ),
    (
        "Rejected input is kept whole",
        """SELECT "table", reason, path, stream_seq, octet_length(payload) AS bytes
        FROM quarantine ORDER BY stream_seq""",
    ),
)


def count_received(root: Path) -> int:
    """Messages in the lake so far, each counted once; 0 for a new folder."""
    try:
        report = open_lake(root, tables=TableCatalog()).verify()
    except NoDataError:
        return 0
    return sum(book.received - book.duplicates for book in report.books)


def show_tour(root: Path, published: int, console: Console) -> bool:
    """Print the tour. Gives whether the books balance and every message ever published into the lake is there."""
    lake = open_lake(root, tables=TableCatalog())
    for title, query in _QUERIES:
        print_frame(console, title, lake.sql(query))
    return _show_books(lake, published, console)


def show_further(root: Path, console: Console) -> None:
    """Print commands to go on with."""
    console.print(f"\n[bold]Look further[/]  (. .venv/bin/activate; export TICKLAKE_DATA_ROOT={root})")
    for line in (
        "ticklake ls",
        'ticklake sql "SELECT * FROM futures.trades LIMIT 5"',
        "ticklake recipe polars futures.trades",
        "ticklake quarantine ls",
        "ticklake verify --deep",
        "ticklake silver ls",
        "ticklake gold ls",
    ):
        console.print(f"  {line}")


def _show_books(lake: Lake, published: int, console: Console) -> bool:
    report = lake.verify(deep=True)
    table = Table(title="The books: received = stored + quarantined + duplicates + waiting", title_justify="left")
    columns = ("stream", "received", "stored", "quarantined", "duplicates", "waiting", "ok")
    for name in columns:
        table.add_column(name, justify="left" if name == "stream" else "right", overflow="fold")
    for book in report.books:
        counts = (book.received, book.stored, book.quarantined, book.duplicates, book.waiting or 0)
        table.add_row(book.stream, *(f"{count:,}" for count in counts), "yes" if book.is_balanced else "NO")
    console.print(table)
    received = sum(book.received - book.duplicates for book in report.books)
    is_all_there = received == published
    verdict = "every one of them is in the lake" if is_all_there else f"[red]the lake has {received:,}[/]"
    console.print(f"{published:,} messages were acknowledged to the publisher; {verdict}.")
    held = f"{count(report.files, 'file')}, {report.bytes:,} bytes, {count(report.rows, 'row')}"
    console.print(f"{held}: checksums and pages verified.")
    for problem in report.problems:
        console.print(f"[red]{problem}[/]")
    return report.is_ok and is_all_there


def print_frame(console: Console, title: str, frame: pl.DataFrame) -> None:
    """A frame as a table; numbers to the right, nothing cut in a narrow terminal."""
    table = Table(title=title, title_justify="left")
    for name, kind in frame.schema.items():
        table.add_column(name, justify="right" if kind.is_numeric() else "left", overflow="fold")
    for row in frame.iter_rows():
        table.add_row(*(table_cell(value, name) for name, value in zip(frame.columns, row, strict=True)))
    console.print(table)
