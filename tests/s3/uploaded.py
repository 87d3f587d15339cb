"""A local lake copied into the bucket as it is: both must then read alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.integration.small_lake import TABLES, SmallLake, at, trade

from ticklake.files.object_path import ObjectPath
from ticklake.readers.lake import Lake, open_lake

SYMBOLS = (
    "ES",
    "BTC/USD",
    "BTCUSD",
    "..",
    "a=b",
    "*",
    "[ab]?",
    "001",
    "1E5",
    "%41",
    "A",
    "a b",
    "é",
    "+",
    "#",
    "x" * 300,
)


def upload(root: Path, bucket: ObjectPath) -> None:
    """Every file of the folder, stored as the writer stores it."""

    def put(path: Path) -> None:
        place = bucket / path.relative_to(root).as_posix()
        place.store.create(place.key, path.read_bytes())

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, sorted(path for path in root.rglob("*") if path.is_file())))


@dataclass(frozen=True, slots=True)
class Twins:
    """The same lake twice."""

    local: Lake
    stored: Lake
    bucket: ObjectPath

    def object(self, path: Path) -> ObjectPath:
        """The object of a local file."""
        return self.bucket / path.relative_to(str(self.local.data_root)).as_posix()


def make_twins(folder: Path, bucket: ObjectPath) -> Twins:
    """Trades of many symbols over three days, books of one, all in one ledger."""
    small = SmallLake(folder / "lake")
    for symbol in SYMBOLS:
        small.add("futures.trades", [trade(at(14), f"c{symbol}")], value=symbol)
    for day in range(3):
        rows = [trade(at(13 + hour / 4, day=day), size=hour + 1) for hour in range(12)]
        small.add("futures.trades", rows, duplicates=1)
    small.add("crypto.trades", [trade(at(16), price=1.5)], value="BTC/USD")
    signals = SmallLake(small.root, stream="LEVEL_SIGNALS")
    signals.add("levels.signals", [{"ts_event_ns": at(14), "level_id": name} for name in "abc"])
    upload(small.root, bucket)
    return Twins(open_lake(small.root, tables=TABLES), open_lake(bucket, tables=TABLES), bucket)
