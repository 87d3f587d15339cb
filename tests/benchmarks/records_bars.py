"""1,000,000 bars: upsert and range read against bare Polars, in turns. Prints a table.

    PYTHONPATH=backend python -m tests.benchmarks.records_bars

Bare Polars does the same work without promises: it reads, concatenates, removes duplicates, sorts and writes, once with
a file per month like the store, once with a single file; no check of values, no lock, no fsync. The figures are those
of the least disturbed round of each side, because the machine has other work.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from ticklake.stores.file_store import FileDataStore

ROWS: Final = 1_000_000
ROUNDS: Final = 5
READS: Final = 5
RATIO_MAX: Final = 1.5
FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
RANGE: Final = (FIRST + timedelta(days=100), FIRST + timedelta(days=400))


def bars(seed: int) -> pl.DataFrame:
    """Two years of 1-minute bars."""
    minutes = pl.datetime_range(FIRST, FIRST + timedelta(minutes=ROWS - 1), "1m", time_unit="us", eager=True)
    price = (pl.int_range(ROWS) % 2000 * 0.25 + 100).cast(pl.Float64)
    columns = [
        price.shuffle(seed=seed + number).alias(name) for number, name in enumerate(("open", "high", "low", "close"))
    ]
    volume = pl.int_range(ROWS).shuffle(seed=seed).cast(pl.Float64).alias("volume")
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


def read_bare(files: str) -> pl.DataFrame:
    """The bars of the range."""
    return pl.scan_parquet(files).filter(pl.col("start").is_between(*RANGE)).collect()


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure(base: Path, first: pl.DataFrame, second: pl.DataFrame) -> dict[str, tuple[float, float, float]]:
    """Seconds of the store, of bare Polars with months, of bare Polars with one file."""
    store, months, single = FileDataStore(base / "store"), base / "months", base / "single.parquet"
    figures = {}
    for what, rows in (("insert", first), ("upsert, every bar replaced", second)):
        figures[what] = (
            seconds(lambda rows=rows: store.write_bar_frame("X", rows, timeframe="1m")),  # type: ignore[misc]
            seconds(lambda rows=rows: upsert_bare_months(months, rows)),  # type: ignore[misc]
            seconds(lambda rows=rows: upsert_bare(single, rows)),  # type: ignore[misc]
        )
    found = [
        store.read_bar_frame("X", *RANGE, timeframe="1m"),
        read_bare(f"{months}/*.parquet"),
        read_bare(str(single)),
    ]
    assert found[0].equals(found[1])
    assert found[0].equals(found[2])
    reads = [
        (
            seconds(lambda: store.read_bar_frame("X", *RANGE, timeframe="1m")),
            seconds(lambda: read_bare(f"{months}/*.parquet")),
            seconds(lambda: read_bare(str(single))),
        )
        for _ in range(READS)
    ]
    best, best_months, best_single = (min(read[side] for read in reads) for side in range(3))
    figures["read of 300 days"] = (best, best_months, best_single)
    return figures


def main() -> None:
    """Print the figures and the ratio to the faster of the two references."""
    first, second = bars(1), bars(2)
    rounds = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(measure(Path(folder), first, second))
    print(f"{ROWS:,} bars, best of {ROUNDS} rounds")
    print(f"{'':28} {'store':>9} {'months':>9} {'one file':>9} {'ratio':>6}  target <= {RATIO_MAX}")
    for what in rounds[0]:
        ours, months, single = (min(figures[what][side] for figures in rounds) for side in range(3))
        ratio = ours / min(months, single)
        verdict = "met" if ratio <= RATIO_MAX else "MISSED"
        print(f"{what:28} {ours:7.3f} s {months:7.3f} s {single:7.3f} s {ratio:6.2f}  {verdict}")


if __name__ == "__main__":
    main()
