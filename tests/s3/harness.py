"""What the tests of a writer in a bucket share: `ticklake serve` with its lake there, and the oracle that reads it.

The market is the one of the fault tests: message n is a function of n, and n is its sequence. The oracle lists the
objects itself and decodes them with pyarrow.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from tests.crash.harness_faults import SMALL_BATCHES, STREAM, Market, payload
from tests.e2e.harness import Service

from ticklake.files.object_path import ObjectPath
from ticklake.lake.ledger import LedgerEntry, decode_entry
from ticklake.readers.verify import verify_lake
from ticklake.testing.fault_proxy import FaultProxy
from ticklake.testing.s3_server import S3Server

NO_BALLAST_LANES = ("market_data", "level_signals")


def store_settings(server: S3Server, endpoint: str | None = None) -> dict[str, object]:
    """How a service reaches the store."""
    names = server.environment(endpoint)
    return {
        name.removeprefix("TICKLAKE_").lower(): value for name, value in names.items() if name.startswith("TICKLAKE_S3")
    }


def bucket_service(
    folder: Path,
    market_url: str,
    server: S3Server,
    root: ObjectPath,
    *,
    endpoint: str | None = None,
    settings: Mapping[str, object] | None = None,
) -> Service:
    """The service with small batches, its lake at `root` and its state below `folder`."""
    everything: dict[str, object] = {
        **SMALL_BATCHES,
        **store_settings(server, endpoint),
        "data_root": str(root),
        "state_dir": folder / "state",
        **(settings or {}),
    }
    everything = {name: value for name, value in everything.items() if value is not None}
    return Service(folder, market_url, settings=everything)


def data_objects(root: ObjectPath) -> list[ObjectPath]:
    """Every data file."""
    return [path for tier in ("bronze", "quarantine", "gold") for path in (root / tier).rglob("*.parquet")]


def read_columns(root: ObjectPath, tier: str, *columns: str) -> list[tuple[Any, ...]]:
    """Rows of all files of a tier, with their page checksums verified."""
    rows: list[tuple[Any, ...]] = []
    for path in (root / tier).rglob("*.parquet"):
        source = pa.BufferReader(path.read_bytes())
        table = pq.read_table(source, columns=list(columns), partitioning=None, page_checksum_verification=True)
        rows += zip(*(table[column].to_pylist() for column in columns), strict=True)
    return rows


def read_books(root: ObjectPath) -> list[LedgerEntry]:
    """Every ledger entry."""
    return [decode_entry(path.read_bytes(), path=str(path)) for path in (root / "catalog/ledger").rglob("*.json")]


def check_bucket(root: ObjectPath, messages: int, state: Path | None = None) -> None:
    """Every message up to `messages` is in the lake once, byte for byte; books and files name each other."""
    trades = sorted(read_columns(root, "bronze", "stream_seq", "size", "price"))
    good = [(n, n, 5000 + n / 4) for n in range(1, messages + 1) if n % 50]
    _compare(trades, good)
    rejected = sorted(read_columns(root, "quarantine", "stream_seq", "payload"))
    _compare(rejected, [(n, payload(n)) for n in range(50, messages + 1, 50)])
    entries = read_books(root)
    booked = Counter(f"{root}/{file.path}" for entry in entries for file in entry.files)
    assert booked == Counter(map(str, data_objects(root))), "books and files differ"
    assert sum(entry.stored + entry.quarantined for entry in entries) == messages
    for entry in entries:
        assert entry.received == entry.stored + entry.quarantined + entry.duplicates
    strangers = [
        str(path) for path in root.rglob("*") if not path.name.endswith(".parquet") and "/catalog/" not in str(path)
    ]
    assert not strangers, f"foreign objects: {strangers[:5]}"
    report = verify_lake(root, state, deep=True)
    assert report.is_ok, "\n".join(map(str, report.problems)) or f"the books do not balance: {report.books}"


def check_puts(proxy: FaultProxy) -> None:
    """No key was ever stored twice, seen from the store."""
    twice = {key: times for key, times in proxy.stored().items() if times > 1}
    assert not twice, f"stored more than once: {twice}"


def finish(service: Service, market: Market) -> None:
    """Drain, stop in order, and ask the oracle."""
    service.wait_settled(STREAM, market.published)
    assert service.terminate() == 0, service.log_tail()


def reasons(service: Service) -> set[str]:
    """Why it is not ready."""
    _, body = service.get("/readyz?verbose")
    try:
        return {reason["code"] for reason in json.loads(body)["reasons"]}
    except ValueError:
        return set()


def _compare(found: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    if found == expected:
        return
    seen, wanted = Counter(found), Counter(expected)
    lost, extra = sorted((wanted - seen).elements()), sorted((seen - wanted).elements())
    raise AssertionError(f"{len(lost)} lost, first {lost[:3]}; {len(extra)} too many, first {extra[:3]}")
