"""Bars: upsert and range read against bare Polars, in turns.

Bare Polars does the same work without promises: it reads, concatenates, removes duplicates, sorts and writes, once with
a file per month like the store, once with a single file; no check of values, no lock, no fsync. The ratio is that of
the least disturbed round of each side to the faster reference.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl
from tests.benchmarks.figures import Figure
from tests.benchmarks.scale import Scale

from ticklake.stores.file_store import FileDataStore

READS: Final = 5
RATIO_MAX: Final = 1.5
FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)


def bars(rows: int, seed: int) -> pl.DataFrame:
    """1-minute bars; a million are two years."""
    minutes = pl.datetime_range(FIRST, FIRST + timedelta(minutes=rows - 1), "1m", time_unit="us", eager=True)
    price = (pl.int_range(rows) % 2000 * 0.25 + 100).cast(pl.Float64)
    columns = [
        price.shuffle(seed=seed + number).alias(name) for number, name in enumerate(("open", "high", "low", "close"))
    ]
    volume = pl.int_range(rows).shuffle(seed=seed).cast(pl.Float64).alias("volume")
    return pl.DataFrame({"start": minutes}).with_columns(*columns, volume)


def upsert_bare(path: Path, rows: pl.DataFrame) -> None:
    """One file, whole."""
    if path.exists():
        rows = pl.concat([pl.read_parquet(path), rows])
    rows.unique("start", keep="last").sort("start").write_parquet(path)


def upsert_bare_months(folder: Path, rows: pl.DataFrame) -> None:
    """A file per month."""
    folder.mkdir(exist_ok=True)
    months = rows.with_columns(month=pl.col("start").dt.strftime("%Y-%m"))
    for (month,), part in months.partition_by("month", as_dict=True, include_key=False).items():
        upsert_bare(folder / f"{month}.parquet", part)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def one_round(base: Path, first: pl.DataFrame, second: pl.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Seconds of the store, of bare Polars with months, of bare Polars with one file."""
    store, months, single = FileDataStore(base / "store"), base / "months", base / "single.parquet"
    span = (FIRST + timedelta(minutes=len(first) // 7), FIRST + timedelta(minutes=len(first) // 7 * 4))
    figures = {}
    for what, rows in (("insert", first), ("upsert, every bar replaced", second)):
        figures[what] = (
            seconds(lambda rows=rows: store.write_bar_frame("X", rows, timeframe="1m")),  # type: ignore[misc]
            seconds(lambda rows=rows: upsert_bare_months(months, rows)),  # type: ignore[misc]
            seconds(lambda rows=rows: upsert_bare(single, rows)),  # type: ignore[misc]
        )

    def ours() -> pl.DataFrame:
        return store.read_bar_frame("X", *span, timeframe="1m")

    def bare(files: str) -> pl.DataFrame:
        return pl.scan_parquet(files).filter(pl.col("start").is_between(*span)).collect()

    found = ours()
    assert found.equals(bare(f"{months}/*.parquet"))
    assert found.equals(bare(str(single)))
    reads = [
        (seconds(ours), seconds(lambda: bare(f"{months}/*.parquet")), seconds(lambda: bare(str(single))))
        for _ in range(READS)
    ]
    best, best_months, best_single = (min(read[side] for read in reads) for side in range(3))
    figures["read of three sevenths"] = (best, best_months, best_single)
    return figures


def measure(scale: Scale) -> Iterator[Figure]:
    """Insert, replace and read one series."""
    first, second = bars(scale.bars, 1), bars(scale.bars, 2)
    rounds = []
    for number in range(scale.rounds):
        folder = scale.folder / f"bars{number}"
        folder.mkdir()
        rounds.append(one_round(folder, first, second))
    for what in rounds[0]:
        ours, months, single = (min(figures[what][side] for figures in rounds) for side in range(3))
        ratio = ours / min(months, single)
        yield Figure(
            what=f"{scale.bars:,} bars: {what}",
            ours=f"{ours * 1000:,.0f} ms",
            reference=f"{months * 1000:,.0f} ms: bare Polars, a file per month; {single * 1000:,.0f} ms: one file",
            ratio=f"{ratio:.2f} x",
            target=f"<= {RATIO_MAX:g} x",
            met=ratio <= RATIO_MAX,
            rounds=tuple(figures[what][0] / min(figures[what][1:]) for figures in rounds),
        )
