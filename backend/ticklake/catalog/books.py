"""The ledger of a lake as the catalog reads it: all of it, from a local disk or a bucket."""

from __future__ import annotations

from ticklake.files.local import LocalFiles
from ticklake.files.object_path import ObjectPath
from ticklake.files.place import Place
from ticklake.files.side_by_side import side_by_side
from ticklake.lake.layout import LEDGER_FOLDER
from ticklake.lake.ledger import LedgerEntry, decode_entry, read_ledger


def read_books(root: Place) -> list[LedgerEntry]:
    """Every entry, writer by writer, oldest segment first; empty when nothing was ever committed.

    Raises:
        CorruptError: an entry cannot be read.
        StoreUnavailableError: the store does not answer.
    """
    if not isinstance(root, ObjectPath):
        return read_ledger(LocalFiles(), str(root))
    paths = (root / LEDGER_FOLDER).rglob("*.json")
    return side_by_side(lambda path: decode_entry(path.read_bytes(), path=str(path)), paths)
