"""Lakes to build features of, laid down in seconds: simulated sessions, or all real data beside the repository.

python -m tests.benchmarks.lakes sessions FOLDER [--count 3] [--scale 1.0]
python -m tests.benchmarks.lakes binance FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import pyarrow as pa
from tests.benchmarks.silver_market import add_bulk_session
from tests.e2e.real_data import TABLES, source_rows
from tests.integration.real_lake import RealLake
from tests.integration.small_lake import SmallLake

from ticklake.schema.session import US_INDEX_FUTURES, previous_sessions

LAST: Final = date(2025, 6, 20)
_ARROW_HEADER: Final = b"NATS/1.0\r\nContent-Type: application/vnd.apache.arrow.stream\r\n\r\n"
_BATCH_ROWS: Final = 2_000


def lay_sessions(root: Path, count: int, scale: float) -> list[date]:
    """Simulated sessions of 600,000 trades, 2 M book rows, 1,000 option trades each, times `scale`; gives the days."""
    lake = SmallLake(root)
    days = [window.date for window in previous_sessions(US_INDEX_FUTURES, LAST, count)]
    for number, day in enumerate(days):
        add_bulk_session(lake, day, seed=number, scale=scale)
    return days


def lay_binance(folder: Path) -> Path:
    """Trades, quotes, books of every instrument, as Arrow messages through the real lane; gives the lake."""
    lake = RealLake(folder)
    for table in TABLES:
        for message in _messages(source_rows(table)):
            lake.append([(f"market.crypto.{table}", message)], headers=_ARROW_HEADER)
    lake.commit()
    lake.close()
    return lake.root


def _messages(rows: pa.Table) -> Iterator[bytes]:
    for first in range(0, rows.num_rows, _BATCH_ROWS):
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows.slice(first, _BATCH_ROWS))
        yield bytes(sink.getvalue())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    sessions = kinds.add_parser("sessions", help="simulated sessions of an equities-index future")
    sessions.add_argument("--count", type=int, default=3, help="how many days (default 3)")
    sessions.add_argument("--scale", type=float, default=1.0, help="share of the rows of a full-size day (default 1)")
    binance = kinds.add_parser("binance", help="the Binance files of the real data")
    for kind in (sessions, binance):
        kind.add_argument("folder", type=Path)
    asked = parser.parse_args()
    if asked.kind == "sessions":
        days = lay_sessions(asked.folder, asked.count, asked.scale)
        print(f"{len(days)} sessions, {days[0]} to {days[-1]}, in {asked.folder}")
    else:
        print(f"all real data in {lay_binance(asked.folder)}")


if __name__ == "__main__":
    main()
