"""Company snapshots in files, in two times: when it was so, and when we could know it.

    {folder}/AAPL/2026-01-05_100000.000000~2026-01-06_000000.000000~{hash}.json     event time ~ known time ~ content

A snapshot is created and never changed. A restatement has the same event time and a later known time and lies beside
what it corrects, so every earlier answer can be given again. Two snapshots of one second, or with equal times, have
different names; writing the same one twice changes nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from ticklake.base.clock import Clock
from ticklake.base.errors import RejectedError
from ticklake.files.atomic import write_new
from ticklake.files.documents import decode_document, encode_document
from ticklake.files.errors import AlreadyStoredError, UnreadableError
from ticklake.files.names import safe_name
from ticklake.files.place import Place, sorted_places
from ticklake.stores.models import FundamentalData
from ticklake.stores.spans import Moment, as_utc, end_of, from_ns

_STAMP: Final = "%Y-%m-%d_%H%M%S.%f"
_STAMP_LENGTH: Final = len("2026-01-05_100000.000000")
_HASH_LENGTH: Final = 16


@dataclass(frozen=True, slots=True)
class StoredSnapshot:
    """A snapshot as it is kept.

    Attributes:
        data: what was written, times in the form they were given.
        written_at: when it was stored; of snapshots with equal times the one stored last counts.
    """

    data: FundamentalData
    written_at: datetime


class FileFundamentals:
    """Snapshots below one folder. Safe between threads and processes."""

    def __init__(self, folder: Place, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def write_fundamental(self, symbol: str, data: FundamentalData) -> None:
        """Keep a snapshot beside all earlier ones; the same one again changes nothing.

        Raises:
            RejectedError: the snapshot is of another symbol.
        """
        check_symbol(symbol, data.symbol)
        document = encode_snapshot(StoredSnapshot(data, from_ns(self._clock.wall_ns())))
        times = f"{_stamp(data.timestamp)}~{_stamp(data.known)}"
        path = self._folder / safe_name(symbol) / f"{times}~{fingerprint(data)[:_HASH_LENGTH]}.json"
        try:
            write_new(path, document)
        except AlreadyStoredError:
            return

    def read_fundamental(self, symbol: str, as_of: Moment | None = None) -> FundamentalData | None:
        """The newest snapshot, by event time, that could be known at `as_of`, in its newest statement.

        Args:
            symbol: the instrument.
            as_of: included; a date means until its end. None for everything that is known by now.

        Returns:
            None when nothing could be known.

        Raises:
            UnreadableError: the document is damaged; the text names it.
        """
        bound = "~" if as_of is None else _stamp(end_of(as_of))
        known = [path for path in self._paths(symbol) if path.name[_STAMP_LENGTH + 1 :][:_STAMP_LENGTH] <= bound]
        if not known:
            return None
        times = max(path.name for path in known)[: 2 * _STAMP_LENGTH + 1]
        newest = [_read(path) for path in known if path.name.startswith(times)]
        return max(newest, key=lambda snapshot: snapshot.written_at).data

    def read_fundamental_history(self, symbol: str) -> list[FundamentalData]:
        """Every snapshot, by event time, then known time, then time of writing."""
        return in_order([_read(path) for path in self._paths(symbol)])

    def count_fundamentals(self) -> dict[str, int]:
        """How many snapshots of each symbol there are."""
        counts = {}
        for folder in sorted_places(self._folder.iterdir()) if self._folder.is_dir() else ():
            paths = _snapshots(folder)
            if paths:
                counts[_read(paths[0]).data.symbol] = len(paths)
        return counts

    def _paths(self, symbol: str) -> list[Place]:
        return _snapshots(self._folder / safe_name(symbol))


def check_symbol(symbol: str, found: str) -> None:
    """Refuse a record of another symbol.

    Raises:
        RejectedError: it is one; nothing was stored.
    """
    if symbol != found:
        raise RejectedError(f"a record of {found!r} among those of {symbol!r}; write each symbol on its own")


def in_order(snapshots: list[StoredSnapshot]) -> list[FundamentalData]:
    """By event time, then known time, then time of writing."""
    ordered = sorted(snapshots, key=lambda one: (as_utc(one.data.timestamp), one.data.known, one.written_at))
    return [one.data for one in ordered]


def fingerprint(data: FundamentalData) -> str:
    """SHA-256 of all that a snapshot says."""
    return hashlib.sha256(encode_document(asdict(data), indent=None)).hexdigest()


def encode_snapshot(snapshot: StoredSnapshot) -> bytes:
    """The document of a snapshot."""
    return encode_document({"written_at": snapshot.written_at, "data": asdict(snapshot.data)})


def decode_snapshot(content: bytes, *, path: str) -> StoredSnapshot:
    """The snapshot of a document.

    Raises:
        UnreadableError: it is none.
    """
    fields: Any = decode_document(content, path=path)
    try:
        return StoredSnapshot(FundamentalData(**fields["data"]), fields["written_at"])
    except (KeyError, TypeError, RejectedError) as error:
        raise UnreadableError(f"{path}: no fundamentals ({error}); restore it from a copy", path=path) from error


def _stamp(moment: datetime) -> str:
    return as_utc(moment).strftime(_STAMP).zfill(_STAMP_LENGTH)


def _snapshots(folder: Place) -> list[Place]:
    return sorted_places(path for path in folder.glob("*~*~*.json") if not path.name.startswith("."))


def _read(path: Place) -> StoredSnapshot:
    return decode_snapshot(path.read_bytes(), path=str(path))
