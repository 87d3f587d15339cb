"""A reader sees a whole file or none, while the real writer commits: no error, and no count ever goes down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from tests.integration.real_lake import RealLake, wire_trade
from tests.integration.small_lake import TABLES, at

from ticklake.readers.lake import Lake, open_lake

SEGMENTS = 100
PER_ROUND = 15  # segments that the writer may be ahead of a round of the readers
TRADES_PER_SEGMENT = 200
HIVE = pl.Schema({"symbol": pl.String(), "date": pl.Date(), "hour": pl.Int8()})
ARROW_HIVE = pa.schema([("symbol", pa.string()), ("date", pa.date32()), ("hour", pa.int8())])


def _write(real: RealLake, segments: int, before_each: Callable[[int], None] = lambda _: None) -> None:
    for number in range(segments):
        before_each(number)
        base = real.sequence
        real.append(
            wire_trade(at(14) + (base + step) * 10**9, "ESZ4" if step % 3 else "NQZ4", price=float(base + step + 1))
            for step in range(TRADES_PER_SEGMENT - 1)
        )
        real.append([("market.futures.trades", b'{"broken": ')])
        real.commit()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealLake]:
    real = RealLake(tmp_path)
    _write(real, 1)
    yield real
    real.close()


def _engines(lake: Lake) -> dict[str, Callable[[], int]]:
    folder = lake.data_root / "bronze/futures/trades"
    connection = duckdb.connect()
    query = (
        f"SELECT count(price) FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true, "
        "hive_types = {'symbol': VARCHAR, 'date': DATE, 'hour': TINYINT})"
    )
    partitions = ds.partitioning(ARROW_HIVE, flavor="hive")
    return {
        "scan": lambda: int(lake.scan("futures.trades").select(pl.col("price").count()).collect().item()),
        "bronze": lambda: int(lake.bronze.read("futures.trades").height),
        "sql": lambda: int(lake.sql("SELECT count(price) FROM futures.trades").item()),
        "quarantine": lambda: int(lake.scan("quarantine").collect().height) * (TRADES_PER_SEGMENT - 1),
        "polars": lambda: int(
            pl.scan_parquet(folder, hive_schema=HIVE).select(pl.col("price").count()).collect().item()
        ),
        "pyarrow": lambda: int(ds.dataset(folder, format="parquet", partitioning=partitions).to_table().num_rows),
        "duckdb": lambda: int(connection.sql(query).fetchall()[0][0]),
    }


def test_no_reader_ever_sees_half_a_commit_or_fewer_rows(real: RealLake) -> None:
    lake = open_lake(real.root, tables=TABLES)
    failures: list[BaseException] = []
    written = threading.Event()
    rounds = threading.Semaphore(0)

    def let_read(number: int) -> None:
        """The readers shall look at many states, however slow they are: one round for each so many segments."""
        if number % PER_ROUND == PER_ROUND - 1:
            assert rounds.acquire(timeout=200), "the readers have stopped"

    def write() -> None:
        try:
            _write(real, SEGMENTS, let_read)
        except BaseException as error:  # noqa: BLE001 - reported by the test
            failures.append(error)
        finally:
            written.set()

    writer = threading.Thread(target=write, name="writer")
    writer.start()
    counts: dict[str, list[int]] = {name: [] for name in _engines(lake)}
    engines = _engines(lake)
    try:
        while not written.is_set():
            for name, count in engines.items():
                counts[name].append(count())
            report = lake.verify(state_dir=real.state)
            assert report.problems == ()
            assert report.is_ok
            rounds.release()
    finally:
        rounds.release(SEGMENTS)
        writer.join()
    assert failures == []
    for name, count in engines.items():
        counts[name].append(count())
        assert counts[name] == sorted(counts[name]), name
        assert counts[name][-1] == (SEGMENTS + 1) * (TRADES_PER_SEGMENT - 1), name
    assert len(counts["scan"]) > SEGMENTS // PER_ROUND
    report = lake.verify(state_dir=real.state, deep=True)
    assert report.problems == ()
    [book] = report.books
    assert (book.received, book.stored, book.quarantined, book.waiting) == (
        (SEGMENTS + 1) * TRADES_PER_SEGMENT,
        (SEGMENTS + 1) * (TRADES_PER_SEGMENT - 1),
        SEGMENTS + 1,
        0,
    )
