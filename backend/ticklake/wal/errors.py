"""Damage in the log, with the place."""

from __future__ import annotations

from ticklake.base.errors import CorruptError


class WalCorruptError(CorruptError):
    """Bytes of the log that were synced are not what we wrote, or are gone.

    Attributes:
        path: the segment.
        offset_bytes: where the first bad frame begins.
    """

    def __init__(self, path: str, *, offset_bytes: int, reason: str) -> None:
        super().__init__(
            f"{path}: damage at byte {offset_bytes}: {reason}; the daemon stays down. "
            "See what is lost with `ticklake wal verify`, then keep what is good with `ticklake wal repair`"
        )
        self.path = path
        self.offset_bytes = offset_bytes
