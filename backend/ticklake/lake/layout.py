"""Where everything lies below the data root and the state folder. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

QUARANTINE_FOLDER = "quarantine"
LEDGER_FOLDER = "catalog/ledger"
INTENT_NAME = "INTENT"
LEDGER_NAME = "LEDGER"  # the staged ledger document

_NS_PER_S = 1_000_000_000


def part_name(*, writer: str, segment: int, min_ns: int) -> str:
    """Name of a data file: unique among writers and segments, the same when the segment is encoded again.

    Args:
        writer: `{identity}-{lane}`.
        segment: number of the log segment the rows come from.
        min_ns: earliest event in the file, UTC ns; its time of day leads the name so that files sort by time.
    """
    clock = datetime.fromtimestamp(min_ns // _NS_PER_S, UTC).strftime("%H%M%S")
    return f"part-{clock}-{writer}-{segment:08d}.parquet"


def quarantine_folder(table: str, *, ingest_ns: int) -> str:
    """Folder of rejected rows, relative to the data root."""
    date = datetime.fromtimestamp(ingest_ns // _NS_PER_S, UTC).strftime("%Y-%m-%d")
    return f"{QUARANTINE_FOLDER}/table={table}/date={date}"


def ledger_folder(writer: str) -> str:
    """Folder of one writer's ledger, relative to the data root."""
    return f"{LEDGER_FOLDER}/{writer}"


def ledger_name(segment: int) -> str:
    """File name of the ledger entry of a segment."""
    return f"{segment:012d}.json"


def staging_name(segment: int) -> str:
    """Name of the staging folder of a segment."""
    return f"{segment:012d}"


def staged_name(index: int) -> str:
    """Name of the n-th staged file of a segment."""
    return f"{index:04d}.parquet"
